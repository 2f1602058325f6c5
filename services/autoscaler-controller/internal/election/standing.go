package election

import "sync"

// standing is whose word counts now, for those who wait until that changes.
type standing struct {
	mu      sync.Mutex
	holder  string
	changed chan struct{}
}

func newStanding() *standing { return &standing{changed: make(chan struct{})} }

// set tells whether it is another one than before.
func (s *standing) set(holder string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder == holder {
		return false
	}
	s.holder = holder
	close(s.changed)
	s.changed = make(chan struct{})
	return true
}

// now is the holder, "" for nobody, and a channel that closes when there is another.
func (s *standing) now() (holder string, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holder, s.changed
}
