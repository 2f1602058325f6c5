package control

import (
	"sync"
	"time"
)

// expiry is when the next load balancer has been silent for too long, unless it is heard before.
type expiry struct {
	mu    sync.Mutex
	timer *time.Timer // nil: there is none to wait for
	ended bool
}

// set waits for a moment, and no longer for the one before; zero: for none.
func (e *expiry) set(at time.Time, do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
	if !at.IsZero() && !e.ended {
		e.timer = time.AfterFunc(time.Until(at), do)
	}
}

func (e *expiry) waits() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.timer != nil
}

func (e *expiry) end() {
	e.set(time.Time{}, nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
}

// expire forgets load balancers whose time is over, decides where they stood in the way, and comes back
// when the next one's may be.
func (l *Loop) expire() {
	touched, next := l.Fleet.Expire(time.Now())
	for _, k := range touched {
		l.heard(k)
	}
	l.expiry.set(next, l.expire)
}
