package scaling

import (
	"strings"
	"testing"
	"time"
)

// What the sidecars say of running requests keeps an application awake, as long as it counts.
func TestDecide_WhatTheSidecarsSayKeepsAwakeForItsTimeAndIsSaid(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	until := now.Add(7 * time.Second)
	spec := Spec{MaxReplicas: 3, IdleTime: time.Minute, WakeUpTimeout: time.Minute}
	for name, c := range map[string]struct {
		demand Demand
		awake  bool
		says   string // among the reasons
	}{
		"nothing":                {Demand{}, false, "no traffic for"},
		"requests that run":      {Demand{Running: 2, WorkingUntil: until}, true, "work on 2 requests"},
		"requests that wait":     {Demand{Queued: 3, WorkingUntil: until}, true, "3 wait in them"},
		"the same for too long":  {Demand{Running: 1, Still: true, WorkingUntil: until}, false, "too long to count"},
		"what leaked below zero": {Demand{Running: -1}, false, "no traffic for"},
	} {
		s := State{
			Found: true, Replicas: 1, Ready: 1, Pods: 1, Demand: c.demand,
			Traffic: Traffic{Live: []string{"lb"}, IdleSince: now.Add(-time.Hour), QuietSince: now.Add(-time.Hour)},
		}
		d := Decide(spec, s, now)
		if awake := d.Wished == 1 && d.Drain == DrainNone; awake != c.awake {
			t.Errorf("%s: %+v", name, d)
		}
		if c.awake && !d.Due.Equal(until) {
			t.Errorf("%s: it is looked at again at %v", name, d.Due)
		}
		said := ""
		for _, r := range d.Reasons {
			said += r.Rule + ": " + r.Message + "\n"
		}
		if !strings.Contains(said, c.says) {
			t.Errorf("%s: the reasons are\n%s", name, said)
		}
	}
}

// It does not keep thresholds from their say, and holds a rule back that would put to sleep.
func TestDecide_WhatTheSidecarsSayOverrulesNoThreshold(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := State{
		Found: true, Replicas: 1, Ready: 1, Pods: 1, Demand: Demand{Running: 9, WorkingUntil: now.Add(time.Second)},
		Traffic: Traffic{Live: []string{"lb"}, IdleSince: now.Add(-time.Hour), QuietSince: now.Add(-time.Hour)}, Means: []Mean{{Metric: CPU, Value: 900, Pods: 1}},
	}
	spec := Spec{MaxReplicas: 3, IdleTime: time.Minute, WakeUpTimeout: time.Minute, CPUThreshold: 500}
	if d := Decide(spec, s, now); d.To != 2 {
		t.Errorf("above a threshold: %+v", d)
	}
	spec = Spec{MaxReplicas: 3, IdleTime: time.Hour * 24, WakeUpTimeout: time.Minute, Rules: []Rule{{
		Name: "off", Action: DecreaseToZero, Thresholds: []Threshold{{Metric: CPU, Operator: LessThan, Value: 1000}},
	}}}
	d := Decide(spec, s, now)
	if d.To != 1 || !strings.Contains(d.Summary, "sidecars") {
		t.Errorf("a rule to zero: %+v", d)
	}
}

func TestDemand_OfWhatTheSidecarsHaveSaidForTooLongIsNone(t *testing.T) {
	for still, want := range map[bool]int32{false: 4, true: 1} {
		if d := Decide(slotted(10), serving(1, Demand{Running: 21, Queued: 10, Still: still}), now); d.Wished != want {
			t.Errorf("still %v: wished for %d, want %d: %s", still, d.Wished, want, d.Summary)
		}
	}
}
