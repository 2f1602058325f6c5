package fleet

import (
	"maps"
	"slices"
	"time"
)

// Outcome is how a wake-up ended.
type Outcome string

// The outcomes, as in the contract.
const (
	Pending  Outcome = "Pending"
	Answered Outcome = "Answered"
	Failed   Outcome = "Failed"
)

// WakeReport is what a load balancer saw of a wake-up; a zero time is a phase not reached.
type WakeReport struct {
	ID                                                           string
	ArrivedAt, StartCalled, StartAnswered, FirstProbe, FirstByte time.Time
	Pod                                                          string
	Waited                                                       int32
	Outcome                                                      Outcome
}

// Phase is one step of a wake-up.
type Phase struct {
	Name       string
	At         time.Time
	ByBalancer bool
}

// WakeUp is one wake-up from zero, its phases in the order of time.
type WakeUp struct {
	ID        string
	ArrivedAt time.Time
	Outcome   Outcome
	Waited    int32
	Pod       string
	Phases    []Phase
}

// FailedWake is the last wake-up when those who waited for it were refused. The zero value: it did not fail.
type FailedWake struct {
	ID     string // as the load balancer calls it
	Waited int32
}

// failed tells whether it failed.
func (e *episode) failed() FailedWake {
	if e == nil || e.report == nil || e.report.Outcome != Failed {
		return FailedWake{}
	}
	return FailedWake{ID: e.report.ID, Waited: e.waited}
}

// episode is a wake-up as it goes on: what this process sees, joined with what the load balancer
// whose request came first reports.
type episode struct {
	began                                       time.Time
	startCall, scaled                           time.Time
	podCreated, scheduled, containerUp, readyAt time.Time
	pod                                         string // whose times these are
	waited                                      int32
	learned                                     bool
	asleep                                      bool // it went back to zero: this story has ended
	report                                      *WakeReport
	expected                                    time.Duration // that a start would take, as it began; 0: it was not known
	counted                                     bool          // among those that ended
}

// over: the load balancer says how it ended, or pods are ready and nobody reports anything.
func (e *episode) over() bool {
	if e.asleep {
		return true
	}
	if e.report != nil {
		return e.report.Outcome != Pending
	}
	return !e.readyAt.IsZero()
}

// observe takes the times of the first pod, or of the one that answered.
func (e *episode) observe(name string, t podTimes) {
	if t.created.Before(e.began) {
		return
	}
	if answered := e.answeredBy(); answered != "" && name == answered && e.pod != name {
		e.podCreated, e.scheduled, e.containerUp, e.readyAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		e.pod = name
	}
	if e.pod == "" {
		e.pod = name
	}
	if e.pod != name || e.over() && !e.readyAt.IsZero() {
		return
	}
	e.podCreated, e.scheduled, e.containerUp, e.readyAt = t.created, t.scheduled, t.started, t.ready
}

func (e *episode) answeredBy() string {
	if e.report == nil {
		return ""
	}
	return e.report.Pod
}

// join takes a load balancer's report. Of several balancers the one whose request came first tells
// the story.
func (a *application) join(r WakeReport, now time.Time) {
	e := a.wake
	switch {
	case e == nil || (e.over() && (e.report == nil && r.ArrivedAt.After(e.readyAt) || e.report != nil && e.report.ID != r.ID && r.ArrivedAt.After(e.report.ArrivedAt))):
		began := r.ArrivedAt
		if began.After(now) || began.IsZero() {
			began = now
		}
		e = &episode{began: began, expected: a.starts.median()}
		a.wake = e
	case e.report != nil && e.report.ID != r.ID && !r.ArrivedAt.Before(e.report.ArrivedAt):
		return
	}
	e.report = &r
	e.waited = max(e.waited, r.Waited)
	a.ended(e, now)
	for _, name := range slices.Sorted(maps.Keys(a.pods)) {
		e.observe(name, a.pods[name].podTimes)
	}
}

// WakesEnded are the wake-ups that somebody waited for and that have ended, as far as load balancers told of them.
type WakesEnded struct {
	Total uint64      // in all; it only grows
	Last  []WakeEnded // the last ones, the oldest first
}

// WakeEnded is one.
type WakeEnded struct {
	Failed bool          // those who waited were refused
	Took   time.Duration // from the first request's arrival to the first byte of its answer
	Late   bool          // that is more than half as long again as a start was expected to take
}

// keptEnded are more than can end until they are looked at.
const keptEnded = 8

// ended takes note of a wake-up that a load balancer says has ended.
func (a *application) ended(e *episode, now time.Time) {
	if e.counted || e.report.Outcome == Pending {
		return
	}
	e.counted = true
	one := WakeEnded{Failed: e.report.Outcome == Failed}
	if !one.Failed {
		answered := e.report.FirstByte
		if answered.IsZero() {
			answered = now
		}
		one.Took = max(answered.Sub(e.report.ArrivedAt), 0)
		one.Late = e.expected > 0 && one.Took > e.expected+e.expected/2
	}
	next := &WakesEnded{Total: 1}
	if before := a.woken; before != nil {
		next.Total += before.Total
		next.Last = before.Last[max(0, len(before.Last)-keptEnded+1):]
	}
	next.Last = append(slices.Clone(next.Last), one)
	a.woken = next
}

// wakeUp is the story so far; nil when there is none.
func (a *application) wakeUp() *WakeUp {
	e := a.wake
	if e == nil {
		return nil
	}
	w := &WakeUp{ArrivedAt: e.began, Outcome: Pending, Waited: e.waited, Pod: e.pod}
	add := func(name string, at time.Time, balancer bool) {
		if !at.IsZero() {
			w.Phases = append(w.Phases, Phase{Name: name, At: at, ByBalancer: balancer})
		}
	}
	if r := e.report; r != nil {
		w.ID, w.ArrivedAt, w.Outcome = r.ID, r.ArrivedAt, r.Outcome
		if r.Pod != "" {
			w.Pod = r.Pod
		}
		add("Arrival", r.ArrivedAt, true)
		add("FirstGoodProbe", r.FirstProbe, true)
		add("FirstByte", r.FirstByte, true)
	} else if !e.readyAt.IsZero() {
		w.Outcome = Answered
	}
	call, byBalancer := e.startCall, false
	if call.IsZero() && e.report != nil {
		call, byBalancer = e.report.StartCalled, true
	}
	add("StartCall", call, byBalancer)
	add("Scaled", e.scaled, false)
	add("PodCreated", e.podCreated, false)
	add("Scheduled", e.scheduled, false)
	add("ContainerStarted", e.containerUp, false)
	add("Ready", e.readyAt, false)
	slices.SortStableFunc(w.Phases, func(a, b Phase) int { return a.At.Compare(b.At) })
	return w
}
