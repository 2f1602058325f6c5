package dispatch

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// The bounds of Retry-After. Clients of model servers give up at once when it is more than the longest.
const (
	leastRetryAfter   = time.Second
	longestRetryAfter = 120 * time.Second
	blockedRetryAfter = 30 * time.Second // nothing but a person's doing will help
)

// phase is what requests wait for.
type phase struct {
	busy  bool      // pods serve, and each works on as many requests as it may; else no pod serves
	since time.Time // when this phase began
}

// turn begins another phase when the pods have changed.
func (a *Application) turn(now time.Time) {
	busy := a.anyUsable()
	if busy != a.phase.busy || a.phase.since.IsZero() {
		a.phase = phase{busy: busy, since: now}
	}
	if busy {
		a.began, a.wanted = time.Time{}, time.Time{}
	}
}

// deadline is until when a request waits, and how it is answered then. Each phase has a budget of
// its own, which begins with it: who has waited for a start is not sent away the moment that the
// first pod is there and full. All together never last longer than WakeUpTimeout.
//
// Of two requests the one that came first has the earlier deadline, always: expire counts on it.
func (a *Application) deadline(v *Visit) (time.Time, error) {
	from := later(v.Arrived, a.phase.since)
	if a.phase.busy {
		return sooner(from.Add(a.busyBudget()), v.last()), ErrBusy
	}
	if a.start != nil {
		from = later(from, a.start.answered)
	}
	at, because := sooner(from.Add(a.startBudget()), v.last()), ErrTooLate
	if blocked, since := a.block.now(); blocked.Reason != "" {
		if early := later(v.Arrived, since).Add(grace(blocked)); early.Before(at) {
			return early, &BlockedError{Blocked: blocked}
		}
	}
	return at, because
}

// busyBudget is how long a request waits while pods serve and are full. Where nothing is said of that, those who
// waited for the start go on waiting as long as they may at all: the first pods are full with them, and more are on
// their way. As long as there are some, those who came after them wait behind them.
func (a *Application) busyBudget() time.Duration {
	route := a.Route()
	if first := a.room.First(); route.BusyTimeout == 0 && first != nil && visitOf(first).Arrived.Before(a.phase.since) {
		return route.WakeUpTimeout
	}
	return route.BusyBudget()
}

// startBudget is how long a request waits while no pod serves. What was learned counts from the
// controller's answer on: a start that it knows nothing of yet does not go on.
func (a *Application) startBudget() time.Duration {
	if a.start == nil || a.start.answered.IsZero() {
		return a.Route().StartBudget(0)
	}
	return a.Route().StartBudget(a.expected)
}

// expire sends away those whose time is over.
func (a *Application) expire(now time.Time) {
	for t := a.room.First(); t != nil; t = a.room.First() {
		v := visitOf(t)
		at, because := a.deadline(v)
		if now.Before(at) {
			return
		}
		v.Trouble = a.hindrance(now)
		a.refuse(v, because, now)
	}
}

// retryAfter is when a client that is refused should come again: after what the start under way will
// still take, as far as that is known.
func (a *Application) retryAfter(now time.Time) time.Duration {
	p := a.progress(now)
	switch {
	case p.Serving:
		return leastRetryAfter
	case p.Blocked.Reason != "":
		return blockedRetryAfter
	}
	return min(max(p.Expected-p.Elapsed, leastRetryAfter), longestRetryAfter)
}

// RetryAfter is when a client should come again that was refused before its visit began.
func (a *Application) RetryAfter(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.retryAfter(now)
}

// Progress is how far the start of an application is.
type Progress struct {
	Serving  bool          // a pod serves
	UnderWay bool          // a start is
	Elapsed  time.Duration // since it began
	Expected time.Duration // how long it will take, all in all; 0 is not known
	Blocked  routing.Blocked
	Doing    string // what it waits for, for people; "" is not known
}

// Progress is how far the start is.
func (a *Application) Progress(now time.Time) Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.progress(now)
}

func (a *Application) progress(now time.Time) Progress {
	p := Progress{Serving: a.anyUsable(), Expected: a.expected, Doing: a.hindrance(now).Text}
	if !p.Serving {
		p.Blocked, _ = a.block.now()
	}
	if p.UnderWay = !a.began.IsZero(); p.UnderWay {
		p.Elapsed = max(now.Sub(a.began), 0)
	}
	return p
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
