package main

import "sync"

// mostPresets bounds how many presets a pod keeps.
const mostPresets = 16

// presets are numbers with a name, so that a client need not know them. Each pod has its own, and
// forgets them when it ends: this is a sample, and has no store.
type presets struct {
	mu    sync.Mutex
	named map[string]int
}

func newPresets() *presets { return &presets{named: map[string]int{"standard": standardN}} }

func (p *presets) get(name string) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.named[name]
	return n, ok
}

// put makes or replaces a preset; false when there are too many.
func (p *presets) put(name string, n int) (made, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, there := p.named[name]
	if !there && len(p.named) >= mostPresets {
		return false, false
	}
	p.named[name] = n
	return !there, true
}
