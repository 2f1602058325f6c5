package scaling

import (
	"strings"
	"testing"
	"time"
)

// loop decides again and again, applies what is decided at once, and has the load and what pods use from
// a function of the count and the time. It returns the counts at the end of each step.
func loop(sp Spec, replicas int32, steps int, every time.Duration, world func(n int32, step int) (Demand, []Mean)) (counts []int32, last Decision) {
	var history History
	var since map[string]time.Time
	at := now
	for step := range steps {
		d, means := world(replicas, step)
		s := serving(replicas, d)
		s.Traffic.InFlight = 1 // it is in use
		s.Means, s.History, s.Since = means, history, since
		last = Decide(sp, s, at)
		history, since = last.History, last.Since
		replicas = last.To
		counts = append(counts, replicas)
		at = at.Add(every)
	}
	return counts, last
}

func memoryOf(mib float64) func(int32, int) (Demand, []Mean) {
	return func(n int32, _ int) (Demand, []Mean) { return Demand{}, []Mean{{Metric: Memory, Value: mib, Pods: n}} }
}

func TestThreshold_ThatAnotherPodDoesNotLowerStopsByItselfAndSaysSo(t *testing.T) {
	sp := spec()
	sp.MaxReplicas, sp.MemoryThreshold = 10, 15
	counts, last := loop(sp, 1, 100, time.Second, memoryOf(20))
	if end := counts[len(counts)-1]; end != 2 {
		t.Errorf("an idle process of 20 MiB has %d pods, want one more than it had, and no further", end)
	}
	if last.To != last.From || !strings.Contains(last.Reasons[0].Message+last.Reasons[len(last.Reasons)-1].Message, "another pod did not lower it") {
		t.Errorf("it does not say so: %+v", last.Reasons)
	}
}

func TestThreshold_ANewPodThatUsesLittleAtFirstDoesNotMakeItTryAgainAndAgain(t *testing.T) {
	sp := spec()
	sp.MaxReplicas, sp.MemoryThreshold = 10, 15
	counts, _ := loop(sp, 1, 300, time.Second, func(n int32, step int) (Demand, []Mean) {
		v := 20.0
		if step%20 < 5 && n > 1 {
			v = 12
		}
		return Demand{}, []Mean{{Metric: Memory, Value: v, Pods: n}}
	})
	if end := counts[len(counts)-1]; end != 2 {
		t.Errorf("%d pods", end)
	}
}

func TestThreshold_ThatMorePodsLowerGoesOn(t *testing.T) {
	sp := spec()
	sp.MaxReplicas, sp.CPUThreshold = 10, 700
	counts, _ := loop(sp, 1, 100, time.Second, func(n int32, _ int) (Demand, []Mean) {
		return Demand{Arrivals: both(50)}, []Mean{{Metric: CPU, Value: 4000 / float64(n), Pods: n}}
	})
	if end := counts[len(counts)-1]; end != 6 {
		t.Errorf("4,000 m shared out have %d pods, want 6", end)
	}
}

func TestThreshold_IsTriedAgainWhenThereIsMoreToDo(t *testing.T) {
	sp := spec()
	sp.MaxReplicas, sp.CPUThreshold = 10, 700
	counts, _ := loop(sp, 1, 100, time.Second, func(n int32, step int) (Demand, []Mean) {
		load := 50 * (1 + float64(step)/10) // it grows as fast as pods are added
		return Demand{Arrivals: both(load)}, []Mean{{Metric: CPU, Value: 20 * load / float64(n), Pods: n}}
	})
	if end := counts[len(counts)-1]; end != 10 {
		t.Errorf("under a growing load %d pods", end)
	}
}

func TestThreshold_OfCPUIsTriedOnWhereNoLoadIsSeen(t *testing.T) {
	sp := spec()
	sp.MaxReplicas, sp.CPUThreshold = 5, 700
	counts, _ := loop(sp, 1, 100, time.Second, func(n int32, _ int) (Demand, []Mean) {
		return Demand{}, []Mean{{Metric: CPU, Value: 900, Pods: n}}
	})
	if end := counts[len(counts)-1]; end != 5 {
		t.Errorf("%d pods", end)
	}
}

func TestThreshold_WhatItTriedIsForgottenAfterALongWhileBelowIt(t *testing.T) {
	sp := spec()
	sp.MaxReplicas, sp.MemoryThreshold, sp.DownWindow = 10, 15, time.Hour
	counts, _ := loop(sp, 1, 1000, time.Second, func(n int32, step int) (Demand, []Mean) {
		v := 20.0
		if step > 100 && step < 100+int(triedFor/time.Second)+10 {
			v = 13
		}
		return Demand{}, []Mean{{Metric: Memory, Value: v, Pods: n}}
	})
	if end := counts[len(counts)-1]; end != 3 {
		t.Errorf("%d pods, want one more try", end)
	}
}

func TestRule_ThatAnotherPodDoesNotLowerStopsToo(t *testing.T) {
	sp := spec()
	sp.MaxReplicas = 10
	sp.Rules = []Rule{{Name: "r", Action: Increase, Thresholds: []Threshold{{Metric: Memory, Operator: GreaterThan, Value: 15}}}}
	counts, last := loop(sp, 1, 100, time.Second, memoryOf(20))
	if end := counts[len(counts)-1]; end != 2 || !strings.Contains(last.Reasons[len(last.Reasons)-1].Message+last.Reasons[0].Message+last.Reasons[1].Message, "did not lower it") {
		t.Errorf("%d pods: %+v", end, last.Reasons)
	}
}
