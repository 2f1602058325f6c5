package balance

import "time"

// How a pod that has just started is loaded.
const (
	// WokenFirst is for a pod that was started for those who wait: nobody else takes them.
	WokenFirst = 16
	// JoinedFirst is for one that comes to others.
	JoinedFirst = 2

	trialFirst   = 1               // for one that was ejected
	rampEnd      = 512             // from here on there is no bound any more
	rampPatience = 5 * time.Second // a pod that answers nothing (long polls) gets its next step after this
)

// RampUp bounds how many requests a pod that has just started gets at once, so that what waits does
// not fall on it in one instant (its listen queue and its caches are small and cold). When as many
// answers have come as the bound lets through, the bound doubles: a pod that is quick is ramped up in
// milliseconds, one that loads a model with its first request waits for that. The zero value has no
// bound: a pod that was ready before this load balancer knew it is warm.
type RampUp struct {
	begun   bool
	limit   int32 // 0: it has not begun, or is over
	answers int32
	since   time.Time // of this step
}

// Start begins the ramp, unless it began already.
func (r *RampUp) Start(first int, now time.Time) {
	if !r.begun {
		*r = RampUp{begun: true, limit: int32(first), since: now} //nolint:gosec // G115: one of the constants above
	}
}

// Reset makes the next Start begin anew.
func (r *RampUp) Reset() { *r = RampUp{} }

// Answered counts a good answer, and reports whether the bound has changed.
func (r *RampUp) Answered(now time.Time) bool {
	if r.limit == 0 {
		return false
	}
	if r.answers++; r.answers < r.limit {
		return false
	}
	r.step(now)
	return true
}

// Pass takes the step that time alone brings.
func (r *RampUp) Pass(now time.Time) {
	if r.limit > 0 && !now.Before(r.Next()) {
		r.step(now)
	}
}

func (r *RampUp) step(now time.Time) {
	r.limit, r.answers, r.since = 2*r.limit, 0, now
	if r.limit >= rampEnd {
		*r = RampUp{begun: true}
	}
}

// Limit is how many requests the pod may have at a time; 0 is no limit.
func (r *RampUp) Limit() int32 { return r.limit }

// Next is when the bound grows by itself; the zero time when there is none.
func (r *RampUp) Next() time.Time {
	if r.limit == 0 {
		return time.Time{}
	}
	return r.since.Add(rampPatience)
}
