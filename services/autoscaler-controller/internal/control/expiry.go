package control

import (
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// expiry is when the next load balancer has been silent for too long, unless it is heard before.
type expiry struct {
	mu    sync.Mutex
	timer *time.Timer // nil: there is none to wait for
	ended bool
}

// set waits for the moment that next says, and no longer for the one before; zero: for none. next is asked
// by one at a time, so that nobody waits for what was so before somebody else asked.
func (e *expiry) set(next func() time.Time, do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := next()
	e.stop()
	if !at.IsZero() && !e.ended {
		e.timer = time.AfterFunc(time.Until(at), do)
	}
}

func (e *expiry) stop() {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}

func (e *expiry) waits() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.timer != nil
}

func (e *expiry) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stop()
	e.ended = true
}

// expire forgets load balancers whose time is over, decides where they stood in the way, and comes back
// when the next one's may be.
func (l *Loop) expire() {
	var touched []fleet.Key
	l.expiry.set(func() (next time.Time) {
		touched, next = l.Fleet.Expire(time.Now())
		return next
	}, l.expire)
	for _, k := range touched {
		l.heard(k)
	}
}
