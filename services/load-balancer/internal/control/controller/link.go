package controller

import (
	"sync"
	"time"
)

// failuresToBeAway is how many exchanges in a row must fail before the controller counts as away:
// one may be a restart that the next try survives.
const failuresToBeAway = 3

// Link is how the exchange with the controller goes.
type Link struct {
	Connected bool // the last exchange went well
	Away      bool // several in a row did not
	LastGood  time.Time
	LastError string
}

type link struct {
	mu       sync.Mutex
	lastGood time.Time
	last     error
	failures int
	changed  func(away bool)
	redial   func(error) // ends a poll under way, which is then begun again
}

func newLink() *link { return &link{} }

func (l *link) state() Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Link{Connected: l.last == nil && !l.lastGood.IsZero(), Away: l.failures >= failuresToBeAway, LastGood: l.lastGood}
	if l.last != nil {
		s.LastError = l.last.Error()
	}
	return s
}

func (l *link) went(now time.Time) {
	l.mu.Lock()
	back := l.failures >= failuresToBeAway
	l.lastGood, l.last, l.failures = now, nil, 0
	changed := l.changed
	l.mu.Unlock()
	if back && changed != nil {
		changed(false)
	}
}

func (l *link) failed(err error) {
	l.mu.Lock()
	l.last = err
	l.failures++
	away := l.failures == failuresToBeAway
	changed, redial := l.changed, l.redial
	l.mu.Unlock()
	if !away {
		return
	}
	if changed != nil {
		changed(true)
	}
	if redial != nil {
		redial(errRedial) // it may hang on a dead connection
	}
}

// Link is how the exchange with the controller goes now.
func (c *Client) Link() Link { return c.link.state() }
