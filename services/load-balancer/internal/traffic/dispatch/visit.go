package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/waitroom"
)

// The ways in which a request does not reach a pod; a *BlockedError is one more. A full room answers
// with waitroom's errors.
var (
	ErrTooLate = errors.New("no pod served before the deadline")
	ErrBusy    = errors.New("every pod works on as many requests as it may")
	ErrAsleep  = errors.New("no pod serves, and this request starts none")
	ErrTries   = errors.New("as many pods as a request may try did not take it")
	ErrGone    = errors.New("the client is gone")
	ErrNoRoute = errors.New("the application has no route any more")
	ErrClosing = errors.New("the load balancer is ending")
)

// maxTries bounds how many pods one request is offered to.
const maxTries = 10

// Visit is one request's stay with an application, from arrival to the end of the answer. The order
// of calls is Arrive, Wait (or Detach) when Arrive says so, then for each pod that did not take it
// Retry (and Wait), Answered, and always End. Its fields may be read between the calls.
//
// now is handed in to each: who serves a request has read the clock anyway.
type Visit struct {
	App     *Application
	Pod     *Pod
	Reason  string        // why this pod
	SentAt  time.Time     // when it was given the pod
	Waited  time.Duration // in the room, all stays together
	Trouble Trouble       // why no pod was free, when the visit waited in vain
	Arrived time.Time
	WakeUp  string // the id of the wake-up that it waited for; "" is none
	Tries   int    // pods that it was given
	Answer  Answer // what kind of answer it has; to be said before Answered
	// OnCut is called, on a goroutine of its own, when the request must end at once because its slot may be
	// given to another load balancer soon. It is set before the request is sent; nil is nothing.
	OnCut func()

	ticket   waitroom.Ticket
	arrival  Arrival
	sequence uint64
	granted  chan struct{}
	refused  error
	entered  time.Time
	arrived  bool    // it is counted
	answered bool    // the head of the answer came
	level    int32   // requests in flight at the pod when it was sent
	stage    stage   // as it is counted
	wake     *WakeUp // the wake-up that let it in
	slot     uint64  // that it has, or asks for; 0 is none
	brief    *time.Timer
	cutOff   bool // its slot is free only when it has rested
}

// Arrival is what is known of a request that arrives.
type Arrival struct {
	Trace   context.Context //nolint:containedctx // its span goes with the start call; nil is none
	TraceID [16]byte        // of the trace; zero is none
	Bytes   int64           // that it holds while it waits
	// Client, Method and Path are for people who look who waits.
	Client, Method, Path string
	// Affinity is what the policy may go by: a key, or the pod of its session.
	Affinity balance.Request
	// Uncounted is a request that is no traffic, a health check say: it takes a pod that is free now,
	// but neither waits nor starts one, and leaves no trace in what is reported.
	Uncounted bool
}

// Arrive asks for a pod. With waits, there is none yet: call Wait. The errors are those of the room
// (waitroom.ErrTooMany, ErrTooLarge), ErrNoRoute and ErrClosing; for a request that does not count
// only ErrNoRoute, ErrAsleep and ErrBusy.
func (v *Visit) Arrive(app *Application, arrival Arrival, now time.Time) (waits bool, err error) {
	v.App, v.Arrived, v.arrival = app, now, arrival
	v.Touch(now)
	app.mu.Lock()
	defer app.mu.Unlock()
	app.mark()
	if arrival.Uncounted {
		return v.enterUncounted(now)
	}
	app.sequence++
	v.sequence = app.sequence
	if !v.arrived { // else it was announced before
		v.arrived = true
		app.counters.arrivals++
	}
	return v.enter(now, false)
}

// Touch notes a byte from or to the client, unless the request does not count.
func (v *Visit) Touch(now time.Time) {
	if !v.arrival.Uncounted {
		v.App.Touch(now)
	}
}

// enterUncounted takes a pod if one is free and nobody waits. Where another load balancer knows that, it
// is waited for.
func (v *Visit) enterUncounted(now time.Time) (waits bool, err error) {
	a := v.App
	if a.removed {
		return false, ErrNoRoute
	}
	if a.room.Len() == 0 {
		if pod, reason := a.free(v.arrival.Affinity, now); pod != nil {
			v.take(pod, reason, now)
			return false, nil
		}
		if s := a.share; s != nil && s.seated && !s.account.Lending() && a.anyUsable() {
			v.waitBriefly()
			a.update(now)
			return true, nil
		}
	}
	if a.anyUsable() {
		return false, ErrBusy
	}
	return false, ErrAsleep
}

// enter takes a pod if one is free and nobody waits, else a place in the room.
func (v *Visit) enter(now time.Time, again bool) (bool, error) {
	a := v.App
	if a.removed {
		return false, ErrNoRoute
	}
	if a.room.Len() == 0 {
		if pod, reason := a.free(v.arrival.Affinity, now); pod != nil {
			v.take(pod, reason, now)
			return false, nil
		}
	}
	if a.closed {
		return false, ErrClosing
	}
	if err := a.room.Enter(&v.ticket, v.sequence, v.arrival.Bytes, again); err != nil {
		return false, err
	}
	v.ticket.Holder, v.granted, v.refused, v.entered = v, make(chan struct{}), nil, now
	if a.start != nil && a.wake != nil && !again {
		a.wake.Waited++
	}
	first := a.room.Len() == 1
	a.update(now) // who comes back is perhaps the oldest, and a pod free
	if a.wake != nil {
		v.WakeUp = a.wake.ID
	}
	if first {
		a.d.options.ReportSoon()
	}
	return true, nil
}

// take gives it the pod.
func (v *Visit) take(pod *Pod, reason string, now time.Time) {
	v.Pod, v.Reason, v.SentAt = pod, reason, now
	v.Tries++
	if !v.entered.IsZero() {
		v.leaveRoom(now)
		v.wake = v.App.wake
	}
	if v.wake != nil {
		v.wake.released++
	}
	v.level = pod.balanced.Sent()
	v.App.mark()
	if v.App.share != nil {
		v.App.hold(v)
	}
	v.App.counters.move(v, working, v.App.d.sinceStart(now))
}

// leaveRoom adds up how long it waited.
func (v *Visit) leaveRoom(now time.Time) {
	v.Waited += now.Sub(v.entered)
	v.entered = time.Time{}
	if v.slot != 0 {
		v.App.withdraw(v)
	}
}

// Wait returns when the visit has a pod, or cannot get one: ErrTooLate when no pod served in time,
// ErrBusy when those that serve were full for too long, a *BlockedError when none will come,
// ErrNoRoute, ErrClosing, or ErrGone after gone was closed. Its place is free at once.
func (v *Visit) Wait(gone <-chan struct{}) error {
	select {
	case <-v.granted:
		return v.refused
	case <-gone:
	}
	a := v.App
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.room.Leave(&v.ticket) {
		if v.arrival.Uncounted && v.Pod == nil && v.refused == nil {
			v.brief.Stop()
			a.withdraw(v)
			return ErrGone
		}
		return v.refused // it was let in at the same moment
	}
	now := a.d.options.Now()
	v.leaveRoom(now)
	v.Trouble = a.hindrance(now)
	a.update(now)
	return ErrGone
}

// Settled is closed when Wait will not wait.
func (v *Visit) Settled() <-chan struct{} { return v.granted }

// Detach leaves the room at once, while the start goes on that the request has caused: who waits
// elsewhere comes again. It returns false, and changes nothing, when the visit has a pod already.
func (v *Visit) Detach(now time.Time) bool {
	a := v.App
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.room.Leave(&v.ticket) {
		return v.refused != nil
	}
	v.leaveRoom(now)
	v.Trouble = a.hindrance(now)
	if a.start != nil {
		a.wanted = later(a.wanted, now.Add(a.startBudget()))
		if a.wake != nil {
			a.wake.detached = true
		}
	}
	a.update(now)
	return true
}

// Left is how long the request may still wait, whatever it waits for; also a connection to a pod
// that is being made should not take longer.
func (v *Visit) Left(now time.Time) time.Duration { return v.last().Sub(now) }

func (v *Visit) last() time.Time { return v.Arrived.Add(v.App.Route().WakeUpTimeout) }

// Retry gives the pod back because nothing of the request reached it, and asks for another one. The
// request keeps its place before all who came later. refused says that the pod took no connection:
// it gets no request until it takes one; without it the pod is not blamed (it may be full, or the
// fault is our own).
func (v *Visit) Retry(refused bool, now time.Time) (waits bool, err error) {
	a := v.App
	a.mu.Lock()
	defer a.mu.Unlock()
	if refused {
		v.Pod.refused()
	}
	v.release(now)
	switch {
	case v.Tries >= maxTries:
		err = ErrTries
	case v.arrival.Uncounted:
		waits, err = v.enterUncounted(now)
	case v.Left(now) <= 0:
		err = ErrTooLate
		v.Trouble = plain(fmt.Sprintf("it was offered to pods %d times, and none took it", v.Tries))
	default:
		waits, err = v.enter(now, true)
	}
	a.update(now)
	return waits, err
}

// release gives the pod back.
func (v *Visit) release(now time.Time) {
	v.Pod.balanced.Released()
	v.App.mark()
	if v.App.shared != nil {
		v.App.giveBack(v, v.Pod.Name)
	}
	v.App.counters.move(v, away, v.App.d.sinceStart(now))
	if v.wake != nil {
		v.wake.released--
	}
	v.Pod = nil
}

// Answered notes that the head of the answer came from the pod.
func (v *Visit) Answered(status int, now time.Time) {
	a := v.App
	a.mu.Lock()
	a.mark()
	v.answered = true
	var ended *WakeUp
	if !v.arrival.Uncounted { // that a pod answers health checks says little
		v.Pod.balanced.Answered(balance.ByStatus(status), now.Sub(v.SentAt), v.level, now)
		a.counters.began(v, a.d.sinceStart(now), now)
		ended = a.wakeAnswered(v, now)
	}
	if a.room.Len() > 0 || a.share != nil && a.share.account.Queue() != nil {
		a.update(now)
	}
	a.mu.Unlock()
	a.publish(ended)
}

// FirstByte notes the first byte of a stream that came behind its head.
func (v *Visit) FirstByte(now time.Time) {
	if v.arrival.Uncounted || v.Answer != StreamToCome {
		return
	}
	v.App.mu.Lock()
	defer v.App.mu.Unlock()
	v.Answer = Stream
	v.App.mark()
	addTo(&v.App.counters.times.Streams, now.Sub(v.SentAt))
}

// Outcome is how a visit ended.
type Outcome struct {
	Status int  // of the answer; 0 when the client was gone before
	Broken bool // the pod broke off
	Left   bool // the client went before the end: the time says nothing of the pod
	// Ours says that the fault is this load balancer's own (no file or address is left, say): it is
	// not held against the pod, and its time was no answer's.
	Ours bool
}

// End ends the visit, and lets in who waits for its pod.
func (v *Visit) End(o Outcome, now time.Time) {
	a := v.App
	v.Touch(now)
	a.mu.Lock()
	a.mark() // the touch may be reported already
	if !v.arrival.Uncounted {
		a.counters.count(v, o, now)
	}
	if a.room.Leave(&v.ticket) { // it was given up while it waited
		v.leaveRoom(now)
		a.update(now)
	}
	if v.Pod != nil {
		if o.Broken && !o.Ours {
			v.Pod.balanced.Answered(balance.Failed, now.Sub(v.SentAt), v.level, now)
		}
		if a.share != nil && v.Answer == Whole {
			a.share.note(now.Sub(v.SentAt), now)
		}
		pod := v.Pod
		v.release(now)
		if a.room.Len() > 0 || a.share != nil {
			a.update(now)
		}
		if pod.emptied(now) {
			a.d.options.ReportSoon()
		}
	}
	if a.quiet() && a.counters.inFlight() == 0 && a.room.Len() == 0 {
		a.d.options.ReportSoon()
	}
	ended := a.wakeFailed()
	a.mu.Unlock()
	a.publish(ended)
}

// RetryAfter is when a client that was refused should come again: what is left of the start under
// way, from 1 s to 120 s.
func (v *Visit) RetryAfter(now time.Time) time.Duration {
	if _, blocked := errors.AsType[*BlockedError](v.refused); blocked {
		return blockedRetryAfter
	}
	v.App.mu.Lock()
	defer v.App.mu.Unlock()
	return v.App.retryAfter(now)
}
