package control

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/lifecycle"
)

// memory is what the loop remembers of one application.
type memory struct {
	deciding chan struct{}    // one token: who has it decides and applies
	wanted   atomic.Bool      // a worker found the token taken
	news     atomic.Int64     // when the oldest news came that is not decided on yet, in Unix ns; 0: there is none
	life     lifecycle.Memory // for who has the token
	scaling  time.Duration    // what /scale has taken so far; for who has the token

	mu         sync.Mutex // guards the rest
	last       *fleet.Record
	failure    string // why the last scaling failed
	refusal    error  // the last failure, as a start call is answered while it is too fresh
	fails      bool   // it is counted among those that back off
	slow       bool   // among those whose start takes too long
	contested  bool   // among those whose count somebody sets back
	gone       bool   // it is forgotten, though a call for it may be under way
	conditions []fleet.Condition
}

// wait waits for the application's turn, or for the end of ctx.
func (m *memory) wait(ctx context.Context) error {
	select {
	case m.deciding <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try takes the application's turn if nobody has it; else who has it sees to it afterwards, so that no
// worker waits for a call to end.
func (m *memory) try() bool {
	m.wanted.Store(true)
	select {
	case m.deciding <- struct{}{}:
		m.wanted.Store(false)
		return true
	default:
		return false
	}
}

// release gives the turn back, and looks at the application again if that was asked for meanwhile.
func (l *Loop) release(k fleet.Key, m *memory) {
	<-m.deciding
	if m.wanted.Swap(false) {
		l.work.Add(k)
	}
}

// heard asks for a decision, because something is new of the application.
func (l *Loop) heard(k fleet.Key) {
	l.Changes.Changed(k, false)
	l.memory(k).news.CompareAndSwap(0, time.Now().UnixNano())
	l.work.Add(k)
}

// decided tells how long the oldest news has waited for a decision.
func (l *Loop) decided(m *memory, now time.Time) {
	if at := m.news.Swap(0); at != 0 {
		l.Observer.Delayed(now.Sub(time.Unix(0, at)))
	}
}

// pass leaves the news of an application to the replica that leads.
func (l *Loop) pass(k fleet.Key) {
	l.mu.Lock()
	m := l.apps[k]
	l.mu.Unlock()
	if m != nil {
		m.news.Store(0)
	}
	l.free(k)
}

// free gives back the place of an application in which it was applied to, and has those looked at that
// follow.
func (l *Loop) free(k fleet.Key) {
	for _, next := range l.applies.leave(k) {
		l.work.Add(next)
	}
}
