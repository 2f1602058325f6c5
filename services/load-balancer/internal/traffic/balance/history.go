package balance

import "math/bits"

// How far back outcomes are looked at.
const (
	windowSize = 64 // a bit each
	recentSize = 8
)

// history is a pod's last outcomes, the newest in the lowest bit; a bit that is set is a failure.
type history struct {
	failed uint64
	count  uint8 // outcomes, up to the window's size
	row    uint8 // failures in a row, as far as the counter goes
}

// tally is how many of so many failed.
type tally struct{ failed, of int32 }

func (t *tally) add(o tally) { t.failed, t.of = t.failed+o.failed, t.of+o.of }
func (t *tally) sub(o tally) { t.failed, t.of = t.failed-o.failed, t.of-o.of }

// share is what failed, with half a failure among five more: who is not known is thought well of.
func (t tally) share() float64 { return (float64(t.failed) + .5) / (float64(t.of) + 5) }

func (h *history) good() {
	h.failed <<= 1
	h.row = 0
	h.count = min(h.count+1, windowSize)
}

func (h *history) bad() {
	h.failed = h.failed<<1 | 1
	h.row = min(h.row, 254) + 1
	h.count = min(h.count+1, windowSize)
}

// spotless is a full window without a failure: a good outcome more changes nothing.
func (h *history) spotless() bool { return h.failed == 0 && h.count == windowSize }

func (h *history) window() tally {
	return tally{int32(bits.OnesCount64(h.failed)), int32(h.count)} //nolint:gosec // G115: at most 64
}

func (h *history) recent() tally {
	return tally{int32(bits.OnesCount64(h.failed & (1<<recentSize - 1))), int32(min(h.count, recentSize))} //nolint:gosec // G115: at most 8
}
