package elastic

import (
	"sync"
	"time"
)

// troubles are what people should know of the shipping. They are written by the shipper, and read by
// anybody.
type troubles struct {
	mu      sync.Mutex
	holding string // why nothing is shipped, for some time already; "" is shipped
	why     string // the last entry was refused
	refusal time.Time
}

func (t *troubles) held(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holding = why
}

func (t *troubles) refused(at time.Time, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refusal, t.why = at, why
}

// Holding is why nothing has been shipped for some time: a reason, as the metric has it, and what was
// said; "" when all is well.
func (s *Shipper) Holding() string {
	s.troubles.mu.Lock()
	defer s.troubles.mu.Unlock()
	return s.troubles.holding
}

// Refused is when an entry was refused last for what it is, and why; zero: none was.
func (s *Shipper) Refused() (at time.Time, why string) {
	s.troubles.mu.Lock()
	defer s.troubles.mu.Unlock()
	return s.troubles.refusal, s.troubles.why
}
