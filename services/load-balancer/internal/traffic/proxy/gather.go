package proxy

import (
	"errors"
	"io"
)

// How much of a body is read before a pod is asked for.
const (
	gatherLimit = 64 << 10
	gatherFirst = 4 << 10 // that costs nothing: the exchange keeps it
)

var errBodyTooLarge = errors.New("the body is larger than allowed")

// body is what is known of a request's body.
type body struct {
	bytes    []byte // that were gathered
	held     int64  // of them, that count against the limit of all
	taken    int64  // bytes read from the client
	complete bool   // all of it is in bytes
	ended    bool   // all of it was read
}

// gather reads a body, or its beginning, into memory: a pod's place is not held by a client that is
// slow to send, and a request that is in memory can be tried on another pod. A client that waits for
// 100 Continue is not told to send before there is a pod.
func (x *exchange) gather() error {
	b := &x.body
	if !x.r.HasBody() {
		b.complete, b.ended = true, true
		return nil
	}
	if x.r.Expect {
		return nil
	}
	if b.bytes == nil {
		b.bytes = make([]byte, 0, gatherFirst)
	}
	for len(b.bytes) < gatherLimit {
		if len(b.bytes) == cap(b.bytes) && !x.growGathered() {
			return nil
		}
		n, err := x.c.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if fault := x.took(n, err); fault != nil {
			return fault
		}
		if b.ended {
			b.complete = true
			return nil
		}
	}
	return nil
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
		x.body.ended = true
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

// rest is the part of a body that was not gathered, as the sender reads it: counted and bounded.
type rest struct {
	Exchanging
	x *exchange
}

// Read gives the next part.
func (r rest) Read(p []byte) (int, error) {
	n, err := r.Exchanging.Read(p)
	if n > 0 {
		r.x.visit.App.Touch(r.x.p.o.Now())
	}
	if fault := r.x.took(n, err); fault != nil {
		return 0, fault
	}
	return n, err
}
