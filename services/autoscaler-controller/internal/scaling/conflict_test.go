package scaling

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDecide_YieldsToWhoElseScalesTheDeployment(t *testing.T) {
	owner := "the HorizontalPodAutoscaler default/fib"
	owned := func(s State, change func(*State)) State {
		return with(s, func(s *State) {
			s.Owner = owner
			if change != nil {
				change(s)
			}
		})
	}
	asleep := with(awake(time.Hour), func(s *State) { s.Replicas, s.Ready = 0, 0 })
	for name, c := range map[string]struct {
		spec    Spec
		state   State
		trigger Trigger
		drain   Drain
	}{
		"idle for long":          {spec(), owned(awake(time.Hour), nil), Reconcile, DrainNone},
		"a start call at zero":   {spec(), owned(asleep, func(s *State) { s.Call = &Call{Waiting: 3} }), StartCall, DrainNone},
		"requests wait at zero":  {spec(), owned(asleep, func(s *State) { s.Traffic.Waiting = 1 }), Reconcile, DrainNone},
		"fewer than minReplicas": {Spec{MinReplicas: 2, MaxReplicas: 3, IdleTime: time.Minute}, owned(awake(0), nil), Reconcile, DrainNone},
		"more than maxReplicas":  {spec(), owned(awake(0), func(s *State) { s.Replicas = 9 }), Reconcile, DrainNone},
		"on its way to zero":     {spec(), owned(awake(time.Hour), func(s *State) { s.Sleep.Since = now.Add(-time.Second) }), Reconcile, DrainCancel},
	} {
		d := Decide(c.spec, c.state, now)
		if d.To != c.state.Replicas || d.From != d.To || d.Trigger != c.trigger || d.Drain != c.drain || !d.Due.IsZero() {
			t.Errorf("%s: %+v", name, d)
		}
		if got := rules(d); !slices.Equal(got, []string{"Conflict Hold " + string('0'+c.state.Replicas)}) || !strings.Contains(d.Summary, owner) {
			t.Errorf("%s: %v, %q", name, got, d.Summary)
		}
	}
	gone := Decide(spec(), awake(time.Hour), now)
	if gone.Drain != DrainBegin {
		t.Errorf("when the other one has let go: %+v", gone)
	}
}
