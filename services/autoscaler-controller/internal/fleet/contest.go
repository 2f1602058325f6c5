package fleet

import (
	"reflect"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contest"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Owned takes note of a scaling of ours that succeeded, so that somebody who sets it back is noticed.
func (f *Fleet) Owned(k Key, from, to int32, now time.Time) {
	if a := f.lock(k); a != nil {
		defer a.mu.Unlock()
		a.contest.Scaled(from, to, now)
		a.stirred()
		a.seen.Deployment.Manager = FieldManager
	}
}

// watch takes note of who sets the count, and of what was there before a sleep. A user who changes what
// is wanted is heard: whatever quarrel there was, it begins anew.
func (a *application) watch(before, o Observation, now time.Time) {
	if !before.Deployment.Found || before.Deployment.UID != o.Deployment.UID || before.Autoscaler != o.Autoscaler || !reflect.DeepEqual(before.Spec, o.Spec) {
		a.contest.Forgive()
	}
	// Beside another scaler only 0 → 1 is ours, and the rest its right, but where the user wants a count held.
	if o.Deployment.Manager != FieldManager && (o.Owner == "" || o.Spec.ModeAt(now) == scaling.Paused) {
		a.contest.Changed(o.Deployment.Replicas, o.Deployment.Manager, now)
	}
	if a.sleptWith == 0 {
		a.sleptWith = o.Slept
	}
	if before.Deployment.Found {
		a.remember(before.Deployment.Replicas, o.Deployment.Replicas)
	}
}

// remember keeps how many pods were asked for before the count went to zero.
func (a *application) remember(before, after int32) {
	if after == 0 && before > 0 {
		a.sleptWith = before
	}
}

// contested is who sets the count back again and again now, and when it is tried again.
func (a *application) contested(now time.Time) (contest.Contest, time.Time) {
	remembered := a.contest // to look is not to change
	c, until, _ := remembered.At(now)
	return c, until
}
