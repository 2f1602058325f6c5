package load

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
)

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
