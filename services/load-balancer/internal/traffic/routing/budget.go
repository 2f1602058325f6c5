package routing

import "time"

// The defaults of the two budgets.
const (
	startFactor      = 3.5              // of a learned start: slow ones are forgiven, hopeless ones not waited for
	leastStartBudget = 15 * time.Second // a start that took moments may still meet a node that is busy or without its image
	busyBudget       = 30 * time.Second // a full application sheds sooner than an empty one
)

// StartBudget is how long a request waits while no pod serves. expected is how long a start took
// lately; 0 is not known.
func (r *Route) StartBudget(expected time.Duration) time.Duration {
	switch {
	case r.StartTimeout > 0:
		return min(r.StartTimeout, r.WakeUpTimeout)
	case expected > 0:
		return min(max(time.Duration(startFactor*float64(expected)), leastStartBudget), r.WakeUpTimeout)
	}
	return r.WakeUpTimeout
}

// BusyBudget is how long a request waits while pods serve, and each works on as many requests as it
// may.
func (r *Route) BusyBudget() time.Duration {
	if r.BusyTimeout > 0 {
		return min(r.BusyTimeout, r.WakeUpTimeout)
	}
	return min(busyBudget, r.WakeUpTimeout)
}
