package dispatch

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// WakeOutcome is how a wake-up ended.
type WakeOutcome string

// The outcomes.
const (
	WakePending  WakeOutcome = "Pending"
	WakeAnswered WakeOutcome = "Answered"
	WakeFailed   WakeOutcome = "Failed"
)

// WakeUp is what was seen from here of one wake-up. A time that is zero has not come.
type WakeUp struct {
	ID              string // the trace id of the first request
	ArrivedAt       time.Time
	StartCalledAt   time.Time
	StartAnsweredAt time.Time
	FirstProbeAt    time.Time
	FirstByteAt     time.Time
	Pod             string // that answered first
	Waited          int    // requests that waited for it
	Outcome         WakeOutcome

	dirty    bool // something changed since it was reported
	released int  // requests that were let in by it and have not ended
}

// keptWakeUps bounds how many ended wake-ups of one application await their report.
const keptWakeUps = 16

// Need is that somebody waits and no pod is usable.
type Need struct {
	App       routing.Application
	Trace     context.Context //nolint:containedctx // the span of the request that waits longest
	ArrivedAt time.Time       // when that one came

	app   *Application
	ended chan struct{}
}

// Ended is closed when a pod is usable, or nobody waits any more.
func (n *Need) Ended() <-chan struct{} { return n.ended }

// Waiting is how many wait now.
func (n *Need) Waiting() int {
	n.app.mu.Lock()
	defer n.app.mu.Unlock()
	return n.app.room.Len()
}

// Called notes that the start call goes out.
func (n *Need) Called() { n.note(func(w *WakeUp) *time.Time { return &w.StartCalledAt }) }

// Answered notes a good answer, which tells how long a start takes; 0 is not known.
func (n *Need) Answered(expected time.Duration) {
	n.note(func(w *WakeUp) *time.Time { return &w.StartAnsweredAt })
	n.app.mu.Lock()
	defer n.app.mu.Unlock()
	n.app.trouble = ""
	if expected > 0 {
		n.app.route.ExpectedStart = expected
	}
}

// Failed notes why the start call failed, for those who will have waited in vain.
func (n *Need) Failed(trouble string) {
	n.app.mu.Lock()
	defer n.app.mu.Unlock()
	n.app.trouble = trouble
}

// note keeps the first time that a thing happened.
func (n *Need) note(field func(*WakeUp) *time.Time) {
	a := n.app
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wake == nil {
		return
	}
	if at := field(a.wake); at.IsZero() {
		*at, a.wake.dirty = a.d.options.Now(), true
	}
}

// callIfNeeded begins to call for a start, or ends it.
func (a *Application) callIfNeeded() {
	needed := a.room.Len() > 0 && !a.anyUsable()
	switch {
	case needed && a.need == nil:
		first := a.room.First().Holder.(*Visit) //nolint:forcetypeassert // only visits hold tickets
		a.need = &Need{
			App: a.ID, Trace: context.WithoutCancel(first.arrival.Trace), ArrivedAt: first.Arrived,
			app: a, ended: make(chan struct{}),
		}
		// A sleep that is only called off is no wake-up: its pods still run.
		if a.wake == nil && !a.onlyHeldBack() {
			a.wake = &WakeUp{ID: hex.EncodeToString(first.arrival.TraceID[:]), ArrivedAt: first.Arrived, Waited: a.room.Len(), Outcome: WakePending, dirty: true}
		}
		a.d.options.Waker.Wake(a.need)
	case !needed && a.need != nil:
		close(a.need.ended)
		a.need = nil
	}
}

// onlyHeldBack tells whether pods would be usable if the application were not falling asleep.
func (a *Application) onlyHeldBack() bool {
	return a.quiet() && slices.ContainsFunc(a.pods, func(p *Pod) bool {
		return (p.endpoint.Ready || p.proven) && !p.endpoint.Terminating
	})
}

func (a *Application) quiet() bool { return a.route.State == routing.FallingAsleep }

// wakeAnswered ends the wake-up with the first answer; it returns what has ended, for tell.
func (a *Application) wakeAnswered(v *Visit, now time.Time) *WakeUp {
	if a.wake == nil || v.wake != a.wake {
		return nil
	}
	a.wake.FirstByteAt, a.wake.Pod = now, v.Pod.Name
	return a.endWake(WakeAnswered)
}

// wakeFailed ends the wake-up when all who waited for it have gone without an answer.
func (a *Application) wakeFailed() *WakeUp {
	if a.wake == nil || a.need != nil || a.room.Len() > 0 || a.wake.released > 0 {
		return nil
	}
	return a.endWake(WakeFailed)
}

func (a *Application) endWake(outcome WakeOutcome) *WakeUp {
	ended := a.wake
	ended.Outcome, ended.dirty, a.wake = outcome, true, nil
	a.counters.wakeUps = append(a.counters.wakeUps, *ended)
	if extra := len(a.counters.wakeUps) - keptWakeUps; extra > 0 {
		a.counters.wakeUps = slices.Delete(a.counters.wakeUps, 0, extra)
	}
	told := *ended // visits that it let in still count themselves out of it
	return &told
}

// tell passes on what has ended; without the lock, for it leads outside.
func (a *Application) tell(ended *WakeUp) {
	if ended == nil {
		return
	}
	a.d.options.ReportSoon()
	if a.d.options.Woken != nil {
		a.d.options.Woken(a.ID, *ended)
	}
}
