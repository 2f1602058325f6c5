package scaling

import "time"

// Group is what the other targets of the CustomAutoscaler do, where all wake and sleep as one. The zero
// value is no group.
type Group struct {
	Busy      string    // one of them that has requests waiting or in flight; "" is none
	IdleSince time.Time // the latest of theirs; zero: not known, or none
	Awake     bool      // one of them has pods
}

// inUse tells which of the others is in use, "" is none, and until when at least.
func (g Group) inUse(spec Spec, now time.Time) (who string, until time.Time) {
	if g.Busy != "" {
		return g.Busy, time.Time{}
	}
	if until := g.IdleSince.Add(spec.IdleTime); g.Awake && now.Before(until) {
		return "another target", until
	}
	return "", time.Time{}
}

// together asks for a pod while another target of the group is in use.
func together(spec Spec, s State, now time.Time) ([]Reason, time.Time) {
	if !spec.Together {
		return nil, time.Time{}
	}
	who, until := s.Together.inUse(spec, now)
	if who == "" {
		return nil, time.Time{}
	}
	return []Reason{{
		Rule: "Together", Effect: Wish, Replicas: max(1, spec.MinReplicas), Trigger: StartCall, Message: who + " is in use, and all wake and sleep as one",
	}}, until
}
