package main

import (
	"context"
	"time"
)

// loading is a model on its way into memory.
type loading struct {
	done  chan struct{}
	until time.Time
}

// load starts to load; it takes d.
func load(d time.Duration) *loading {
	l := &loading{done: make(chan struct{}), until: time.Now().Add(d)}
	if d <= 0 {
		close(l.done)
		return l
	}
	time.AfterFunc(d, func() { close(l.done) })
	return l
}

// wait returns true when the model is loaded, false when ctx ends before.
func (l *loading) wait(ctx context.Context) bool {
	select {
	case <-l.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// loaded says whether the model can answer and, if not, how long it still takes.
func (l *loading) loaded() (bool, time.Duration) {
	select {
	case <-l.done:
		return true, 0
	default:
		return false, max(0, time.Until(l.until))
	}
}
