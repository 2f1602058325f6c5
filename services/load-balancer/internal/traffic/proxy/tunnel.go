package proxy

import (
	"errors"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/websocket"
)

// tunnel is a connection that has changed its protocol, such as a WebSocket: bytes go both ways
// until both sides have ended it, or none come for too long. One side may end before the other: it
// has no more to say, and may still listen.
type tunnel struct {
	up, down way          // from the client, and to it
	last     atomic.Int64 // UnixNano of the last byte, either way
	leaving  atomic.Bool  // its client was asked to go elsewhere
	bound    unanswered   // of a WebSocket
	idle     time.Duration
	now      func() time.Time
	touch    func(time.Time)
	caught   func(fault any, stack []byte)
}

// tunnel tells the client that the protocol changes, and joins the two connections.
func (x *exchange) tunnel() {
	head := x.answer.Head()
	head.Fields.DropHopByHop()
	head.Fields.Drop(message.ContentLength)
	x.status, x.answered = head.Status, head.Fields
	x.c.Watch(nil) // who ends one side of a tunnel may go on listening
	protocol := orElse(head.Upgrade, x.out.Upgrade)
	if err := x.begin(Head{Status: head.Status, Reason: head.Reason, Fields: head.Fields, Bodiless: true, Upgrade: protocol}); err != nil {
		x.fault = err
		return
	}
	client, err := x.c.Tunnel()
	if err != nil {
		x.fault = err
		return
	}
	t := &tunnel{idle: x.p.o.Limits.StreamIdle, now: x.p.o.Now, touch: x.visit.Touch, caught: x.p.caught}
	t.join(client, x.answer.Tunnel(), strings.EqualFold(protocol, "websocket"))
	if leaving := x.p.active.add(t); leaving && t.down.frames != nil {
		t.sendAway(betweenMessages)
	}
	defer x.p.active.remove(t)
	x.cutBy(t)
	defer x.cutBy(nil)
	x.body.taken, x.sent, x.fault = t.run()
}

// join says whose connections they are, and whether frames go over them that are known.
func (t *tunnel) join(client, pod Stream, webSocket bool) {
	t.up.from, t.up.to, t.up.ending = client, pod, closePod
	t.down.from, t.down.to, t.down.ending = pod, client, closeClient
	if webSocket {
		t.up.frames, t.down.frames = new(websocket.Frames), new(websocket.Frames)
	}
}

// run copies both ways and returns how many bytes came from the client and went to it. When it
// returns nothing of the tunnel goes on.
func (t *tunnel) run() (up, down int64, err error) {
	t.last.Store(t.now().UnixNano())
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				t.caught(fault, debug.Stack())
				t.Cancel()
				ended <- errFault
			}
		}()
		ended <- t.copy(&t.up)
	}()
	fine := false
	defer func() {
		if !fine { // a fault goes on up
			t.Cancel()
		}
		err = errors.Join(<-ended, err)
		t.up.finish()
		t.down.finish()
		err = t.bound.finish(err)
		up, down = t.up.bytes, t.down.bytes
	}()
	err = t.copy(&t.down)
	fine = true
	return 0, 0, err
}

func (t *tunnel) copy(w *way) error {
	w.from.Idle(t.idle, 0, t.now())
	for {
		part, err := w.from.Next()
		if len(part) > 0 {
			now := t.now()
			t.last.Store(now.UnixNano())
			t.touch(now)
			w.to.Idle(0, t.idle, now)
			ended, fault := w.pass(part)
			if w.from.Used(len(part)); fault == nil {
				fault = w.closeNow(t.idle, now) // who asked meanwhile found the way busy
			}
			if fault != nil {
				t.Cancel()
				return fault
			}
			if w.frames != nil && w.frames.Closed() {
				t.hasEnded(w)
			}
			if ended {
				return w.end(true)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			t.hasEnded(w)
			return w.end(t.leaving.Load())
		case t.mayGoOn(err):
			w.from.Idle(t.idle-t.now().Sub(time.Unix(0, t.last.Load())), 0, t.now())
		default:
			t.Cancel()
			return err
		}
		if err == nil {
			w.from.Idle(t.idle, 0, t.now())
		}
	}
}

// hasEnded notes that nothing more comes this way. Of other protocols nobody knows what is right then.
func (t *tunnel) hasEnded(w *way) {
	if w == &t.up && w.frames != nil {
		t.bound.end(t.Cancel)
	}
}

// drain has the tunnel end soon after its client's side.
func (t *tunnel) drain() { t.bound.drain(t.Cancel) }

// mayGoOn tells whether a read ran out of time while the other way had bytes.
func (t *tunnel) mayGoOn(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() && t.now().Sub(time.Unix(0, t.last.Load())) < t.idle
}

// Cancel ends both sides.
func (t *tunnel) Cancel() {
	_ = t.up.from.Close()
	_ = t.up.to.Close()
}
