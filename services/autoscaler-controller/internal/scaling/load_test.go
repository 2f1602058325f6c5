package scaling

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// loaded is an application in use on n ready pods that use so many millicores each.
func loaded(n int32, cpu float64) State {
	s := awake(time.Second)
	s.Replicas, s.Ready, s.Pods = n, n, n
	s.Traffic.InFlight = 1
	s.Means = []Mean{{Metric: CPU, Value: cpu, Pods: n, Age: time.Second}}
	return s
}

func limited(change func(*Spec)) Spec {
	s := spec()
	s.CPUThreshold, s.DownWindow = 700, time.Minute
	if change != nil {
		change(&s)
	}
	return s
}

func held(s State, since time.Duration, conditions ...string) State {
	s.Since = map[string]time.Time{}
	for _, c := range conditions {
		s.Since[c] = now.Add(-since)
	}
	return s
}

func TestDecide_ByLoad(t *testing.T) {
	upAfter := limited(func(s *Spec) { s.UpWindow = 10 * time.Second })
	memory := limited(func(s *Spec) { s.MemoryThreshold = 15 })
	slow := Spec{MaxReplicas: 3, IdleTime: time.Minute, ResponseTimeThreshold: 100}
	rule := func(a Action, ts ...Threshold) Spec {
		return Spec{MaxReplicas: 3, IdleTime: time.Minute, WakeUpTimeout: time.Minute, Rules: []Rule{{Name: "r", Thresholds: ts, Action: a}}}
	}
	for name, c := range map[string]struct {
		spec    Spec
		state   State
		to      int32
		trigger Trigger
		due     time.Duration
		rules   []string
		summary string
	}{
		"above the threshold": {
			spec: limited(nil), state: loaded(1, 812.34), to: 2, trigger: ByMetric, rules: []string{"CPUThreshold Wish 2"},
			summary: "1 → 2: CPU is 812.3 m per pod, above cpuThreshold 700 m",
		},
		"above it, but not for long": {
			spec: upAfter, state: loaded(1, 800), to: 1, trigger: Reconcile, due: 10 * time.Second,
			rules: []string{"Keep Wish 1", "CPUThreshold Note 1"}, summary: "stays at 1: not idle for 90 s",
		},
		"above it for long enough": {
			spec: upAfter, state: held(loaded(1, 800), 10*time.Second, "cpuThreshold/high@1"), to: 2, trigger: ByMetric,
			rules: []string{"CPUThreshold Wish 2"}, summary: "1 → 2: CPU is 800 m per pod, above cpuThreshold 700 m",
		},
		"above it for long, but on another number of pods": {
			spec: upAfter, state: held(loaded(2, 800), time.Hour, "cpuThreshold/high@1"), to: 2, trigger: Reconcile, due: 10 * time.Second,
			rules: []string{"Keep Wish 2", "CPUThreshold Note 2"}, summary: "stays at 2: not idle for 90 s",
		},
		"above it at maxReplicas": {
			spec: limited(nil), state: loaded(3, 800), to: 3, trigger: ByMetric, rules: []string{"CPUThreshold Wish 4", "MaxReplicas Clamp 3"},
			summary: "stays at 3: CPU is 800 m per pod, above cpuThreshold 700 m, but maxReplicas is 3",
		},
		"above it, while the last pod starts": {
			spec: limited(nil), state: with(loaded(2, 900), func(s *State) {
				s.Ready, s.Means[0].Pods, s.Start.Since = 1, 1, now.Add(-3*time.Second)
			}), to: 2, trigger: ByMetric, due: 117 * time.Second, rules: []string{"CPUThreshold Wish 3", "Settle Hold 2"},
			summary: "stays at 2: CPU is 900 m per pod, above cpuThreshold 700 m, but 1 pod is not alive yet",
		},
		"above it, and the last pod never came": {
			spec: limited(nil), state: with(loaded(2, 900), func(s *State) {
				s.Ready, s.Means[0].Pods, s.Start.Since = 1, 1, now.Add(-120*time.Second)
			}), to: 3, trigger: ByMetric, rules: []string{"CPUThreshold Wish 3"},
			summary: "2 → 3: CPU is 900 m per pod, above cpuThreshold 700 m",
		},
		"above it only if the pod that says nothing is as busy": {
			spec: limited(nil), state: with(loaded(2, 900), func(s *State) { s.Means[0].Pods, s.Means[0].Missing = 1, 1 }),
			to: 2, trigger: Reconcile, due: missingGrace, rules: []string{"Keep Wish 2", "CPUThreshold Note 2"},
			summary: "stays at 2: not idle for 90 s",
		},
		"a pod that says nothing for long": {
			spec: limited(nil), state: held(with(loaded(2, 10), func(s *State) { s.Means[0].Pods, s.Means[0].Missing = 1, 1 }), time.Hour, "cpuThreshold/missing@2", "thresholds/low@2"),
			to: 2, trigger: Reconcile, rules: []string{"Keep Wish 2", "CPUThreshold Hold 2"},
			summary: "stays at 2: not idle for 90 s, but no fresh CPU value of 1 ready pod: nothing is removed",
		},
		"no metric at all": {
			spec: limited(nil), state: held(with(loaded(2, 10), func(s *State) { s.Means = nil }), time.Hour, "cpuThreshold/missing@2"),
			to: 2, trigger: Reconcile, rules: []string{"Keep Wish 2", "CPUThreshold Hold 2"},
			summary: "stays at 2: not idle for 90 s, but no fresh CPU value of 2 ready pods: nothing is removed",
		},
		"far below, but not for long": {
			spec: limited(nil), state: loaded(2, 100), to: 2, trigger: Reconcile, due: time.Minute,
			rules: []string{"Keep Wish 2", "CPUThreshold Note 2"}, summary: "stays at 2: not idle for 90 s",
		},
		"far below for long": {
			spec: limited(nil), state: held(loaded(2, 100), time.Minute, "thresholds/low@2"), to: 1, trigger: ByMetric,
			rules:   []string{"Thresholds Wish 1"},
			summary: "2 → 1: for 60 s CPU would be 200 m on one pod less, below 80% of cpuThreshold 700 m",
		},
		"far below, while the last pod goes": {
			spec: limited(nil), state: held(with(loaded(2, 100), func(s *State) { s.Pods = 3 }), time.Minute, "thresholds/low@2"), to: 2, trigger: ByMetric,
			rules:   []string{"Thresholds Wish 1", "Settle Hold 2"},
			summary: "stays at 2: for 60 s CPU would be 200 m on one pod less, below 80% of cpuThreshold 700 m, but 1 pod is still going",
		},
		"below it, but one pod less would be too busy": {
			spec: limited(nil), state: held(loaded(2, 300), time.Hour, "thresholds/low@2"), to: 2, trigger: Reconcile,
			rules: []string{"Keep Wish 2", "CPUThreshold Note 2"}, summary: "stays at 2: not idle for 90 s",
		},
		"far below on the last pod": {
			spec: limited(nil), state: held(loaded(1, 1), time.Hour, "thresholds/low@1"), to: 1, trigger: Reconcile,
			rules: []string{"Keep Wish 1", "CPUThreshold Note 1"}, summary: "stays at 1: not idle for 90 s",
		},
		"far below for long, but requests wait: a queue sheds no pods": {
			spec: limited(nil), state: held(with(loaded(2, 100), func(s *State) { s.Traffic.Waiting = 1 }), time.Minute, "thresholds/low@2"), to: 2, trigger: StartCall,
			rules: []string{"Start Wish 2", "Thresholds Wish 1"}, summary: "stays at 2: 1 request waits",
		},
		"two thresholds, one not far below": {
			spec: memory, state: held(with(loaded(2, 100), func(s *State) { s.Means = append(s.Means, Mean{Metric: Memory, Value: 13, Pods: 2}) }), time.Hour, "thresholds/low@2"),
			to: 2, trigger: Reconcile, rules: []string{"Keep Wish 2", "CPUThreshold Note 2", "MemoryThreshold Note 2"}, summary: "stays at 2: not idle for 90 s",
		},
		"two thresholds far below: memory stays with its pod": {
			spec: memory, state: held(with(loaded(2, 100), func(s *State) { s.Means = append(s.Means, Mean{Metric: Memory, Value: 11, Pods: 2}) }), time.Hour, "thresholds/low@2"),
			to: 1, trigger: ByMetric, rules: []string{"Thresholds Wish 1"},
			summary: "2 → 1: for 60 s CPU would be 200 m on one pod less, below 80% of cpuThreshold 700 m, and memory is 11 MiB per pod, below 80% of memoryThreshold 15 MiB",
		},
		"slow answers": {
			spec: slow, state: with(loaded(1, 0), func(s *State) { s.Means = []Mean{{Metric: ResponseTime, Value: 130, Pods: 1}} }), to: 2, trigger: ByMetric,
			rules: []string{"ResponseTimeThreshold Wish 2"}, summary: "1 → 2: response time is 130 ms, above responseTimeThreshold 100 ms",
		},
		"no answers for long": {
			spec: slow, state: with(loaded(2, 0), func(s *State) { s.Traffic.InFlight, s.Means = 0, []Mean{{Metric: ResponseTime}} }), to: 1, trigger: ByMetric, due: 59 * time.Second,
			rules: []string{"Thresholds Wish 1"}, summary: "2 → 1: for 0 s no answers were measured",
		},
		"no answers for long, for all requests are still in flight": {
			spec: slow, state: with(loaded(2, 0), func(s *State) { s.Means = []Mean{{Metric: ResponseTime}} }), to: 2, trigger: Reconcile,
			rules: []string{"Keep Wish 2", "ResponseTimeThreshold Note 2"}, summary: "stays at 2: not idle for 60 s",
		},
		"idle stands above thresholds": {
			spec: limited(nil), state: with(loaded(1, 900), func(s *State) {
				s.Traffic.InFlight, s.Traffic.IdleSince = 0, now.Add(-2*time.Minute)
			}), to: 0, trigger: Idle, rules: []string{"Idle Wish 0", "CPUThreshold Note 2"}, summary: "1 → 0: no traffic for 90 s",
		},
		"a rule adds a pod": {
			spec: rule(Increase, Threshold{CPU, GreaterThan, 500, 0}), state: loaded(1, 600), to: 2, trigger: ByRule,
			rules: []string{"Rule:r Wish 2"}, summary: "1 → 2: CPU > 500 m: CPU is 600 m per pod",
		},
		"a rule of two thresholds, one of which does not hold": {
			spec: rule(Increase, Threshold{CPU, GreaterThan, 500, 0}, Threshold{Memory, LessThan, 5, 0}), state: loaded(1, 600), to: 1, trigger: Reconcile,
			rules: []string{"Keep Wish 1", "Rule:r Note 1"}, summary: "stays at 1: not idle for 60 s",
		},
		"a rule that must hold for a while": {
			spec: rule(Decrease, Threshold{CPU, LessThan, 500, 30 * time.Second}), state: held(loaded(2, 100), 20*time.Second, "rule/r/0@2"), to: 2, trigger: Reconcile,
			due: 10 * time.Second, rules: []string{"Keep Wish 2", "Rule:r Note 2"}, summary: "stays at 2: not idle for 60 s",
		},
		"a rule removes a pod": {
			spec: rule(Decrease, Threshold{CPU, LessThan, 500, 30 * time.Second}), state: held(loaded(2, 100), 30*time.Second, "rule/r/0@2"), to: 1, trigger: ByRule,
			rules: []string{"Rule:r Wish 1"}, summary: "2 → 1: CPU < 500 m for 30 s: CPU is 100 m per pod",
		},
		"a rule does not remove a pod when one says nothing": {
			spec: rule(Decrease, Threshold{CPU, LessThan, 500, 0}), state: with(loaded(2, 100), func(s *State) { s.Means[0].Missing = 1 }), to: 2, trigger: Reconcile,
			rules: []string{"Keep Wish 2", "Rule:r Note 2"}, summary: "stays at 2: not idle for 60 s",
		},
		"a rule removes no last pod": {
			spec: rule(Decrease, Threshold{CPU, LessThan, 500, 0}), state: loaded(1, 100), to: 1, trigger: Reconcile,
			rules: []string{"Keep Wish 1", "Rule:r Note 1"}, summary: "stays at 1: not idle for 60 s",
		},
		"a rule puts to sleep": {
			spec: rule(DecreaseToZero, Threshold{CPU, LessThan, 500, 0}), state: with(loaded(2, 100), func(s *State) {
				s.Traffic.InFlight = 0
			}), to: 0, trigger: ByRule, due: 59 * time.Second, rules: []string{"Rule:r Wish 0"}, summary: "2 → 0: CPU < 500 m: CPU is 100 m per pod",
		},
		"a rule does not put to sleep what is in use": {
			spec: rule(DecreaseToZero, Threshold{CPU, LessThan, 500, 0}), state: loaded(2, 100), to: 2, trigger: ByRule,
			rules: []string{"Rule:r Wish 0", "Busy Hold 2"}, summary: "stays at 2: CPU < 500 m: CPU is 100 m per pod, but requests are waiting or in flight",
		},
		"of two rules the larger wish wins": {
			spec: limited(func(s *Spec) {
				s.Rules = []Rule{{Name: "down", Action: DecreaseToZero, Thresholds: []Threshold{{CPU, GreaterThan, 1, 0}}}}
			}), state: loaded(1, 800), to: 2, trigger: ByMetric,
			rules: []string{"CPUThreshold Wish 2", "Rule:down Wish 0"}, summary: "1 → 2: CPU is 800 m per pod, above cpuThreshold 700 m",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(c.spec, c.state, now)
			if d.To != c.to || d.Trigger != c.trigger {
				t.Errorf("got → %d %s, want → %d %s", d.To, d.Trigger, c.to, c.trigger)
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

// What is decided from second to second, with what was remembered given back, as the loop does.
func TestDecide_WindowsAreCountedWithoutABreak(t *testing.T) {
	spec := limited(func(s *Spec) { s.UpWindow = 3 * time.Second })
	var since map[string]time.Time
	var path []string
	for second, cpu := range []float64{800, 800, 800, 500, 800, 800, 800, 800} {
		s := loaded(1, cpu)
		s.Since = since
		d := Decide(spec, s, now.Add(time.Duration(second)*time.Second))
		since = d.Since
		path = append(path, string('0'+d.To))
	}
	if got := strings.Join(path, ""); got != "11111112" {
		t.Errorf("got %s", got)
	}
}

// The way down must not lead to the way up: on one pod less the same load is still within.
func TestDecide_HysteresisNeverFlaps(t *testing.T) {
	spec := limited(func(s *Spec) { s.MaxReplicas, s.DownWindow = 10, 0 })
	for n := int32(2); n <= 10; n++ {
		for cpu := 0.0; cpu < 1000; cpu += 7 {
			if d := Decide(spec, loaded(n, cpu), now); d.To == n-1 {
				after := Decide(spec, loaded(n-1, cpu*float64(n)/float64(n-1)), now)
				if after.To > n-1 {
					t.Fatalf("%d pods at %v m: down and up again", n, cpu)
				}
			}
		}
	}
}
