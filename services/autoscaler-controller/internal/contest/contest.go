// Package contest notices somebody who sets the count of a Deployment back again and again: a GitOps
// tool whose manifest names replicas, a loop, a person. Two that undo each other's work start and stop
// pods for nothing, so after the third time this side lets go, names the other one, and tries again
// only when there was peace for long, or the user has changed what is wanted.
//
// It is pure: it takes what happened and when, and has neither a clock nor a lock.
package contest

import (
	"fmt"
	"time"
)

const (
	// Patience is how long after a scaling a change against it counts as setting it back. Argo CD looks
	// every three minutes, Flux every ten, by their defaults.
	Patience = 15 * time.Minute
	// Limit is how many times in a row make a contest.
	Limit = 3
	// Peace is how long nobody must have set anything back before it is tried again. Then a single time
	// is enough to end the trial.
	Peace = time.Hour
)

// Memory is what is remembered of one Deployment. The zero value remembers nothing.
type Memory struct {
	from, to int32 // the last scaling of ours
	at       time.Time
	back     int32 // how many times in a row it was set back
	last     time.Time
	manager  string
}

// Contest is somebody who sets the count back. The zero value is nobody.
type Contest struct {
	Manager string // the field manager that set it last, as the API server names it; "" is not known
	Times   int32
	Since   time.Time // the last time
}

// Scaled takes note of a scaling of ours.
func (m *Memory) Scaled(from, to int32, now time.Time) {
	if m.back > 0 && !m.at.IsZero() && now.Sub(m.at) > Patience && m.last.Before(m.at) {
		m.back = 0 // the last one stood
	}
	m.from, m.to, m.at = from, to, now
}

// Changed takes note that somebody else has set the count to `to`. It counts when that goes against the
// last scaling of ours, soon after it; anything else is somebody's good right.
func (m *Memory) Changed(to int32, manager string, now time.Time) {
	if m.at.IsZero() || to == m.to || now.Sub(m.at) > Patience {
		return
	}
	if down := m.to < m.from; down != (to > m.to) {
		return
	}
	m.back = min(m.back+1, Limit)
	m.last, m.manager, m.at = now, manager, time.Time{}
}

// Forgive forgets what was: the user has changed what is wanted.
func (m *Memory) Forgive() { *m = Memory{} }

// At is the contest at now, if there is one, and when it ends by itself.
func (m *Memory) At(now time.Time) (c Contest, until time.Time, contested bool) {
	if m.back < Limit {
		return Contest{}, time.Time{}, false
	}
	until = m.last.Add(Peace)
	if !now.Before(until) {
		m.back = Limit - 1
		return Contest{}, time.Time{}, false
	}
	return Contest{Manager: m.manager, Times: m.back, Since: m.last}, until, true
}

// String says who, in words.
func (c Contest) String() string {
	if c.Times == 0 {
		return ""
	}
	who := "somebody"
	if c.Manager != "" {
		who = "the field manager " + c.Manager
	}
	return fmt.Sprintf("%s has set the count of pods back %d times in a row", who, c.Times)
}
