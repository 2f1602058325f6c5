package control

import "time"

// budget spends so many writes a second, and a number of them at once after a pause. Who finds none left
// is given a moment of his own, so that nobody waits in a queue for it and the order is kept.
type budget struct {
	every time.Duration // between two writes
	burst int           // that many may come at once
	next  time.Time     // when the next one is due, had all come evenly
}

// reserve gives a write its moment: now, or later.
func (b *budget) reserve(now time.Time) time.Time {
	if full := now.Add(-b.every * time.Duration(b.burst-1)); b.next.Before(full) {
		b.next = full
	}
	at := b.next
	b.next = b.next.Add(b.every)
	if at.Before(now) {
		return now
	}
	return at
}
