package proxy

import (
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// tunnel is a connection that has changed its protocol, such as a WebSocket: bytes go both ways
// until both sides have ended it, or none come for too long. One side may end before the other: it
// has no more to say, and may still listen.
type tunnel struct {
	client, pod Stream
	last        atomic.Int64 // UnixNano of the last byte, either way
	idle        time.Duration
	now         func() time.Time
	touch       func(time.Time)
	caught      func(fault any, stack []byte)
}

// tunnel tells the client that the protocol changes, and joins the two connections.
func (x *exchange) tunnel() {
	head := x.answer.Head()
	head.Fields.DropHopByHop()
	head.Fields.Drop(message.ContentLength)
	x.status, x.answered = head.Status, head.Fields
	x.c.Watch(nil) // who ends one side of a tunnel may go on listening
	if err := x.begin(Head{Status: head.Status, Reason: head.Reason, Fields: head.Fields, Bodiless: true, Upgrade: orElse(head.Upgrade, x.out.Upgrade)}); err != nil {
		x.fault = err
		return
	}
	client, err := x.c.Tunnel()
	if err != nil {
		x.fault = err
		return
	}
	t := &tunnel{client: client, pod: x.answer.Tunnel(), idle: x.p.o.Limits.StreamIdle, now: x.p.o.Now, touch: x.visit.Touch, caught: x.p.caught}
	x.p.active.add(t)
	defer x.p.active.remove(t)
	x.body.taken, x.sent, x.fault = t.run()
}

// way is how one direction of a tunnel ended.
type way struct {
	bytes int64
	err   error
}

// run copies both ways and returns how many bytes came from the client and went to it. When it
// returns nothing of the tunnel goes on.
func (t *tunnel) run() (up, down int64, err error) {
	t.last.Store(t.now().UnixNano())
	ended := make(chan way, 1)
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				t.caught(fault, debug.Stack())
				t.Cancel()
				ended <- way{err: errFault}
			}
		}()
		n, err := t.copy(t.pod, t.client)
		ended <- way{n, err}
	}()
	fine := false
	defer func() {
		if !fine { // a fault goes on up
			t.Cancel()
		}
		other := <-ended
		up, err = other.bytes, errors.Join(other.err, err)
	}()
	down, err = t.copy(t.client, t.pod)
	fine = true
	return 0, down, err
}

func (t *tunnel) copy(to, from Stream) (int64, error) {
	var total int64
	from.Idle(t.idle, 0, t.now())
	for {
		part, err := from.Next()
		if len(part) > 0 {
			now := t.now()
			t.last.Store(now.UnixNano())
			t.touch(now)
			to.Idle(0, t.idle, now)
			_, fault := to.Write(part)
			from.Used(len(part))
			if fault != nil {
				t.Cancel()
				return total, fault
			}
			total += int64(len(part))
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return total, to.CloseWrite()
		case t.mayGoOn(err):
			from.Idle(t.idle-t.now().Sub(time.Unix(0, t.last.Load())), 0, t.now())
		default:
			t.Cancel()
			return total, err
		}
		if err == nil {
			from.Idle(t.idle, 0, t.now())
		}
	}
}

// mayGoOn tells whether a read ran out of time while the other way had bytes.
func (t *tunnel) mayGoOn(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() && t.now().Sub(time.Unix(0, t.last.Load())) < t.idle
}

// Cancel ends both sides.
func (t *tunnel) Cancel() {
	_ = t.client.Close()
	_ = t.pod.Close()
}
