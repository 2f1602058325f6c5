package scaling

import (
	"fmt"
	"time"
)

// callGrace is how long a start call may be on its way. A load balancer calls and reports at the
// same moment; the call is to win, for it carries the trace of the request that waits. A report
// alone acts only when the call must have been lost.
const callGrace = time.Second

// A wish proposes a count. Several reasons may explain it; only those with the effect Wish count. The
// time is when the wish may change by the mere passing of time. Of equal wishes the first names the
// trigger.

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
	message := Count(waiting, "request waits", "requests wait")
	switch {
	case s.Call != nil && s.Call.By != "":
		message = s.Call.By + " asks for a start"
	case s.Call != nil && waiting == 0:
		message = "a load balancer asks for a start"
	}
	n := startCount(spec, s, waiting)
	inputs := []Input{{Name: "waiting", Value: float64(waiting), Unit: "requests"}}
	if takes := spec.takes(s.Demand); takes > 0 && s.Ready == 0 {
		inputs = append(inputs, Input{Name: "podTakes", Value: takes, Unit: "requests"})
	}
	return []Reason{{Rule: "Start", Effect: Wish, Replicas: n, Message: message, Trigger: StartCall, Inputs: inputs}}, time.Time{}
}

// startCount is how many pods are asked for while so many requests wait.
func startCount(spec Spec, s State, waiting int32) int32 {
	n := max(1, spec.MinReplicas, s.Replicas)
	if spec.takes(s.Demand) > 0 && s.Ready == 0 {
		n = max(n, forWaiting(spec, float64(waiting), s.Demand))
	}
	return n
}

// idle asks for zero (the clamps make it minReplicas) once nothing was heard for idleTime.
func idle(spec Spec, s State, now time.Time) ([]Reason, time.Time) {
	if s.Replicas == 0 || busy(s.Traffic) || s.Demand.Working() || s.Call != nil || s.Traffic.IdleSince.IsZero() {
		return nil, time.Time{}
	}
	if spec.Together {
		if who, until := s.Together.inUse(spec, now); who != "" {
			return nil, until
		}
	}
	silent := now.Sub(s.Traffic.IdleSince)
	switch {
	case silent >= spec.IdleTime:
	case s.rests():
		return []Reason{{
			Rule: "Idle", Effect: Wish, Replicas: 0, Trigger: Idle, Message: s.Rest.By + " asked for it",
			Inputs: []Input{{Name: "silent", Value: silent.Seconds(), Unit: "s", Age: s.Traffic.Age}},
		}}, s.Traffic.IdleSince.Add(spec.IdleTime)
	default:
		return nil, s.Traffic.IdleSince.Add(spec.IdleTime)
	}
	return []Reason{{
		Rule: "Idle", Effect: Wish, Replicas: 0, Trigger: Idle, Brief: "no traffic for " + Seconds(spec.IdleTime),
		Message: fmt.Sprintf("no traffic for %s (idleTime %s)", Seconds(silent), Seconds(spec.IdleTime)),
		Inputs: []Input{
			{Name: "silent", Value: silent.Seconds(), Unit: "s", Age: s.Traffic.Age},
			{Name: "idleTime", Value: spec.IdleTime.Seconds(), Unit: "s"},
		},
	}}, time.Time{}
}

// working says that the pods have something to do that no load balancer knows of; and, when that has
// been the same for too long, that it does not count.
func working(spec Spec, s State, now time.Time) ([]Reason, time.Time) {
	d := s.Demand
	if s.Replicas == 0 || busy(s.Traffic) || d.Running <= 0 && d.Queued <= 0 {
		return nil, time.Time{}
	}
	message := fmt.Sprintf("the sidecars say that the pods work on %v requests, and %v wait in them", d.Running, d.Queued)
	if d.Still {
		message += "; that has been so for too long to count"
	}
	return []Reason{{
		Rule: "Working", Effect: Note, Replicas: s.Replicas, Message: message, Brief: "the sidecars say that the pods have something to do",
		News: d.Working() && !s.Traffic.QuietSince.IsZero() && now.Sub(s.Traffic.QuietSince) >= spec.IdleTime, // else it would sleep
		Inputs: []Input{
			{Name: "running", Value: d.Running, Unit: "requests", Age: d.SidecarAge},
			{Name: "queued", Value: d.Queued, Unit: "requests", Age: d.SidecarAge},
		},
	}}, d.WorkingUntil
}

// keep leaves what is there when nobody wishes anything else: between the bounds, people and other
// tools may scale by hand.
func keep(spec Spec, s State) Reason {
	message := fmt.Sprintf("not idle for %s", Seconds(spec.IdleTime))
	if s.Replicas == 0 {
		message = "nothing waits"
		if s.Traffic.Waiting > 0 {
			message = "a start call is on its way"
		}
	}
	return Reason{
		Rule: "Keep", Effect: Wish, Replicas: s.Replicas, Message: message, Trigger: Reconcile,
		Inputs: []Input{
			{Name: "waiting", Value: float64(s.Traffic.Waiting), Unit: "requests", Age: s.Traffic.Age},
			{Name: "inFlight", Value: float64(s.Traffic.InFlight), Unit: "requests", Age: s.Traffic.Age},
			{Name: "streaming", Value: float64(s.Traffic.Streaming), Unit: "requests", Age: s.Traffic.Age},
		},
	}
}

func busy(t Traffic) bool { return t.Waiting > 0 || t.InFlight > 0 || t.Streaming > 0 }
