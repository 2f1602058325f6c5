package dispatch

import "time"

// How long a slot rests whose holder has gone.
const (
	leastRest   = time.Second
	unknownRest = 30 * time.Second // while no answer was seen
	mostRest    = 2 * time.Minute
	restMemory  = 5 * time.Minute // the longest answer counts for so long at least, and twice that at most
)

// longest is how long the longest answer of late took.
type longest struct {
	now, before time.Duration
	since       time.Time
}

func (l *longest) note(took time.Duration, now time.Time) {
	l.turn(now)
	l.now = max(l.now, took)
}

func (l *longest) turn(now time.Time) {
	switch {
	case l.since.IsZero():
		l.since = now
	case now.Sub(l.since) >= 2*restMemory:
		*l = longest{since: now}
	case now.Sub(l.since) >= restMemory:
		*l = longest{before: l.now, since: l.since.Add(restMemory)}
	}
}

func (l *longest) longest() time.Duration { return max(l.now, l.before) }

// rest is how long a slot rests: its pod may work on a request still whose connection is closed.
func (l *longest) rest(now time.Time) time.Duration {
	l.turn(now)
	took := l.longest()
	if took == 0 {
		return unknownRest
	}
	return min(max(took+took/2, leastRest), mostRest)
}
