package http1

import "sync/atomic"

// unread is what of a client's bytes was not read while its request is served. Who reads the body
// writes it; who watches for the client's going looks, from another goroutine.
type unread struct{ state atomic.Uint32 }

const (
	bodyOpen    = 1 << iota // the body is not at its end
	reading                 // a read of it is under way
	ahead                   // bytes are buffered: of the body, or of the next request
	interrupted             // reads of the body fail
)

func (u *unread) begin(open bool, buffered int) { u.state.Store(stateOf(open, buffered)) }

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
		if u.state.CompareAndSwap(old, state|old&interrupted) {
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
