// Package load sends requests and times the answers, from one thread and over kept connections, with
// prebuilt bytes and raw sockets: it must cost less than any proxy does. It goes to loopback alone, and
// every run is bounded in connections and in time.
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

// Bounds of a run.
const (
	MaxConnections = 4096
	MaxDuration    = 10 * time.Minute
	silence        = 10 * time.Second // nothing at all came for so long: it hangs
	lastAnswers    = 5 * time.Second  // for what is under way when the time is over
)

// Plan is one run.
type Plan struct {
	Addr        netip.AddrPort
	Connections int
	Request     []byte
	Rate        float64       // requests a second that arrive, answered or not; 0: each connection sends when it was answered
	Warm        time.Duration // before the measurement
	For         time.Duration
	Begin, End  func() // around the measurement, without the warm-up
}

// Result is what a run saw between Begin and End.
type Result struct {
	Requests  int
	Took      time.Duration
	Latencies []time.Duration // in the order of the answers; with a rate, since the request was due
}

func (p Plan) validate() error {
	if p.Connections < 1 || p.Connections > MaxConnections {
		return fmt.Errorf("connections: %d is not allowed: must be from 1 to %d", p.Connections, MaxConnections)
	}
	if p.For <= 0 || p.Warm+p.For > MaxDuration {
		return fmt.Errorf("duration: %v is not allowed: must be more than 0 and at most %v", p.Warm+p.For, MaxDuration)
	}
	return nil
}

// Run sends the load of the plan.
func Run(ctx context.Context, p Plan) (r Result, err error) {
	if err := p.validate(); err != nil {
		return Result{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := loop.New()
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	c := &client{plan: p, loop: l}
	defer c.close()
	if err := c.connect(); err != nil {
		return Result{}, err
	}
	c.arrivals = newArrivals(p.Rate, backend.Now())
	return c.result, c.run(ctx)
}

// client is the state of a run.
type client struct {
	plan      Plan
	loop      *loop.Loop
	conns     []*conn
	free      []*conn // with a rate: who can send
	arrivals  arrivals
	measuring bool
	stopping  bool
	underWay  int
	heard     time.Duration // when something came last
	err       error
	result    Result
	buffer    [256 << 10]byte
}

func (c *client) connect() error {
	for range c.plan.Connections {
		fd, err := loop.Dial(c.plan.Addr)
		if err != nil {
			return err
		}
		one := &conn{client: c, fd: fd}
		c.conns = append(c.conns, one)
		if err := c.loop.Add(fd, loop.Readable, one); err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
	}
	c.free = append(c.free, c.conns...)
	return nil
}

func (c *client) close() {
	for _, one := range c.conns {
		c.loop.Remove(one.fd)
	}
}

func (c *client) run(ctx context.Context) error {
	begin := backend.Now()
	c.heard = begin
	if c.plan.Rate == 0 {
		for _, one := range c.conns {
			one.send(backend.Now())
		}
	}
	if err := c.until(ctx, begin+c.plan.Warm); err != nil {
		return err
	}
	from := backend.Now()
	call(c.plan.Begin)
	c.measuring = true
	err := c.until(ctx, from+c.plan.For)
	c.measuring = false
	c.result.Took = backend.Now() - from
	call(c.plan.End)
	if err != nil {
		return err
	}
	c.stopping = true
	for limit := backend.Now() + lastAnswers; c.underWay > 0 && c.err == nil && backend.Now() < limit; {
		if err := c.loop.Wait(limit - backend.Now()); err != nil {
			return err
		}
	}
	return c.err
}

// until runs the loop until then.
func (c *client) until(ctx context.Context, then time.Duration) error {
	for c.err == nil {
		now := backend.Now()
		if now >= then {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.underWay > 0 && now-c.heard > silence {
			return fmt.Errorf("%d requests have no answer, and nothing came for %v", c.underWay, silence)
		}
		next := min(then, now+time.Second)
		if c.plan.Rate > 0 {
			next = min(next, c.arrive(now))
		}
		if err := c.loop.Wait(next - backend.Now()); err != nil {
			return err
		}
	}
	return c.err
}

// arrive sends what is due, as far as connections are free, and returns when the next one is. What
// finds none waits, and its time runs.
func (c *client) arrive(now time.Duration) time.Duration {
	for len(c.free) > 0 && c.arrivals.next() <= now {
		one := c.free[len(c.free)-1]
		c.free = c.free[:len(c.free)-1]
		one.send(c.arrivals.take())
	}
	if len(c.free) == 0 {
		return now + time.Second // an answer wakes us
	}
	return c.arrivals.next()
}

func (c *client) answered(one *conn, now time.Duration) {
	c.underWay--
	c.heard = now
	if c.measuring {
		c.result.Requests++
		c.result.Latencies = append(c.result.Latencies, now-one.due)
	}
	switch {
	case c.stopping:
	case c.plan.Rate == 0:
		one.send(now)
	default:
		c.free = append(c.free, one)
		c.arrive(now)
	}
}

func (c *client) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// conn is one kept connection.
type conn struct {
	client *client
	fd     int
	due    time.Duration
	busy   bool
	answer answer
}

// send sends the request, which fits into a socket's buffer.
func (c *conn) send(due time.Duration) {
	c.due, c.busy = due, true
	c.client.underWay++
	n, err := unix.Write(c.fd, c.client.plan.Request)
	if err != nil || n < len(c.client.plan.Request) {
		c.client.fail(fmt.Errorf("send: %d of %d bytes: %w", n, len(c.client.plan.Request), err))
	}
}

// Ready reads.
func (c *conn) Ready(uint32) {
	n, err := unix.Read(c.fd, c.client.buffer[:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if err != nil || n == 0 {
		c.client.fail(fmt.Errorf("the proxy closed a connection (%d bytes, %w)", n, err))
		return
	}
	if !c.busy {
		c.client.fail(fmt.Errorf("bytes that nobody asked for: %q", c.client.buffer[:min(n, 100)]))
		return
	}
	done, err := c.answer.feed(c.client.buffer[:n])
	if err != nil {
		c.client.fail(err)
		return
	}
	if done {
		c.busy = false
		c.client.answered(c, backend.Now())
	}
}
