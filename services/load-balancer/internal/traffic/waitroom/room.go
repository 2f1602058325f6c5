// Package waitroom holds the requests of one application for which no pod is free: a queue in the
// order of arrival, bounded by count and by bytes, from which any request can go at once.
//
// It knows neither HTTP nor pods nor time: a ticket is a place in the queue, and what waits behind
// it is its holder's business. A Room has no lock of its own; who shares one between goroutines
// brings the lock. Only the Budget, which many rooms share, may be used by all at once.
package waitroom

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// The refusals of a room.
var (
	ErrTooMany  = errors.New("too many requests wait")
	ErrTooLarge = errors.New("the requests that wait hold too many bytes")
	ErrShare    = errors.New("the requests that wait hold more than their share of bytes")
)

// Budget bounds the bytes that all rooms together hold.
type Budget struct {
	limit  int64
	used   atomic.Int64
	shared atomic.Bool
}

// NewBudget makes a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used is how many bytes are held.
func (b *Budget) Used() int64 { return b.used.Load() }

// Share says whether there are rooms that something must be left to: once three quarters of the
// budget are taken, no room may hold more than half of it.
func (b *Budget) Share(shared bool) { b.shared.Store(shared) }

// take takes n bytes for a room that will hold so many then.
func (b *Budget) take(n, will int64) error {
	used := b.used.Add(n)
	switch {
	case used > b.limit:
		b.used.Add(-n)
		return ErrTooLarge
	case b.shared.Load() && used > b.limit/4*3 && will > b.limit/2:
		b.used.Add(-n)
		return ErrShare
	}
	return nil
}

// Room is a queue of tickets. The zero value is not usable; see New.
type Room struct {
	tickets     int
	bytes       int64
	maxTickets  int
	maxBytes    int64
	budget      *Budget
	first, last *Ticket
}

// Ticket is a place in a room.
type Ticket struct {
	Holder     any // whose place it is
	prev, next *Ticket
	sequence   uint64
	bytes      int64
	in         bool
}

// New makes a room for so many requests that hold so many bytes, within the budget of all rooms.
func New(maxTickets int, maxBytes int64, budget *Budget) *Room {
	return &Room{maxTickets: maxTickets, maxBytes: maxBytes, budget: budget}
}

// Len is how many wait.
func (r *Room) Len() int { return r.tickets }

// Bytes is how much they hold.
func (r *Room) Bytes() int64 { return r.bytes }

// First is the ticket that has waited longest; nil when nobody waits.
func (r *Room) First() *Ticket { return r.first }

// Next is the ticket behind it; nil when it is the last one, or has left.
func (t *Ticket) Next() *Ticket { return t.next }

// Enter gives the ticket a place. sequence is the order of arrival: a request that was sent out of
// the room and comes back (its pod was gone) gets the place that it had. The errors are ErrTooMany,
// ErrTooLarge and ErrShare, with the limit. A request that comes back is never refused for its number: it was let in before.
func (r *Room) Enter(t *Ticket, sequence uint64, bytes int64, again bool) error {
	if r.tickets >= r.maxTickets && !again {
		return fmt.Errorf("%w: at most %d may for one application", ErrTooMany, r.maxTickets)
	}
	if err := r.take(bytes); err != nil {
		return fmt.Errorf("%w: at most %d for one application, and %d for all", err, r.maxBytes, r.budget.limit)
	}
	t.sequence, t.bytes, t.in = sequence, bytes, true
	after := r.last
	if r.first != nil && sequence < r.first.sequence {
		after = nil // who comes back is nearly always the oldest
	}
	for after != nil && after.sequence > sequence {
		after = after.prev
	}
	r.insert(t, after)
	r.tickets++
	r.bytes += bytes
	return nil
}

// take takes n bytes of the room's own limit and of the budget.
func (r *Room) take(n int64) error {
	if r.bytes+n > r.maxBytes {
		return ErrTooLarge
	}
	return r.budget.take(n, r.bytes+n)
}

// Leave takes the ticket out, wherever it stands; false when it was out already.
func (r *Room) Leave(t *Ticket) bool {
	if !t.in {
		return false
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		r.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		r.last = t.prev
	}
	r.tickets--
	r.bytes -= t.bytes
	r.budget.used.Add(-t.bytes)
	t.prev, t.next, t.in = nil, nil, false
	return true
}

// insert puts the ticket behind after; nil is the front.
func (r *Room) insert(t, after *Ticket) {
	t.prev = after
	if after == nil {
		t.next = r.first
		r.first = t
	} else {
		t.next = after.next
		after.next = t
	}
	if t.next == nil {
		r.last = t
	} else {
		t.next.prev = t
	}
}
