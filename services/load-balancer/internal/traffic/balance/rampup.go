package balance

import "time"

// How a pod that has just started is loaded.
const (
	rampFirst = 16                    // requests at once in the first step
	rampStep  = 50 * time.Millisecond // after each step it may have twice as many
	rampSteps = 8                     // then there is no limit any more: after 0.4 s
)

// RampUp bounds how many requests a pod that has just started gets at once, so that a full waiting
// room does not fall on it in one instant (its listen queue and its caches are small and cold). The
// bound starts at 16, doubles every 50 ms, and grows by one with each answer that begins, which for
// a fast pod is quicker. After 0.4 s it is gone. The zero value has no bound: a pod that was ready
// before this load balancer knew it is warm.
type RampUp struct {
	since   time.Time
	answers int
}

// Start begins the ramp, unless it began already.
func (r *RampUp) Start(now time.Time) {
	if r.since.IsZero() {
		r.since = now
	}
}

// Reset makes the next Start begin anew.
func (r *RampUp) Reset() { *r = RampUp{} }

// Answered counts an answer that began.
func (r *RampUp) Answered() {
	if !r.since.IsZero() {
		r.answers++
	}
}

// Limit is how many requests the pod may have at a time; 0 is no limit.
func (r *RampUp) Limit(now time.Time) int {
	if r.since.IsZero() {
		return 0
	}
	steps := int(now.Sub(r.since) / rampStep)
	if steps >= rampSteps {
		return 0
	}
	return rampFirst<<max(steps, 0) + r.answers
}

// Next is when the limit grows by itself; the zero time when it will not.
func (r *RampUp) Next(now time.Time) time.Time {
	if r.Limit(now) == 0 {
		return time.Time{}
	}
	return r.since.Add((now.Sub(r.since)/rampStep + 1) * rampStep)
}
