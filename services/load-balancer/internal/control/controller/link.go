package controller

import (
	"maps"
	"slices"
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
	routes   map[*follower]bool // whose exchanges may hang on a dead connection
}

func newLink() *link { return &link{routes: map[*follower]bool{}} }

// notify has somebody told when the controller is away, and when it is back.
func (l *link) notify(changed func(away bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = changed
}

// follow notes that somebody follows routes, until it is done.
func (l *link) follow(f *follower) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.routes[f] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.routes, f)
	}
}

// followers are those who follow routes now.
func (l *link) followers() []*follower {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.routes))
}

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
	changed := l.changed
	l.mu.Unlock()
	if !away {
		return
	}
	if changed != nil {
		changed(true)
	}
	for _, f := range l.followers() {
		f.restart(errRedial)
	}
}

// Link is how the exchange with the controller goes now.
func (c *Client) Link() Link { return c.link.state() }
