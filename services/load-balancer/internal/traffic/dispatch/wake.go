package dispatch

import (
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
	ID              string // the trace id of the first request, or one of its own
	ArrivedAt       time.Time
	StartCalledAt   time.Time
	StartAnsweredAt time.Time
	FirstProbeAt    time.Time
	FirstByteAt     time.Time
	Pod             string // that answered first
	Waited          int    // requests that waited for it
	Outcome         WakeOutcome

	dirty    bool // something changed since it was reported
	detached bool // somebody asked for it who does not wait
	released int  // requests that were let in by it and have not ended
}

// keptWakeUps bounds how many ended wake-ups of one application await their report.
const keptWakeUps = 16

// newWakeUp begins a wake-up. Its id is that of the first request's trace or, without one, a new one.
func newWakeUp(first *Visit, waiting int, newID func() [16]byte) *WakeUp {
	id := first.arrival.TraceID
	if id == ([16]byte{}) && newID != nil {
		id = newID()
	}
	return &WakeUp{ID: hex.EncodeToString(id[:]), ArrivedAt: first.Arrived, Waited: waiting, Outcome: WakePending, dirty: true}
}

// note keeps the first time that something happened.
func (w *WakeUp) note(at *time.Time, now time.Time) {
	if at.IsZero() {
		*at, w.dirty = now, true
	}
}

// onlyHeldBack reports whether pods would be usable if the application were not falling asleep.
func (a *Application) onlyHeldBack() bool {
	return a.quiet() && slices.ContainsFunc(a.pods, func(p *Pod) bool {
		return (p.endpoint.Ready || p.proven) && !p.endpoint.Terminating
	})
}

// quiet: it falls asleep, and who said so has said it for long enough.
func (a *Application) quiet() bool {
	return a.Route().State == routing.FallingAsleep && (a.asleepUntil.IsZero() || a.d.options.Now().Before(a.asleepUntil))
}

// wakeAnswered ends the wake-up with the first answer; it returns what has ended, for publish.
func (a *Application) wakeAnswered(v *Visit, now time.Time) *WakeUp {
	if a.wake == nil || v.wake != a.wake && !a.wake.detached {
		return nil
	}
	a.wake.FirstByteAt, a.wake.Pod = now, v.Pod.Name
	return a.endWake(WakeAnswered)
}

// wakeFailed ends the wake-up when all who waited for it have gone without an answer.
func (a *Application) wakeFailed() *WakeUp {
	if a.wake == nil || a.start != nil || a.room.Len() > 0 || a.wake.released > 0 || a.wake.detached && !a.began.IsZero() {
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
	published := *ended // visits that it let in still count themselves out of it
	return &published
}

// publish passes on what has ended; without the lock, for it leads outside.
func (a *Application) publish(ended *WakeUp) {
	if ended == nil {
		return
	}
	a.d.options.ReportSoon()
	if a.d.options.Woken != nil {
		a.d.options.Woken(a.ID, *ended)
	}
}
