package proxy

import (
	"errors"
	"sync"
	"time"
)

// closeGrace is how long a pod has for its part of a WebSocket's end, while this load balancer drains:
// a Close is answered as soon as it is read, and a drain shall not wait for a pod that never does.
const closeGrace = 5 * time.Second

// errUnanswered is the end of a WebSocket that only its client has closed.
var errUnanswered = errors.New("the pod did not close the WebSocket that its client had closed")

// unanswered bounds how long a tunnel outlives the end of its client's side, while there is a drain.
type unanswered struct {
	mu       sync.Mutex
	draining bool
	ended    bool // the client's side: it has sent its Close, or has ended
	over     bool // the tunnel has ended
	overdue  bool
	timer    *time.Timer // nil: nothing is bounded
}

// drain says that the load balancer is about to end; cancel is called when the time is over.
func (u *unanswered) drain(cancel func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.draining = true
	u.bound(cancel)
}

// end says that nothing more comes from the client.
func (u *unanswered) end(cancel func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	u.bound(cancel)
}

func (u *unanswered) bound(cancel func()) {
	if !u.draining || !u.ended || u.over || u.timer != nil {
		return
	}
	u.timer = time.AfterFunc(closeGrace, func() {
		if u.late() {
			cancel()
		}
	})
}

// late tells whether the tunnel still goes on when the time is over.
func (u *unanswered) late() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.overdue = !u.over
	return u.overdue
}

// finish says that the tunnel has ended, and gives what its end was: err, unless it was overdue.
func (u *unanswered) finish(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
	if u.timer != nil {
		u.timer.Stop()
	}
	if u.overdue {
		return errUnanswered
	}
	return err
}
