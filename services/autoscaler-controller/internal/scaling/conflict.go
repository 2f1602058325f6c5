package scaling

import "fmt"

// Conflict says that somebody else scales the Deployment too, and what to do. Two that scale one
// Deployment undo each other's work, so nothing is done at all until one of them lets go.
func Conflict(owner string) string {
	return owner + " scales this Deployment too: nothing is scaled here until one of the two lets go of it" +
		" (delete the other one, or take the Deployment out of the CustomAutoscaler)"
}

// yield leaves everything as it is, up and down, whatever asks for it.
func yield(s State) Decision {
	d := Decision{From: s.Replicas, To: s.Replicas, Wished: s.Replicas, Trigger: Reconcile}
	if s.Call != nil {
		d.Trigger = StartCall
	}
	if !s.Sleep.Since.IsZero() {
		d.Drain = DrainCancel
	}
	d.Reasons = []Reason{{Rule: "Conflict", Effect: Hold, Replicas: s.Replicas, Message: Conflict(s.Owner)}}
	d.Summary = cut(fmt.Sprintf("stays at %d: %s", s.Replicas, Conflict(s.Owner)))
	return d
}
