package proxy

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// How much of a body is read before a pod is asked for, and how slow it may be.
const (
	gatherLimit = 64 << 10
	gatherFirst = 4 << 10 // that does not count against the limit of all
	gatherKept  = 512     // that is used again: most bodies that wait are small
	smallBody   = 8 << 10 // that is waited for in any case
	gatherGrace = 5 * time.Second
	leastRate   = 240 // bytes a second after the grace
)

var (
	errBodyTooLarge = errors.New("the body is larger than allowed")
	errBodyTooSlow  = errors.New("the body comes too slowly")
)

// body is what is known of a request's body. The goroutine that serves the request fills it, and
// from the sending on whoever reads for the sender.
type body struct {
	bytes    []byte // that were gathered
	held     int64  // of them, that count against the limit of all
	taken    int64  // bytes read from the client
	complete bool   // all of it is in bytes
	ended    atomic.Bool
	pace     pace // of the rest
}

// gather reads a body, or its beginning, into memory: a pod's place is not held by a client that is
// slow to send, and a request that is in memory can be tried on another pod. A small body is waited
// for, and also more of one for pods that work on few requests at a time; of any other what is there
// is taken along, for the pod may answer to the head alone. A client that waits for 100 Continue is
// not told to send before there is a pod, unless its pods are limited: then its body would be waited
// for in a pod's place.
func (x *exchange) gather() error {
	b := &x.body
	if !x.r.HasBody() {
		b.complete = true
		b.ended.Store(true)
		return nil
	}
	if x.r.Expect {
		if x.match.Target.Route().Concurrency == 0 {
			return nil
		}
		if err := x.c.Continue(); err != nil {
			return &BodyError{Err: err}
		}
		x.r.Expect = false // the pod gets the body as soon as the head
	}
	if first := x.gatherFirst(); cap(b.bytes) < first {
		b.bytes = make([]byte, 0, first)
	}
	for awaited := x.awaitsBody(); len(b.bytes) < gatherLimit && (awaited || x.c.Ready()); {
		if len(b.bytes) == cap(b.bytes) && !x.growGathered() {
			return nil
		}
		if x.r.Length < 0 || !x.c.Ready() { // it may wait
			now := x.p.o.Now()
			if err := x.startEarly(now); err != nil {
				return err
			}
			x.c.Patience(x.gatherPatience(now), now)
			x.waited()
		}
		n, err := x.c.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if fault := x.took(n, err); fault != nil {
			return fault
		}
		if b.ended.Load() {
			b.complete = true
			return nil
		}
	}
	return nil
}

// gatherFirst is for how many bytes there is room at first.
func (x *exchange) gatherFirst() int {
	if x.r.Length < 0 {
		return gatherFirst
	}
	return int(min(max(x.r.Length, gatherKept), gatherFirst))
}

// startEarly has an application started for whom the request will wait, while its body still comes.
func (x *exchange) startEarly(now time.Time) error {
	if x.visit.App != nil || x.c.Ready() || x.match.Target.Serving() {
		return nil
	}
	return x.visit.Announce(x.match.Target, x.arrival(), now)
}

// awaitsBody tells whether the body is waited for.
func (x *exchange) awaitsBody() bool {
	if x.r.Length >= 0 {
		return x.r.Length <= smallBody || x.match.Target.Route().Concurrency > 0
	}
	// Over HTTP/2 a body without a length may be one half of a conversation, as gRPC has them.
	return x.r.Version != message.HTTP2 && x.match.Target.Route().Concurrency > 0
}

// gatherPatience is how long the next part may take: until the rate would be too low.
func (x *exchange) gatherPatience(now time.Time) time.Duration {
	due := x.began.Add(gatherGrace + time.Duration(x.body.taken)*time.Second/leastRate)
	return max(due.Sub(now), time.Millisecond)
}

// growGathered makes room for as much again; false when all requests together hold too much.
func (x *exchange) growGathered() bool {
	b := &x.body
	more := int64(min(cap(b.bytes), gatherLimit-cap(b.bytes)))
	if x.p.gathered.Add(more) > x.p.o.Limits.Gathered {
		x.p.gathered.Add(-more)
		return false
	}
	b.held += more
	b.bytes = append(make([]byte, 0, cap(b.bytes)+int(more)), b.bytes...)
	return true
}

// took counts what was read of the body.
func (x *exchange) took(n int, err error) error {
	x.body.taken += int64(n)
	switch {
	case x.body.taken > x.p.o.Limits.Body:
		return errBodyTooLarge
	case errors.Is(err, io.EOF):
		x.body.ended.Store(true)
	case isTimeout(err):
		return &BodyError{Err: errBodyTooSlow}
	case err != nil:
		return &BodyError{Err: err}
	}
	return nil
}

// ungather gives back what the body held.
func (x *exchange) ungather() {
	if x.body.held > 0 {
		x.p.gathered.Add(-x.body.held)
		x.body.bytes = nil
	}
}

func isTimeout(err error) bool {
	if err == nil || errors.Is(err, io.EOF) {
		return false
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
