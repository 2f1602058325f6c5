package load

import (
	"context"
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/loop"
)

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
