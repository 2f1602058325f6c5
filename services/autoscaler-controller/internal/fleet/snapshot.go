package fleet

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Snapshot is all that a decision on one application looks at, as of one moment. What was read
// together belongs together: a decision never joins what was seen before a change with what was
// seen after it.
type Snapshot struct {
	Observation // its Deployment.Version is what a write must still find
	State       State
	Mode        scaling.Mode // now, as the schedules have it
	Ready       int32
	Scaling     scaling.State
	Loads       []PodLoad // the pods that are not going yet, ordered by name
	Quiet       Quiesce   // what the load balancers are told
	Pending     []string  // while it falls asleep: live load balancers that have not taken that up, or hold requests

	ExpectedStart time.Duration
	StartingSince time.Time
	Blocked       Blocked
	FailedWake    FailedWake
}

// Snapshot is what is known of an application at now; false when it is not known. missing says what
// the whole picture still lacks, "" when it is whole.
func (f *Fleet) Snapshot(k Key, missing string, now time.Time) (Snapshot, bool) {
	return f.snapshot(k, missing, false, now)
}

// Look is the Snapshot that a decision is made by: what is heard from now on is news where it would decide
// something else.
func (f *Fleet) Look(k Key, missing string, now time.Time) (Snapshot, bool) {
	return f.snapshot(k, missing, true, now)
}

func (f *Fleet) snapshot(k Key, missing string, decides bool, now time.Time) (Snapshot, bool) {
	f.roster.mu.RLock()
	defer f.roster.mu.RUnlock()
	w := f.watching(now)
	group, together := f.group(k, w, now) // before: nobody locks two applications at a time
	a := f.lock(k)
	if a == nil {
		return Snapshot{}, false
	}
	defer a.mu.Unlock()
	s := Snapshot{
		Observation: a.seen, State: a.state(), Ready: a.ready(), Quiet: a.quiet.told,
		ExpectedStart: a.starts.median(), StartingSince: a.startingSince(), Blocked: a.blocked, FailedWake: a.wake.failed(),
		Scaling: scaling.State{
			Found: a.seen.Deployment.Found, Paused: a.seen.Deployment.Paused, Owner: a.seen.Owner,
			Replicas: a.seen.Deployment.Replicas, Ready: a.ready(), Pods: a.existing(), Missing: missing,
			Traffic: f.traffic(a, w, now), Means: a.means(now),
			Start: scaling.Start{Since: a.scaledUp, Expected: a.starts.median()}, Rest: a.rest,
		},
	}
	if decides {
		s.Scaling.Same = a.decided.same
		a.decides(&f.roster, &w, now)
		s.Scaling.Until = a.until(now)
	}
	s.Mode = a.seen.Spec.ModeAt(now)
	if c, until := a.contested(now); c.Times > 0 {
		s.Scaling.Contest = scaling.Contest{Who: c.String(), Until: until}
	}
	if a.seen.Spec.Together && together {
		s.Scaling.Together = group
	}
	s.Scaling.Demand = a.demand(w, now)
	s.Loads = a.podLoads(w, now)
	for _, l := range s.Loads {
		if !l.Mark.Since.IsZero() {
			s.Scaling.Marked++
		}
		if l.Told && l.State == PodReady {
			s.Scaling.Draining++
		}
	}
	if a.quiet.told.All {
		for _, b := range w.live {
			t := a.of(b)
			if !a.quiet.obeyed(a.quiet.all, b.version, now) || t.InFlight > 0 || t.Waiting > 0 {
				s.Pending = append(s.Pending, b.name)
			}
		}
	}
	return s, true
}
