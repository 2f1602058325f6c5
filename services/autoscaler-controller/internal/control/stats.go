package control

import (
	"sync/atomic"
	"time"
)

// Stats are how the loop stands now.
type Stats struct {
	Applying      int // applications that are being applied to
	ApplyWaiting  int // that wait for a place to be
	BackingOff    int // whose last scaling or marking failed
	Slow          int // whose start from zero takes longer than it may
	Contested     int // whose count somebody sets back again and again
	StatusWaiting int // statuses that are not written yet
	StatusAge     time.Duration
	Terms         uint64 // of leadership that this process has begun
}

// Stats tells how the loop stands.
func (l *Loop) Stats() Stats {
	s := Stats{BackingOff: int(l.backingOff.Load()), Slow: int(l.slow.Load()), Contested: int(l.contested.Load()), Terms: l.terms.begun()}
	if !l.Leading() { // what it saw when it led is for who leads now to say
		s.Slow, s.Contested = 0, 0
	}
	s.Applying, s.ApplyWaiting = l.applies.count()
	s.StatusWaiting, s.StatusAge = l.pending.waiting(time.Now())
	return s
}

// failing counts an application whose last scaling or marking has failed, once. m.mu is held.
func (l *Loop) failing(m *memory, fails bool) { m.count(&m.fails, fails, &l.backingOff) }

// count counts an application among those of a kind, once, unless it is forgotten. m.mu is held.
func (m *memory) count(counted *bool, is bool, of *atomic.Int64) {
	if is == *counted || is && m.gone {
		return
	}
	if *counted = is; is {
		of.Add(1)
	} else {
		of.Add(-1)
	}
}

// uncount takes an application out of all counts. m.mu is held.
func (l *Loop) uncount(m *memory) {
	l.failing(m, false)
	m.count(&m.slow, false, &l.slow)
	m.count(&m.contested, false, &l.contested)
}
