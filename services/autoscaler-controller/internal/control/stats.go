package control

import "time"

// Stats are how the loop stands now.
type Stats struct {
	Applying      int // applications that are being applied to
	ApplyWaiting  int // that wait for a place to be
	BackingOff    int // whose last scaling or marking failed
	StatusWaiting int // statuses that are not written yet
	StatusAge     time.Duration
	Terms         uint64 // of leadership that this process has begun
}

// Stats tells how the loop stands.
func (l *Loop) Stats() Stats {
	s := Stats{BackingOff: int(l.backingOff.Load()), Terms: l.terms.begun()}
	s.Applying, s.ApplyWaiting = l.applies.count()
	s.StatusWaiting, s.StatusAge = l.pending.waiting(time.Now())
	return s
}

// failing counts an application whose last scaling or marking has failed, once. m.mu is held.
func (l *Loop) failing(m *memory, fails bool) {
	if fails == m.fails || fails && m.gone {
		return
	}
	if m.fails = fails; fails {
		l.backingOff.Add(1)
	} else {
		l.backingOff.Add(-1)
	}
}
