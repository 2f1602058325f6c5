package election

import (
	"context"
	"sync"
	"time"
)

// terms let one term's work end before the next begins, here or elsewhere. client-go starts a term's
// work in a goroutine, does not wait for it, and when the API server is away it notices the end of the
// term late, and tries to give the Lease back before it says so.
type terms struct {
	turn chan struct{} // one token: the term under way has it

	mu     sync.Mutex
	closed bool
	cancel context.CancelFunc // of the term under way; nil: there is none
	ended  chan struct{}      // closed when its work has ended
	lapse  *time.Timer        // ends the term when the Lease was not renewed for too long
}

func newTerms() *terms { return &terms{turn: make(chan struct{}, 1)} }

// serve does a term's work, after that of the term before.
func (t *terms) serve(ctx context.Context, work func(context.Context)) {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	t.mu.Lock()
	if t.closed || ctx.Err() != nil {
		t.mu.Unlock()
		return
	}
	t.cancel, t.ended, t.lapse = cancel, ended, time.AfterFunc(workDeadline, cancel)
	t.mu.Unlock()
	work(ctx)
	t.mu.Lock()
	t.lapse.Stop()
	t.cancel, t.ended, t.lapse = nil, nil, nil
	t.mu.Unlock()
	close(ended)
}

// renewed takes note that the Lease holds from now on.
func (t *terms) renewed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lapse != nil && t.lapse.Stop() {
		t.lapse.Reset(workDeadline)
	}
}

// end ends the term under way, and returns when its work has ended.
func (t *terms) end() {
	t.mu.Lock()
	cancel, ended := t.cancel, t.ended
	t.mu.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	<-ended
}

// open lets terms begin again after close.
func (t *terms) open() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = false
}

// underWay tells whether a term is.
func (t *terms) underWay() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cancel != nil
}

// close ends the term under way, and lets no other begin.
func (t *terms) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.end()
}
