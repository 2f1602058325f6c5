package proxy

import (
	"context"
	"sync"
)

// guest is what is open without the data port's server knowing: a tunnel, or a Call.
type guest interface{ close() }

// guests are those that are open.
type guests struct {
	mu    sync.Mutex
	open  map[guest]struct{}
	empty chan struct{} // closed when none is left; made by drain
}

func (gs *guests) add(g guest) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.open[g] = struct{}{}
}

func (gs *guests) remove(g guest) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	delete(gs.open, g)
	if len(gs.open) == 0 && gs.empty != nil {
		close(gs.empty)
		gs.empty = nil
	}
}

// drain waits until none is open; when ctx ends first it closes those that are, and returns how
// many they were.
func (gs *guests) drain(ctx context.Context) int {
	gs.mu.Lock()
	if len(gs.open) == 0 {
		gs.mu.Unlock()
		return 0
	}
	if gs.empty == nil {
		gs.empty = make(chan struct{})
	}
	empty := gs.empty
	gs.mu.Unlock()
	select {
	case <-empty:
		return 0
	case <-ctx.Done():
	}
	gs.mu.Lock()
	left := len(gs.open)
	for g := range gs.open {
		g.close()
	}
	gs.mu.Unlock()
	if left > 0 {
		<-empty
	}
	return left
}
