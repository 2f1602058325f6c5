package proxy

import "sync"

// closer is what is open without the engine's server waiting for it: a tunnel, or a Call.
type closer interface{ Cancel() }

// active are those that are open.
type active struct {
	mu      sync.Mutex
	open    map[closer]struct{}
	drains  bool          // tunnels do not outlive their client's side for long
	leaving bool          // clients of WebSockets are asked to go elsewhere
	empty   chan struct{} // closed when none is left; made by drain
}

// add notes what is open, and tells whether clients are asked to go elsewhere already.
func (a *active) add(c closer) (leaving bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[c] = struct{}{}
	if t, ok := c.(*tunnel); ok && a.drains {
		t.drain()
	}
	return a.leaving
}

// beginDrain bounds how long tunnels outlive their client's side, from now on.
func (a *active) beginDrain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drains = true
	for c := range a.open {
		if t, ok := c.(*tunnel); ok {
			t.drain()
		}
	}
}

// leave has the clients of WebSockets that begin from now on be asked to go elsewhere, and returns
// those that are open.
func (a *active) leave() (open []*tunnel) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leaving = true
	for c := range a.open {
		if t, ok := c.(*tunnel); ok && t.down.frames != nil {
			open = append(open, t)
		}
	}
	return open
}

func (a *active) remove(c closer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, c)
	if len(a.open) == 0 && a.empty != nil {
		close(a.empty)
		a.empty = nil
	}
}

// drain waits until none is open; when done is closed first it closes those that are, and returns
// how many they were.
func (a *active) drain(done <-chan struct{}) int {
	a.mu.Lock()
	if len(a.open) == 0 {
		a.mu.Unlock()
		return 0
	}
	if a.empty == nil {
		a.empty = make(chan struct{})
	}
	empty := a.empty
	a.mu.Unlock()
	select {
	case <-empty:
		return 0
	case <-done:
	}
	a.mu.Lock()
	left := len(a.open)
	for c := range a.open {
		c.Cancel()
	}
	a.mu.Unlock()
	if left > 0 {
		<-empty
	}
	return left
}
