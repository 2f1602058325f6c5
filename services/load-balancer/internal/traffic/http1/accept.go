package http1

import (
	"log/slog"
	"time"
)

// How long the server pauses when it cannot take connections.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
)

// pauses is the back-off of a listener that fails: no descriptor is left, say.
type pauses struct {
	log  *slog.Logger
	next time.Duration
}

func (p *pauses) reset() { p.next = 0 }

// after waits, and says why once for each row of failures.
func (p *pauses) after(err error) {
	if p.next == 0 {
		p.log.Warn("connections cannot be taken; it is tried again", "error", err)
		p.next = firstPause
	}
	timer := time.NewTimer(p.next)
	defer timer.Stop()
	<-timer.C
	p.next = min(2*p.next, longestPause)
}
