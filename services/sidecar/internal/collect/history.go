package collect

import "time"

// shortest is the least time over which growth is measured: CPU time comes in steps of 10 ms, and
// commands may come faster than that.
const shortest = 500 * time.Millisecond

// history keeps two readings of something that grows: the last one that is old enough to measure
// growth from it, and the one that will be next.
type history[T any] struct{ base, next *reading[T] }

type reading[T any] struct {
	at    time.Time
	value T
}

// since takes a reading, and returns the earlier one that growth is measured from, and how long ago
// that was.
func (h *history[T]) since(at time.Time, value T) (before T, elapsed time.Duration, ok bool) {
	if h.next != nil && at.Sub(h.next.at) >= shortest {
		h.base, h.next = h.next, nil
	}
	if h.next == nil {
		h.next = &reading[T]{at, value}
	}
	if h.base == nil {
		return before, 0, false
	}
	return h.base.value, at.Sub(h.base.at), true
}
