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
	held timing

	mu     sync.Mutex
	closed bool
	cancel context.CancelFunc // of the term under way; nil: there is none
	ended  chan struct{}      // closed when its work has ended
	lapse  *time.Timer        // ends the term when the Lease was not renewed for too long
	last   time.Time          // when the Lease was last written, or a little before
}

func newTerms(held timing) *terms { return &terms{turn: make(chan struct{}, 1), held: held} }

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
	if t.last.IsZero() {
		t.last = time.Now()
	}
	t.cancel, t.ended, t.lapse = cancel, ended, time.AfterFunc(time.Until(t.last.Add(t.held.work)), cancel)
	t.mu.Unlock()
	work(ctx)
	t.mu.Lock()
	t.lapse.Stop()
	t.cancel, t.ended, t.lapse = nil, nil, nil
	t.mu.Unlock()
	close(ended)
}

// renewed takes note that the Lease holds from then on: from before it was written, for others may have
// seen it sooner than we knew.
func (t *terms) renewed(began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = began
	if t.lapse != nil && t.lapse.Stop() {
		t.lapse.Reset(time.Until(began.Add(t.held.work)))
	}
}

// fresh tells whether a term is under way whose Lease was renewed just now.
func (t *terms) fresh() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lapse != nil && time.Since(t.last) < t.held.write
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
