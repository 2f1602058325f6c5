package backend

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// TokenEvery is the pause between two tokens of a stream: 20 a second.
const TokenEvery = 50 * time.Millisecond

// tokens are the streams that get one after the other; who is due first stands first, because all
// have the same pause.
type tokens struct {
	queue []due
}

type due struct {
	at time.Duration
	to *conn
}

func (t *tokens) add(c *conn) { t.queue = append(t.queue, due{Now() + TokenEvery, c}) }

// send sends what is due, and returns how long nothing is, at most the limit.
func (t *tokens) send(limit time.Duration) time.Duration {
	for len(t.queue) > 0 {
		first := t.queue[0]
		now := Now()
		if first.at > now {
			return min(limit, first.at-now)
		}
		t.queue = t.queue[1:]
		if first.to.closed {
			continue
		}
		first.to.write(fmt.Appendf(nil, "1c\r\ndata: %020d\n\n\r\n", now))
		t.queue = append(t.queue, due{first.at + TokenEvery, first.to})
	}
	return limit
}

// Now is the monotonic clock, which all processes of a machine share.
func Now() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it cannot fail
	return time.Duration(t.Nano())
}
