package scaling

import (
	"testing"
	"time"
)

// draining is three pods of which one was chosen to go: what it did is on the two others now.
func draining(means ...Mean) State {
	return serving(3, Demand{}, func(s *State) { s.Draining, s.Traffic.InFlight, s.Means = 1, 1, means })
}

func TestDraining_WhatTheOthersDoMoreIsNoReasonToCallItOff(t *testing.T) {
	sp := spec()
	sp.MaxReplicas, sp.CPUThreshold = 10, 100
	if d := Decide(sp, serving(3, Demand{}, means(Mean{Metric: CPU, Value: 50, Pods: 3}), func(s *State) { s.Traffic.InFlight = 1 }), now); d.Wished != 2 {
		t.Fatalf("before: %s", d.Summary)
	}
	if d := Decide(sp, draining(Mean{Metric: CPU, Value: 75, Pods: 2}), now); d.Wished != 2 {
		t.Errorf("by a threshold: %s", d.Summary)
	}
	for metric, value := range map[Metric]float64{CPU: 75, RunningRequests: 75, QueuedRequests: 75, Memory: 45} {
		sp := spec()
		sp.MaxReplicas, sp.Rules = 10, []Rule{{Name: "down", Action: Decrease, Thresholds: []Threshold{{metric, LessThan, 60, 0}}}}
		if d := Decide(sp, draining(Mean{Metric: metric, Value: value, Pods: 2}), now); d.Wished != 2 {
			t.Errorf("by a rule on %s: %s", metric, d.Summary)
		}
	}
	sp = spec()
	sp.MaxReplicas, sp.Rules = 10, []Rule{{Name: "down", Action: Decrease, Thresholds: []Threshold{{Concurrency, LessThan, 2, 0}}}}
	s := draining()
	s.Demand.Concurrency = both(5)
	if d := Decide(sp, s, now); d.Wished != 2 {
		t.Errorf("by a rule on concurrency: %s", d.Summary)
	}
}

func TestDraining_MoreThanThereShouldBeCallsItOffBeforeItAddsAnother(t *testing.T) {
	sp := spec()
	sp.MaxReplicas, sp.CPUThreshold = 10, 100
	if d := Decide(sp, draining(Mean{Metric: CPU, Value: 120, Pods: 2}), now); d.To != 3 || d.Aim != 3 {
		t.Errorf("by a threshold: %s", d.Summary)
	}
	sp = spec()
	sp.MaxReplicas, sp.Rules = 10, []Rule{{Name: "up", Action: Increase, Step: 2, Thresholds: []Threshold{{CPU, GreaterThan, 100, time.Duration(0)}}}}
	if d := Decide(sp, draining(Mean{Metric: CPU, Value: 120, Pods: 2}), now); d.To != 4 {
		t.Errorf("by a rule of two: %s", d.Summary)
	}
}
