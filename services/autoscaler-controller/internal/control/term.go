package control

import (
	"context"
	"sync"
)

// term is one time of leading. Its work is counted, so that it can be waited for.
type term struct {
	id   uint64
	ctx  context.Context //nolint:containedctx // of the term: what is under way ends with it
	work sync.WaitGroup
}

// terms are this process' terms, one after the other.
type terms struct {
	mu      sync.Mutex
	last    uint64
	current *term // nil: another process leads
}

func (t *terms) begin(ctx context.Context) *term {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	t.current = &term{id: t.last, ctx: ctx}
	return t.current
}

// end lets nothing new begin, and waits for what is under way, which the end of its context cancels.
func (t *terms) end(over *term) {
	t.mu.Lock()
	t.current = nil
	t.mu.Unlock()
	over.work.Wait()
}

// now is the term under way; nil: there is none.
func (t *terms) now() *term {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// begun is how many there were.
func (t *terms) begun() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// enter begins a piece of the term's work, which the second result ends; false when there is no term.
func (t *terms) enter() (now *term, leave func(), leads bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil || t.current.ctx.Err() != nil {
		return nil, nil, false
	}
	t.current.work.Add(1)
	return t.current, t.current.work.Done, true
}
