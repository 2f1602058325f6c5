// Package retry says how long to wait before something that failed is tried again. It decides nothing
// about what is worth a second try.
package retry

import (
	"context"
	"time"
)

// Backoff grows from First to Most, doubled with each failure in a row. The zero value waits not at all.
type Backoff struct{ First, Most time.Duration }

// bound is what the wait after so many failures in a row, from 1 on, has for its measure.
func (b Backoff) bound(failures int) time.Duration {
	wait := b.First
	for ; failures > 1 && wait < b.Most; failures-- {
		wait *= 2
	}
	return min(wait, b.Most)
}

// Full is any time up to the bound (full jitter): many who failed at once do not come back at once.
// random gives a number from 0 to below 1.
func (b Backoff) Full(failures int, random func() float64) time.Duration {
	return time.Duration(random() * float64(b.bound(failures)))
}

// Near is about the bound, up to three tenths of it more or less: for those who must be back soon, and
// not in step.
func (b Backoff) Near(failures int, random func() float64) time.Duration {
	return time.Duration((0.7 + 0.6*random()) * float64(b.bound(failures)))
}

// Pause waits for d; false when ctx ends first.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
