package notices

import (
	"time"
)

// The bounds of what waits.
const (
	laneWaits   = 100              // notices for one receiver
	allWaits    = 10_000           // notices for all, each counted for each of its receivers
	waitsFor    = 15 * time.Minute // then one is too old to be of use
	burst       = 5                // at once, before the pace counts
	firstPause  = 2 * time.Second  // after a failure, doubled with each in a row
	lastPause   = 2 * time.Minute
	mostPause   = 10 * time.Minute // that a receiver may ask for
	mostAtATime = 16               // deliveries under way at a time, of all receivers
)

// lane is what waits for one receiver, in order. One is under way at a time.
type lane struct {
	Receiver
	waiting  []Notice
	sending  bool
	next     time.Time // by its pace: what it would be if all so far had come evenly
	retry    time.Time // after a failure: before which nothing is tried
	failures int       // in a row
	gone     bool      // it wants nothing any more (410)
}

func (l *lane) every() time.Duration {
	return time.Minute / time.Duration(max(l.PerMinute, 1))
}

// due is when the first of what waits may go.
func (l *lane) due() time.Time {
	at := l.next.Add(-(burst - 1) * l.every())
	if l.retry.After(at) {
		return l.retry
	}
	return at
}

// spend takes note that one goes at now.
func (l *lane) spend(now time.Time) {
	if l.next.Before(now) {
		l.next = now
	}
	l.next = l.next.Add(l.every())
}
