package scaling

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func spec() Spec {
	return Spec{MinReplicas: 0, MaxReplicas: 3, IdleTime: 90 * time.Second, WakeUpTimeout: 120 * time.Second}
}

// awake is an application with one ready pod, watched by one load balancer, quiet for `silent`.
func awake(silent time.Duration) State {
	return State{
		Found: true, Replicas: 1, Ready: 1,
		Traffic: Traffic{Live: []string{"lb"}, IdleSince: now.Add(-silent)},
		Start:   Start{Since: now.Add(-time.Hour)},
	}
}

func with(s State, change func(*State)) State {
	change(&s)
	return s
}

// rules are the reasons in short: "Idle Wish 0".
func rules(d Decision) []string {
	var list []string
	for _, r := range d.Reasons {
		list = append(list, r.Rule+" "+string(r.Effect)+" "+strconv.Itoa(int(r.Replicas)))
	}
	return list
}

func TestDecide(t *testing.T) {
	idle := awake(91 * time.Second)
	asleep := with(awake(time.Hour), func(s *State) { s.Replicas, s.Ready = 0, 0 })
	for name, c := range map[string]struct {
		spec    Spec
		state   State
		to      int32
		trigger Trigger
		due     time.Duration // from now; 0: none
		rules   []string
		summary string
	}{
		"nothing to do": {
			spec: spec(), state: awake(10 * time.Second), to: 1, trigger: Reconcile, due: 80 * time.Second,
			rules: []string{"Keep Wish 1"}, summary: "stays at 1: not idle for 90 s",
		},
		"asleep and nothing waits": {
			spec: spec(), state: asleep, to: 0, trigger: Reconcile,
			rules: []string{"Keep Wish 0"}, summary: "stays at 0: nothing waits",
		},
		"a start call at zero": {
			spec: spec(), state: with(asleep, func(s *State) { s.Call = &Call{Waiting: 1} }), to: 1, trigger: StartCall,
			rules: []string{"Start Wish 1"}, summary: "0 → 1: 1 request waits",
		},
		"a start call at zero with minReplicas": {
			spec: Spec{MinReplicas: 2, MaxReplicas: 3, IdleTime: time.Minute}, state: with(asleep, func(s *State) { s.Call = &Call{} }), to: 2, trigger: StartCall,
			rules: []string{"Start Wish 2"}, summary: "0 → 2: a load balancer asks for a start",
		},
		"a start call needs no report": {
			spec: spec(), state: State{Found: true, Missing: "caches", Call: &Call{Waiting: 2}}, to: 1, trigger: StartCall,
			rules: []string{"Start Wish 1"}, summary: "0 → 1: 2 requests wait",
		},
		"a start call while it runs": {
			spec: spec(), state: with(awake(time.Second), func(s *State) { s.Call = &Call{Waiting: 1} }), to: 1, trigger: StartCall,
			rules: []string{"Start Wish 1"}, summary: "stays at 1: 1 request waits",
		},
		"a report says that requests wait at zero: the call is on its way": {
			spec: spec(), state: with(asleep, func(s *State) {
				s.Traffic.Waiting, s.Traffic.WaitingSince = 3, now.Add(-300*time.Millisecond)
			}), to: 0, trigger: Reconcile, due: 700 * time.Millisecond,
			rules: []string{"Keep Wish 0"}, summary: "stays at 0: a start call is on its way",
		},
		"a report says that requests wait at zero: the call is lost": {
			spec: spec(), state: with(asleep, func(s *State) { s.Traffic.Waiting, s.Traffic.WaitingSince = 3, now.Add(-callGrace) }), to: 1, trigger: StartCall,
			rules: []string{"Start Wish 1"}, summary: "0 → 1: 3 requests wait",
		},
		"idle": {
			spec: spec(), state: idle, to: 0, trigger: Idle, rules: []string{"Idle Wish 0"}, summary: "1 → 0: no traffic for 90 s",
		},
		"idle: peace after a failed attempt": {
			spec: spec(), state: with(idle, func(s *State) { s.RetryAt = now.Add(7 * time.Second) }),
			to: 1, trigger: Idle, due: 7 * time.Second, rules: []string{"Idle Wish 0", "Retry Hold 1"},
			summary: "stays at 1: no traffic for 90 s, but the last attempt to sleep was called off a moment ago",
		},
		"idle, but a stream goes on": {
			spec: spec(), state: with(idle, func(s *State) { s.Traffic.Streaming = 1 }), to: 1, trigger: Reconcile,
			rules: []string{"Keep Wish 1"}, summary: "stays at 1: not idle for 90 s",
		},
		"idle to minReplicas needs no drain": {
			spec: Spec{MinReplicas: 1, MaxReplicas: 3, IdleTime: time.Minute}, state: with(idle, func(s *State) { s.Replicas = 3 }),
			to: 1, trigger: Idle, rules: []string{"Idle Wish 0", "MinReplicas Clamp 1"}, summary: "3 → 1: no traffic for 60 s, but minReplicas is 1",
		},
		"idle at minReplicas": {
			spec: Spec{MinReplicas: 1, MaxReplicas: 3, IdleTime: time.Minute}, state: idle,
			to: 1, trigger: Idle, rules: []string{"Idle Wish 0", "MinReplicas Clamp 1"}, summary: "stays at 1: no traffic for 60 s, but minReplicas is 1",
		},
		"idle, but no load balancer reports": {
			spec: spec(), state: with(idle, func(s *State) { s.Traffic.Live = nil }), to: 1, trigger: Idle,
			rules: []string{"Idle Wish 0", "NoReport Hold 1"}, summary: "stays at 1: no traffic for 90 s, but no load balancer reports traffic",
		},
		"idle, but one fell silent": {
			spec: spec(), state: with(idle, func(s *State) {
				s.Traffic.Stale = []Stale{{Name: "lb-2", Age: 20 * time.Second}}
				s.Traffic.NextAge = now.Add(40 * time.Second)
			}), to: 1, trigger: Idle, due: 40 * time.Second, rules: []string{"Idle Wish 0", "StaleReport Hold 1"},
			summary: "stays at 1: no traffic for 90 s, but the last report is too old from lb-2",
		},
		"idle, but the picture is not whole": {
			spec: spec(), state: with(idle, func(s *State) { s.Missing = "the first list of pods" }), to: 1, trigger: Idle, due: pictureAgain,
			rules: []string{"Idle Wish 0", "Picture Hold 1"}, summary: "stays at 1: no traffic for 90 s, but the picture is not whole: the first list of pods",
		},
		"idle, but paused": {
			spec: spec(), state: with(idle, func(s *State) { s.Paused = true }), to: 1, trigger: Idle,
			rules: []string{"Idle Wish 0", "Paused Hold 1"}, summary: "stays at 1: no traffic for 90 s, but the Deployment is paused",
		},
		"idle, but a start goes on": {
			spec: spec(), state: with(idle, func(s *State) { s.Ready, s.Start.Since = 0, now.Add(-100*time.Second) }), to: 1, trigger: Idle, due: 20 * time.Second,
			rules: []string{"Idle Wish 0", "Starting Hold 1"}, summary: "stays at 1: no traffic for 90 s, but a start is under way",
		},
		"idle, a start that takes longer than starts did": {
			spec: spec(), state: with(idle, func(s *State) { s.Ready, s.Start.Since = 0, now.Add(-121*time.Second) }), to: 0, trigger: Idle,
			rules: []string{"Idle Wish 0"}, summary: "1 → 0: no traffic for 90 s",
		},
		"scaled by hand beyond max": {
			spec: spec(), state: with(awake(time.Second), func(s *State) { s.Replicas = 5 }), to: 3, trigger: Bounds, due: 89 * time.Second,
			rules: []string{"Keep Wish 5", "MaxReplicas Clamp 3"}, summary: "5 → 3: maxReplicas is 3",
		},
		"scaled by hand beyond max while nobody reports": {
			spec: spec(), state: with(awake(time.Second), func(s *State) { s.Replicas, s.Traffic.Live = 5, nil }), to: 5, trigger: Bounds, due: 89 * time.Second,
			rules: []string{"Keep Wish 5", "MaxReplicas Clamp 3", "NoReport Hold 5"}, summary: "stays at 5: maxReplicas is 3, but no load balancer reports traffic",
		},
		"scaled by hand below min": {
			spec: Spec{MinReplicas: 2, MaxReplicas: 3, IdleTime: time.Minute}, state: awake(time.Second), to: 2, trigger: Bounds, due: 59 * time.Second,
			rules: []string{"Keep Wish 1", "MinReplicas Clamp 2"}, summary: "1 → 2: minReplicas is 2",
		},
		"scaled by hand between min and max": {
			spec: spec(), state: with(awake(time.Second), func(s *State) { s.Replicas = 2 }), to: 2, trigger: Reconcile, due: 89 * time.Second,
			rules: []string{"Keep Wish 2"}, summary: "stays at 2: not idle for 90 s",
		},
		"the Deployment is gone": {
			spec: spec(), state: State{}, to: 0, trigger: Reconcile,
			rules: []string{"Target Hold 0"}, summary: "nothing to scale: the Deployment does not exist",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(c.spec, c.state, now)
			if d.From != c.state.Replicas || d.To != c.to || d.Trigger != c.trigger {
				t.Errorf("got %d → %d %s, want → %d %s", d.From, d.To, d.Trigger, c.to, c.trigger)
			}
			var due time.Duration
			if !d.Due.IsZero() {
				due = d.Due.Sub(now)
			}
			if due != c.due {
				t.Errorf("due in %v, want %v", due, c.due)
			}
			if diff := cmp.Diff(c.rules, rules(d)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if d.Summary != c.summary {
				t.Errorf("summary\n got %s\nwant %s", d.Summary, c.summary)
			}
		})
	}
}

func TestDecide_SummaryDoesNotChangeWithTime(t *testing.T) {
	first := Decide(spec(), awake(91*time.Second), now)
	later := Decide(spec(), awake(500*time.Second), now)
	if first.Summary != later.Summary {
		t.Errorf("%q became %q", first.Summary, later.Summary)
	}
	if !strings.Contains(later.Reasons[0].Message, "500 s") {
		t.Errorf("the reason does not say for how long: %q", later.Reasons[0].Message)
	}
}
