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
	exact       bool // it was set by exactly
}

// within moves the deadline when it lies before now+d, or far behind it.
func (d *deadline) within(most time.Duration, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := d.at.Sub(now)
	if d.interrupted || !d.exact && left >= most && left <= most+most/slack {
		return
	}
	d.exact = false
	d.at = now.Add(most + most/slack)
	_ = d.set(d.at)
}

// exactly sets the deadline once; more calls leave it where it is until within moves it.
func (d *deadline) exactly(most time.Duration, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.exact || d.interrupted {
		return
	}
	d.exact, d.at = true, now.Add(most)
	_ = d.set(d.at)
}

func (d *deadline) by(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.interrupted || !at.Equal(d.at) {
		d.at, d.interrupted, d.exact = at, false, false
		_ = d.set(at)
	}
}

func (d *deadline) interrupt(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.interrupted, d.at = true, at
	_ = d.set(at)
}
