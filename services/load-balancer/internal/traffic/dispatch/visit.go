package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/waitroom"
)

// The ways in which a request does not reach a pod. A full room answers with waitroom's errors.
var (
	ErrTooLate = errors.New("no pod was free before the deadline")
	ErrNoRoute = errors.New("the application has no route any more")
	ErrClosing = errors.New("the load balancer is ending")
)

// Visit is one request's stay with an application, from arrival to the end of the answer. The order
// of calls is Arrive, Wait when Arrive says so, then for each pod that is gone Retry (and Wait),
// Answered, and always End. Its fields may be read between the calls.
type Visit struct {
	App     *Application
	Pod     *Pod
	Reason  string        // why this pod
	SentAt  time.Time     // when it was given the pod
	Waited  time.Duration // in the room, all stays together
	Trouble string        // why no pod was free, when the visit waited in vain; "" is not known
	Arrived time.Time
	WakeUp  string // the id of the wake-up that it waited for; "" is none

	ticket    waitroom.Ticket
	arrival   Arrival
	sequence  uint64
	bytes     int64
	granted   chan struct{}
	refused   error
	entered   time.Time
	streaming bool
	wake      *WakeUp // the wake-up that let it in
}

// Arrival is what is told of a request that arrives.
type Arrival struct {
	Trace   context.Context //nolint:containedctx // its span goes with the start call
	TraceID [16]byte        // of the trace
	Bytes   int64           // that it holds while it waits
}

// Arrive asks for a pod. With waits, there is none yet: call Wait. The errors are those of the room
// (waitroom.ErrTooMany, ErrTooLarge), ErrNoRoute and ErrClosing.
func (v *Visit) Arrive(app *Application, arrival Arrival) (waits bool, err error) {
	now := app.d.options.Now()
	v.App, v.Arrived, v.arrival, v.bytes = app, now, arrival, arrival.Bytes
	app.Touch(now)
	app.mu.Lock()
	defer app.mu.Unlock()
	app.sequence++
	v.sequence = app.sequence
	return v.enter(now, false)
}

// enter takes a pod if one is free and nobody waits, else a place in the room.
func (v *Visit) enter(now time.Time, again bool) (bool, error) {
	a := v.App
	if a.removed {
		return false, ErrNoRoute
	}
	if a.room.Len() == 0 {
		if pod, reason, ok := a.pick(now); ok {
			v.take(pod, reason, now)
			return false, nil
		}
	}
	if a.closed {
		return false, ErrClosing
	}
	if err := a.room.Enter(&v.ticket, v.sequence, v.bytes, again); err != nil {
		return false, err
	}
	v.ticket.Holder, v.granted, v.entered = v, make(chan struct{}), now
	if a.need != nil && a.wake != nil && !again {
		a.wake.Waited++
	}
	a.admit(now) // who comes back is perhaps the oldest, and a pod free
	a.callIfNeeded()
	if a.wake != nil {
		v.WakeUp = a.wake.ID
	}
	a.fallBack()
	if a.room.Len() == 1 {
		a.d.options.ReportSoon()
	}
	return true, nil
}

// take gives it the pod.
func (v *Visit) take(pod *Pod, reason string, now time.Time) {
	v.Pod, v.Reason, v.SentAt = pod, reason, now
	if !v.entered.IsZero() {
		v.Waited += now.Sub(v.entered)
		v.entered = time.Time{}
		v.wake = v.App.wake
	}
	if v.wake != nil {
		v.wake.released++
	}
	pod.inFlight++
	v.App.counters.inFlight++
}

// Wait returns when the visit has a pod, or cannot get one: ErrTooLate, ErrNoRoute, ErrClosing, or
// ctx's error. Its place is free at once.
func (v *Visit) Wait(ctx context.Context) error {
	a := v.App
	timer := time.NewTimer(v.deadline().Sub(a.d.options.Now()))
	defer timer.Stop()
	var because error
	select {
	case <-v.granted:
		return v.refused
	case <-timer.C:
		because = ErrTooLate
	case <-ctx.Done():
		because = ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.room.Leave(&v.ticket) {
		return v.refused // it was let in at the same moment
	}
	now := a.d.options.Now()
	v.Waited += now.Sub(v.entered)
	v.Trouble = a.hindrance(now)
	a.callIfNeeded()
	return because
}

func (v *Visit) deadline() time.Time {
	v.App.mu.Lock()
	defer v.App.mu.Unlock()
	return v.Arrived.Add(v.App.route.WakeUpTimeout)
}

// Grow tells the room that the waiting request holds n bytes more; false when it may not.
func (v *Visit) Grow(n int64) bool {
	v.App.mu.Lock()
	defer v.App.mu.Unlock()
	if !v.App.room.Grow(&v.ticket, n) {
		return false
	}
	v.bytes += n
	return true
}

// Retry gives the pod back because nothing of the request reached it, and asks for another one. The
// request keeps its place before all who came later.
func (v *Visit) Retry() (waits bool, err error) {
	a := v.App
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.d.options.Now()
	v.Pod.refused()
	v.release()
	waits, err = v.enter(now, true)
	a.update(now)
	return waits, err
}

// release gives the pod back.
func (v *Visit) release() {
	v.Pod.inFlight--
	v.App.counters.inFlight--
	if v.wake != nil {
		v.wake.released--
	}
	v.Pod = nil
}

// Answered notes that the head of the answer came from the pod.
func (v *Visit) Answered() {
	a := v.App
	now := a.d.options.Now()
	a.mu.Lock()
	v.streaming = true
	a.counters.streaming++
	v.Pod.ejection.Succeeded()
	v.Pod.ramp.Answered()
	ended := a.wakeAnswered(v, now)
	if a.room.Len() > 0 {
		a.admit(now)
	}
	a.mu.Unlock()
	a.tell(ended)
}

// Outcome is how a visit ended.
type Outcome struct {
	Status int  // of the answer; 0 when the client was gone before
	Broken bool // the pod broke off
}

// End ends the visit, and lets in who waits for its pod.
func (v *Visit) End(o Outcome) {
	a := v.App
	now := a.d.options.Now()
	a.Touch(now)
	a.mu.Lock()
	a.counters.requests++
	if o.Broken || o.Status >= 500 {
		a.counters.failures++
	}
	if v.streaming {
		a.counters.streaming--
	}
	if v.Pod == nil {
		if o.Status != 0 {
			a.counters.rejected++
		}
	} else {
		if o.Broken && !v.streaming {
			v.Pod.ejection.Failed(now, a.d.options.Chance())
		}
		a.counters.latency.add(now.Sub(v.SentAt))
		v.release()
		if a.room.Len() > 0 {
			a.update(now)
		}
	}
	if a.quiet() && a.counters.inFlight == 0 && a.room.Len() == 0 {
		a.d.options.ReportSoon()
	}
	ended := a.wakeFailed()
	a.mu.Unlock()
	a.tell(ended)
}

// RetryAfter is when a client that was refused should come again.
func (v *Visit) RetryAfter() time.Duration {
	v.App.mu.Lock()
	defer v.App.mu.Unlock()
	return v.App.retryAfter()
}
