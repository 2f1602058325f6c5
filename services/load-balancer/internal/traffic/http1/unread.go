package http1

import (
	"math"
	"sync/atomic"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
)

// unread is what of a client's bytes was not read while its request is served. Who reads the body
// writes it; who watches for the client's going looks, from another goroutine.
type unread struct {
	state   atomic.Uint32
	missing atomic.Int64 // bytes of the body that are not in the buffer; unknown in chunks
}

// unknown is less than a buffer can be ahead.
const unknown = math.MinInt64

const (
	bodyOpen    = 1 << iota // the body is not at its end
	reading                 // a read of it is under way
	ahead                   // bytes are buffered: of the body, or of the next request
	interrupted             // reads of the body fail
	oneRead                 // the bits from here on count the reads
)

func (u *unread) begin(open bool, buffered int) { u.state.Store(stateOf(open, buffered)) }

// lacks notes what the body lacks: before begin, or before the end of a read.
func (u *unread) lacks(body *link.Framed) {
	missing, known := body.Missing()
	if !known {
		missing = unknown
	}
	u.missing.Store(missing)
}

func stateOf(open bool, buffered int) (state uint32) {
	if open {
		state |= bodyOpen
	}
	if buffered > 0 {
		state |= ahead
	}
	return state
}

// reads begins a read of the body.
func (u *unread) reads() { u.state.Or(reading) }

// has ends it.
func (u *unread) has(open bool, buffered int) {
	state := stateOf(open, buffered)
	for {
		old := u.state.Load()
		count := (old &^ (oneRead - 1)) + oneRead // whoever looked meanwhile sees that it has changed
		if u.state.CompareAndSwap(old, count|state|old&interrupted) {
			return
		}
	}
}

// interrupt says that no more of the body is read; false when there is no more.
func (u *unread) interrupt() bool {
	for {
		old := u.state.Load()
		if old&bodyOpen == 0 {
			return false
		}
		if u.state.CompareAndSwap(old, old|interrupted) {
			return true
		}
	}
}

// ended tells whether the next byte that comes belongs to the next request, and can be read.
func (u *unread) ended() bool { return u.state.Load()&(bodyOpen|interrupted) == 0 }

// nothing tells whether all that came was read, and nobody reads.
func (u *unread) nothing() bool { return u.state.Load()&(reading|ahead) == 0 }

// last tells whether nothing but the rest of the body can be among the bytes that queue in the system,
// when no more of them come: so that all of the body is there, or never will be. Those are counted
// meanwhile, so it is no more than false when somebody reads.
func (u *unread) last(queued func() (int, bool)) bool {
	before := u.state.Load()
	missing := u.missing.Load()
	if before&reading != 0 || missing == unknown {
		return false
	}
	n, known := queued()
	return known && int64(n) <= missing && u.state.Load() == before
}
