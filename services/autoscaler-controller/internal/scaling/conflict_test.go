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
	}{
		"idle for long":          {spec(), owned(awake(time.Hour), nil), Reconcile},
		"nothing waits at zero":  {spec(), owned(asleep, nil), Reconcile},
		"a call with pods":       {spec(), owned(awake(0), func(s *State) { s.Call = &Call{Waiting: 3} }), StartCall},
		"fewer than minReplicas": {Spec{MinReplicas: 2, MaxReplicas: 3, IdleTime: time.Minute}, owned(awake(0), nil), Reconcile},
		"more than maxReplicas":  {spec(), owned(awake(0), func(s *State) { s.Replicas = 9 }), Reconcile},
	} {
		d := Decide(c.spec, c.state, now)
		if d.To != c.state.Replicas || d.From != d.To || d.Trigger != c.trigger || !d.Due.IsZero() {
			t.Errorf("%s: %+v", name, d)
		}
		if got := rules(d); !slices.Equal(got, []string{"Conflict Hold " + string('0'+c.state.Replicas)}) || !strings.Contains(d.Summary, owner) {
			t.Errorf("%s: %v, %q", name, got, d.Summary)
		}
	}
	gone := Decide(spec(), awake(time.Hour), now)
	if gone.To != 0 {
		t.Errorf("when the other one has let go: %+v", gone)
	}
}

func TestDecide_WakesFromZeroWhatSomebodyElseScales(t *testing.T) {
	asleep := with(awake(time.Hour), func(s *State) {
		s.Replicas, s.Ready, s.Owner = 0, 0, "the HorizontalPodAutoscaler default/fib"
	})
	for name, c := range map[string]struct {
		spec  Spec
		state State
	}{
		"a start call":               {spec(), with(asleep, func(s *State) { s.Call = &Call{Waiting: 3} })},
		"requests wait":              {spec(), with(asleep, func(s *State) { s.Traffic.Waiting = 30 })},
		"minReplicas is the other's": {Spec{MinReplicas: 5, MaxReplicas: 9, IdleTime: time.Minute}, with(asleep, func(s *State) { s.Call = &Call{Waiting: 3} })},
	} {
		d := Decide(c.spec, c.state, now)
		if d.From != 0 || d.To != 1 || d.Trigger != StartCall || !strings.Contains(d.Summary, "default/fib") {
			t.Errorf("%s: %+v", name, d)
		}
		if got := rules(d); !slices.Equal(got, []string{"Start Wish 1", "Conflict Note 1"}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestDecide_LeavesAloneWhatSomebodySetsBackAgainAndAgain(t *testing.T) {
	until := now.Add(time.Hour)
	contested := func(s *State) {
		s.Contest = Contest{Who: "the field manager argocd has set the count of pods back 3 times in a row", Until: until}
	}
	asleep := with(awake(time.Hour), func(s *State) { s.Replicas, s.Ready = 0, 0 })
	for name, c := range map[string]struct {
		state State
	}{
		"idle":           {with(awake(time.Hour), contested)},
		"a call at zero": {with(with(asleep, contested), func(s *State) { s.Call = &Call{Waiting: 3} })},
		"an HPA besides": {with(with(asleep, contested), func(s *State) { s.Owner, s.Call = "an HPA", &Call{Waiting: 1} })},
	} {
		d := Decide(spec(), c.state, now)
		if d.To != c.state.Replicas || !d.Due.Equal(until) || !strings.Contains(d.Summary, "argocd") {
			t.Errorf("%s: %+v", name, d)
		}
		if got := rules(d); len(got) != 1 || !strings.HasPrefix(got[0], "Contested Hold") {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestDecide_WakesWithItsGroupWhatSomebodyElseScales(t *testing.T) {
	sp := spec()
	sp.Together = true
	s := State{Found: true, Owner: "the HorizontalPodAutoscaler default/fib", Traffic: Traffic{Live: []string{"lb"}}, Together: Group{Busy: "b"}}
	if d := Decide(sp, s, now); d.To != 1 {
		t.Errorf("%+v", d)
	}
	s.Replicas = 1
	if d := Decide(sp, s, now); d.To != 1 || d.Aim != 1 {
		t.Errorf("above zero: %+v", d)
	}
}
