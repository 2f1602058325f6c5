package scaling

import (
	"fmt"
	"time"
)

// Contest is somebody who sets the count back again and again. The zero value is nobody.
type Contest struct {
	Who   string    // in words
	Until time.Time // when it is tried again
}

// Conflict says that somebody else scales the Deployment too, and what to do. Two that scale one
// Deployment undo each other's work, so only what the other one cannot do is done here: a request wakes
// it from zero, where a HorizontalPodAutoscaler does nothing.
func Conflict(owner string) string {
	return owner + " scales this Deployment too: here it is only woken from zero until one of the two lets go of it" +
		" (delete the other one, or take the Deployment out of the CustomAutoscaler)"
}

// Contested says that somebody sets the count back again and again, and what to do.
func Contested(who string) string {
	return who + ": nothing is started or stopped here for now" +
		" (leave replicas out of the manifest, or let the tool ignore the field; a change of the CustomAutoscaler begins anew)"
}

// yield leaves everything as it is, up and down, whatever asks for it.
func yield(s State, rule, why string) Decision {
	d := Decision{From: s.Replicas, To: s.Replicas, Wished: s.Replicas, Aim: s.Replicas, Trigger: Reconcile}
	if s.Call != nil {
		d.Trigger = StartCall
	}
	d.Reasons = []Reason{{Rule: rule, Effect: Hold, Replicas: s.Replicas, Message: why}}
	d.Summary = cut(fmt.Sprintf("stays at %d: %s", s.Replicas, why))
	return d
}

// wake is all that is done while somebody else scales the Deployment: from zero to one, when a request
// waits, for it or for one that it wakes together with. What goes on from there is the other one's.
func wake(spec Spec, s State, now time.Time) Decision {
	asks, due := start(spec, s, now)
	if len(asks) == 0 {
		var until time.Time
		asks, until = together(spec, s, now)
		due = earliest(due, until)
	}
	if s.Replicas > 0 || len(asks) == 0 {
		d := yield(s, "Conflict", Conflict(s.Owner))
		d.Due = due
		return d
	}
	d := Decision{From: 0, To: 1, Wished: 1, Aim: 1, Trigger: StartCall, Reasons: asks}
	d.Reasons[0].Replicas = 1
	d.Reasons = append(d.Reasons, Reason{Rule: "Conflict", Effect: Note, Replicas: 1, Message: s.Owner + " scales it from one on"})
	d.Summary = cut("0 → 1: " + asks[0].Message + ", and " + s.Owner + " scales it from one on")
	return d
}
