package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/loop"
)

// HoldPlan opens connections that are then left alone.
type HoldPlan struct {
	Addr        netip.AddrPort
	Connections int
	Request     []byte
	Until       Stage
	Settle      time.Duration // after all have reached the stage, for a proxy to give back what it does not need
	Held        func() error  // is called then, while they are open
}

// Stage is how far a connection gets before it is left alone.
type Stage int

// The stages.
const (
	Answered  Stage = iota // its request is answered, and it is kept
	Streaming              // the first 100 KB of an answer without end have come
	Tunnelled              // it is a WebSocket, and 100 KB came after a message
	Waiting                // its request is sent, and not answered
)

const holdWithin = time.Minute // to reach the stage

// holder is the state of a run.
type holder struct {
	plan   HoldPlan
	loop   *loop.Loop
	conns  []*held
	there  int // at the stage
	err    error
	buffer [256 << 10]byte
}

// Hold opens the connections, one after the other's request is sent, and calls Held.
func Hold(ctx context.Context, p HoldPlan) (err error) {
	if p.Connections < 1 || p.Connections > MaxConnections {
		return fmt.Errorf("connections: %d is not allowed: must be from 1 to %d", p.Connections, MaxConnections)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := loop.New()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	h := &holder{plan: p, loop: l}
	defer h.close()
	for range p.Connections {
		if err := h.open(); err != nil {
			return err
		}
		if err := h.turn(ctx, 0); err != nil { // answers are read as they come
			return err
		}
	}
	if err := h.until(ctx, holdWithin, func() bool { return h.there == p.Connections }); err != nil {
		return err
	}
	if h.there < p.Connections {
		return fmt.Errorf("%d of %d connections got so far within %v", h.there, p.Connections, holdWithin)
	}
	if err := h.until(ctx, p.Settle, func() bool { return false }); err != nil {
		return err
	}
	return p.Held()
}

func (h *holder) open() error {
	fd, err := loop.Dial(h.plan.Addr)
	if err != nil {
		return err
	}
	c := &held{holder: h, fd: fd}
	h.conns = append(h.conns, c)
	if err := h.loop.Add(fd, loop.Readable, c); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if h.plan.Until == Waiting {
		c.arrive()
	}
	return c.write(h.plan.Request)
}

// turn takes what comes within the limit.
func (h *holder) turn(ctx context.Context, limit time.Duration) error {
	return errors.Join(ctx.Err(), h.loop.Wait(limit), h.err)
}

// until takes what comes until it is enough, or until the limit.
func (h *holder) until(ctx context.Context, limit time.Duration, enough func() bool) error {
	for end := backend.Now() + limit; !enough(); {
		left := end - backend.Now()
		if left <= 0 {
			return nil
		}
		if err := h.turn(ctx, min(left, 100*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

func (h *holder) close() {
	for _, c := range h.conns {
		h.loop.Remove(c.fd)
	}
}

// held is one of the connections.
type held struct {
	holder  *holder
	fd      int
	answer  answer
	head    bool // has come
	body    int  // bytes that came of it
	arrived bool // at the stage
}

func (c *held) write(p []byte) error {
	if n, err := unix.Write(c.fd, p); err != nil || n < len(p) {
		return fmt.Errorf("send: %d of %d bytes: %w", n, len(p), err)
	}
	return nil
}

// Ready reads.
func (c *held) Ready(uint32) {
	n, err := unix.Read(c.fd, c.holder.buffer[:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if err == nil && n == 0 {
		err = errors.New("the proxy closed it")
	}
	if err == nil {
		err = c.take(c.holder.buffer[:n])
	}
	if err != nil {
		c.holder.err = errors.Join(c.holder.err, err)
		c.holder.loop.Remove(c.fd)
	}
}

func (c *held) take(p []byte) error {
	switch c.holder.plan.Until {
	case Streaming, Tunnelled:
	case Waiting:
		return fmt.Errorf("an answer, where none was to come: %q", p[:min(len(p), 300)])
	case Answered:
		done, err := c.answer.feed(p)
		if done {
			c.arrive()
		}
		return err
	}
	if !c.head {
		head, body, err := c.answer.head(p)
		if head == nil || err != nil {
			return err
		}
		c.head, p = true, body
		if c.holder.plan.Until == Tunnelled {
			return c.write(message)
		}
	}
	c.body += len(p)
	if c.body >= backend.Stream {
		c.arrive()
	}
	return nil
}

func (c *held) arrive() {
	if !c.arrived {
		c.arrived = true
		c.holder.there++
	}
}

// message is one of a WebSocket's client: text, masked, "ok".
var message = []byte{0x81, 0x82, 1, 2, 3, 4, 'o' ^ 1, 'k' ^ 2}
