package fleet

import (
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Blocked is why a start cannot succeed as things stand. The zero value: nothing is known to stop it.
type Blocked struct {
	Reason  string // one word, as in the contract
	Message string // for people
	Since   time.Time
}

// The reasons that are not Kubernetes' own words for a pod.
const (
	deploymentMissing = "DeploymentMissing"
	podsRefused       = "PodsRefused"
	pausedReason      = "Paused"
	pausedMessage     = "the application is paused (spec.mode)"
)

// block takes note of what blocks a start now. While one reason follows another it is since the first.
func (a *application) block(now time.Time) {
	reason, message := a.obstacle(now)
	switch {
	case reason == "":
		a.blocked = Blocked{}
	case a.blocked.Reason == "":
		a.blocked = Blocked{Reason: reason, Message: message, Since: now}
	default:
		a.blocked.Reason, a.blocked.Message = reason, message
	}
}

// Recheck looks anew at what blocks a start: a schedule and a contest end by the clock, without any news.
func (f *Fleet) Recheck(k Key, now time.Time) {
	a := f.lock(k)
	if a == nil {
		return
	}
	defer a.mu.Unlock()
	before := a.blocked
	a.block(now)
	if a.blocked != before {
		f.publish(a)
	}
}

// obstacle is what blocks a start; "" is nothing. While a single pod may still come nothing does, and
// nothing is known of an application that is not asked for.
func (a *application) obstacle(now time.Time) (reason, message string) {
	d := a.seen.Deployment
	switch {
	case !d.Found:
		return deploymentMissing, fmt.Sprintf("the Deployment %s does not exist", a.seen.Key)
	case d.Replicas == 0:
		return a.obstacleAtZero(now)
	case a.ready() > 0:
		return "", ""
	}
	for _, p := range a.seen.Pods {
		switch {
		case p.Terminating || p.Failed:
		case p.Stuck == "":
			return "", ""
		case reason == "":
			reason, message = p.Stuck, p.Name+": "+p.Message
		}
	}
	if reason == "" && d.Refusal != "" {
		return podsRefused, "no pod can be made: " + d.Refusal
	}
	return reason, message
}

// obstacleAtZero is why no pod is asked for though requests may wait.
func (a *application) obstacleAtZero(now time.Time) (reason, message string) {
	if a.seen.Spec.ModeAt(now) == scaling.Paused {
		return pausedReason, pausedMessage
	}
	if who, _ := a.contested(now); who.Times > 0 {
		return ContestedReason, scaling.Contested(who.String())
	}
	return "", ""
}

// startingSince is when the start under way began: pods were added, and none of them has ever been
// ready. Zero when none is, or it was not seen.
func (a *application) startingSince() time.Time {
	if a.seen.Deployment.Replicas == 0 || a.ready() > 0 {
		return time.Time{}
	}
	for _, t := range a.pods {
		if t.wasReady {
			return time.Time{}
		}
	}
	return a.scaledUp
}
