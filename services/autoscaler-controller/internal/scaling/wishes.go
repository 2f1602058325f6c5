package scaling

import (
	"fmt"
	"time"
)

// wish proposes a count. Several reasons may explain it; only those with the effect Wish count.
// due is when the wish may change by the mere passing of time.
type wish func(spec Spec, s State, now time.Time) (reasons []Reason, due time.Time)

// wishes are asked in this order; of equal wishes the first names the trigger.
var wishes = []wish{start, idle, keep, thresholds}

// callGrace is how long a start call may be on its way. A load balancer calls and reports at the
// same moment; the call is to win, for it carries the trace of the request that waits. A report
// alone acts only when the call must have been lost.
const callGrace = time.Second

// start asks for at least one pod while requests wait at zero, and keeps what is there otherwise.
func start(spec Spec, s State, now time.Time) ([]Reason, time.Time) {
	waiting := s.Traffic.Waiting
	if s.Call != nil {
		waiting = max(waiting, s.Call.Waiting)
	}
	if s.Call == nil && waiting == 0 {
		return nil, time.Time{}
	}
	if acts := s.Traffic.WaitingSince.Add(callGrace); s.Call == nil && s.Replicas == 0 && now.Before(acts) {
		return nil, acts
	}
	message := count(waiting, "request waits", "requests wait")
	if s.Call != nil && waiting == 0 {
		message = "a load balancer asks for a start"
	}
	return []Reason{{
		Rule: "Start", Effect: Wish, Replicas: max(1, spec.MinReplicas, s.Replicas), Message: message,
		Inputs: []Input{{Name: "waiting", Value: float64(waiting), Unit: "requests"}},
	}}, time.Time{}
}

// idle asks for zero (the clamps make it minReplicas) once nothing was heard for idleTime.
func idle(spec Spec, s State, now time.Time) ([]Reason, time.Time) {
	if s.Replicas == 0 || busy(s.Traffic) || s.Call != nil || s.Traffic.IdleSince.IsZero() {
		return nil, time.Time{}
	}
	silent := now.Sub(s.Traffic.IdleSince)
	if silent < spec.IdleTime {
		if s.Replicas <= spec.MinReplicas {
			return nil, time.Time{}
		}
		return nil, s.Traffic.IdleSince.Add(spec.IdleTime)
	}
	return []Reason{{
		Rule: "Idle", Effect: Wish, Replicas: 0,
		Message: fmt.Sprintf("no traffic for %s (idleTime %s)", seconds(silent), seconds(spec.IdleTime)),
		Inputs: []Input{
			{Name: "silent", Value: silent.Seconds(), Unit: "s", Age: s.Traffic.Age},
			{Name: "idleTime", Value: spec.IdleTime.Seconds(), Unit: "s"},
		},
	}}, time.Time{}
}

// keep leaves what is there while the application is not idle: between the bounds, people and
// other tools may scale by hand.
func keep(spec Spec, s State, now time.Time) ([]Reason, time.Time) {
	for _, stronger := range []wish{start, idle} { // they say what to do with what is there
		if r, _ := stronger(spec, s, now); len(r) > 0 {
			return nil, time.Time{}
		}
	}
	message := fmt.Sprintf("not idle for %s", seconds(spec.IdleTime))
	if s.Replicas == 0 {
		message = "nothing waits"
		if s.Traffic.Waiting > 0 {
			message = "a start call is on its way"
		}
	}
	return []Reason{{
		Rule: "Keep", Effect: Wish, Replicas: s.Replicas, Message: message,
		Inputs: []Input{
			{Name: "waiting", Value: float64(s.Traffic.Waiting), Unit: "requests", Age: s.Traffic.Age},
			{Name: "inFlight", Value: float64(s.Traffic.InFlight), Unit: "requests", Age: s.Traffic.Age},
			{Name: "streaming", Value: float64(s.Traffic.Streaming), Unit: "requests", Age: s.Traffic.Age},
		},
	}}, time.Time{}
}

// thresholds says that it does not act on the thresholds that are set.
func thresholds(spec Spec, s State, _ time.Time) ([]Reason, time.Time) {
	var reasons []Reason
	for _, t := range []struct {
		name, unit string
		value      int32
	}{
		{"cpuThreshold", "m", spec.CPUThreshold},
		{"memoryThreshold", "MiB", spec.MemoryThreshold},
		{"responseTimeThreshold", "ms", spec.ResponseTimeThreshold},
	} {
		if t.value > 0 {
			reasons = append(reasons, Reason{
				Rule: "Thresholds", Effect: Note, Replicas: s.Replicas,
				Message: t.name + " is stored and not acted on yet",
				Inputs:  []Input{{Name: t.name, Value: float64(t.value), Unit: t.unit}},
			})
		}
	}
	return reasons, time.Time{}
}

func busy(t Traffic) bool { return t.Waiting > 0 || t.InFlight > 0 || t.Streaming > 0 }
