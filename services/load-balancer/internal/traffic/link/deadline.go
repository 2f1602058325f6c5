package link

import (
	"sync"
	"time"
)

// slack is which part of a time may be added to it, so that a deadline need not be moved each time.
const slack = 8

// deadline is that of a connection's reads or writes.
type deadline struct {
	set func(time.Time) error

	mu          sync.Mutex
	at          time.Time
	interrupted bool
}

// within moves the deadline when it lies before now+d, or far behind it.
func (d *deadline) within(most time.Duration, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := d.at.Sub(now)
	if d.interrupted || left >= most && left <= most+most/slack {
		return
	}
	d.at = now.Add(most + most/slack)
	_ = d.set(d.at)
}

func (d *deadline) by(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.interrupted || !at.Equal(d.at) {
		d.at, d.interrupted = at, false
		_ = d.set(at)
	}
}

func (d *deadline) interrupt(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.interrupted, d.at = true, at
	_ = d.set(at)
}
