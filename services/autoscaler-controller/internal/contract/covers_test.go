package contract

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// standing is a status of one awake target, changed, as it is read back.
func standing(t *testing.T, change func(*fleet.Target)) Status {
	t.Helper()
	target := fleet.Target{
		Name: "app", State: fleet.Awake, Replicas: 5, Ready: 3, LastActivity: day,
		Conditions: []fleet.Condition{{Type: "Active", OK: true, Reason: "Awake", Message: "3 of 5 ready after 12.3 s"}},
		Learned:    fleet.Learned{Starts: []time.Duration{time.Second}, PodConcurrency: 4, ServiceTime: 100 * time.Millisecond},
	}
	if change != nil {
		change(&target)
	}
	return again(t, NewStatus(Standing{Generation: 1}, []fleet.Target{target}, Status{}, day))
}

func TestCovers_WhatSaysNothingNewIsNotWritten(t *testing.T) {
	before := standing(t, nil)
	for name, c := range map[string]struct {
		change func(*fleet.Target)
		want   bool
	}{
		"the same":                   {nil, true},
		"traffic, a little later":    {func(t *fleet.Target) { t.LastActivity = day.Add(59 * time.Second) }, true},
		"traffic, a minute later":    {func(t *fleet.Target) { t.LastActivity = day.Add(time.Minute) }, false},
		"another count":              {func(t *fleet.Target) { t.Replicas = 6 }, false},
		"a text with another number": {func(t *fleet.Target) { t.Conditions[0].Message = "4 of 5 ready after 250 ms" }, true},
		"another text":               {func(t *fleet.Target) { t.Conditions[0].Message = "3 of 5 ready: no node" }, false},
		"another pod in a text":      {func(t *fleet.Target) { t.Conditions[0].Message = "3 of 5 ready after 12.3 s: app-1" }, false},
		"another reason":             {func(t *fleet.Target) { t.Conditions[0].Reason = "Waking" }, false},
		"learned, by a little":       {func(t *fleet.Target) { t.Learned.PodConcurrency, t.Learned.ServiceTime = 4.3, 95*time.Millisecond }, true},
		"learned, by much":           {func(t *fleet.Target) { t.Learned.PodConcurrency = 5 }, false},
		"a start more":               {func(t *fleet.Target) { t.Learned.Starts = append(t.Learned.Starts, 2*time.Second) }, false},
		"nothing is known any more":  {func(t *fleet.Target) { t.Learned = fleet.Learned{} }, false},
		"a decision":                 {func(t *fleet.Target) { t.Last = record(0, true, "0 → 1") }, false},
		"a condition less":           {func(t *fleet.Target) { t.Conditions = nil }, false},
	} {
		if got := before.Covers(standing(t, c.change)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if (Status{}).Covers(before) || before.Covers(Status{}) {
		t.Error("nothing is not the same as something")
	}
}

func TestCovers_TheLastTrafficOfWhatSleepsIsNoReason(t *testing.T) {
	asleep := func(at time.Duration) Status {
		return standing(t, func(t *fleet.Target) {
			t.State, t.Replicas, t.Ready, t.LastActivity = fleet.Asleep, 0, 0, day.Add(at)
		})
	}
	if !asleep(0).Covers(asleep(time.Hour)) {
		t.Error("it would be written")
	}
}

func TestSameStanding_IsTheStateAndTheConditions(t *testing.T) {
	before := standing(t, nil)
	for name, c := range map[string]struct {
		change func(*fleet.Target)
		want   bool
	}{
		"the same":            {nil, true},
		"a pod more":          {func(t *fleet.Target) { t.Ready = 4 }, true},
		"traffic":             {func(t *fleet.Target) { t.LastActivity = day.Add(time.Hour) }, true},
		"it falls asleep":     {func(t *fleet.Target) { t.State = fleet.FallingAsleep }, false},
		"a condition is not":  {func(t *fleet.Target) { t.Conditions[0].OK = false }, false},
		"a condition more":    {func(t *fleet.Target) { t.Conditions = append(t.Conditions, so("AbleToScale", false, "ScaleFailed")) }, false},
		"there is none there": {func(t *fleet.Target) { t.Conditions = nil }, false},
	} {
		if got := before.SameStanding(standing(t, c.change)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func BenchmarkCovers(b *testing.B) {
	s := NewStatus(Standing{Generation: 1}, []fleet.Target{{Name: "app", State: fleet.Asleep, Last: record(0, true, "1 → 0: idle for 30 s"), Conditions: []fleet.Condition{
		so("TargetFound", true, "DeploymentFound"), so("AbleToScale", true, "Ready"), so("Active", false, "Asleep"),
	}}}, Status{}, day)
	for b.Loop() {
		if !s.Covers(s) {
			b.Fatal("it covers itself")
		}
	}
}

func TestNewStatus_ADecisionThatSaysTheSameIsNotWrittenAgain(t *testing.T) {
	write := func(stored Status, change func(*fleet.Record)) Status {
		r := record(0, false, "stays at 0: nothing waits for 30 s")
		change(r)
		return again(t, NewStatus(Standing{}, []fleet.Target{{Name: "app", Last: r}}, stored, day))
	}
	stored := write(Status{}, func(*fleet.Record) {})
	for name, c := range map[string]struct {
		change func(*fleet.Record)
		want   bool
	}{
		"by the next leader":   {func(r *fleet.Record) { r.ID, r.Time = "f-1", day.Add(time.Hour) }, true},
		"with another number":  {func(r *fleet.Record) { r.ID, r.Summary = "f-1", "stays at 0: nothing waits for 31.5 s" }, true},
		"in other words":       {func(r *fleet.Record) { r.ID, r.Summary = "f-1", "stays at 0: it is paused" }, false},
		"for another reason":   {func(r *fleet.Record) { r.ID, r.Trigger = "f-1", scaling.Bounds }, false},
		"it was done":          {func(r *fleet.Record) { r.ID, r.Applied = "f-1", true }, false},
		"it could not be done": {func(r *fleet.Record) { r.ID, r.Error = "f-1", "a quota" }, false},
	} {
		if got := stored.Covers(write(stored, c.change)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
