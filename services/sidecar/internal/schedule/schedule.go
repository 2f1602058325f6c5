// Package schedule decides when the pod is measured and when what was measured is sent, and keeps
// what the controller has not taken yet. It is pure: it takes the time and the randomness, does
// nothing by itself, and says why with every step.
//
//	       interval ± jitter, news          taken
//	──▶ collect ──────────▶ waiting ──▶ send ─────▶ (none waits)
//	       ▲                 │  ▲         │
//	       └── command       │  └─────────┘ the controller is away: back off, with full jitter
//	                         └─ a newer one is made: it takes the place, and what it missed is counted
//
// Measuring goes on at its interval while the controller is away. When it is back it is told what is so
// now, at once: it has no use for what was so before, which would only come between. What is no news
// (DeadBand) is not sent.
package schedule

import (
	"errors"
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// Options say how often, and how patiently.
type Options struct {
	Interval       time.Duration // between two measurements
	Jitter         float64       // the share of the interval by which it varies, so that pods started together do not push together
	FirstPause     time.Duration // between the first measurement and the second: CPU needs two readings, and a young pod is to be seen soon
	BackOffFirst   time.Duration // the most that is waited after the first failure
	BackOffLongest time.Duration // the most that is waited after many
	DeadBand       DeadBand      // what is news
	Random         func() float64
}

// Action is what is to be done.
type Action int

// The actions.
const (
	Wait Action = iota
	Collect
	Send
)

func (a Action) String() string { return [...]string{"wait", "collect", "send"}[a] }

// Step is what is to be done now, or how long to wait, and why.
type Step struct {
	Do   Action
	Wait time.Duration
	Why  string
}

// Schedule is the state of one sidecar.
type Schedule struct {
	o         Options
	waiting   *pod.Measurement // the newest that is to be sent; nil is none
	collectAt time.Time
	sendAt    time.Time
	failures  int
	last      pod.Measurement // that was to be sent, unless the controller refused it
	measured  time.Time       // when, at last
	delivery  Delivery
}

// Delivery is what became of the measurements so far.
type Delivery struct {
	Collected, Sent, Refused, Failed int64
	Dropped                          int64 // a newer one took their place before they were sent
	Unchanged                        int64 // measured and not to be sent
	Waiting                          int
	LastSent                         time.Time // zero: never
	LastError                        string    // of the last push; "" when it went well
}

// New makes a schedule that wants a measurement at once.
func New(o Options, now time.Time) *Schedule {
	return &Schedule{o: o, collectAt: now}
}

// Next is the step for this moment.
func (s *Schedule) Next(now time.Time) Step {
	if !now.Before(s.collectAt) {
		return Step{Do: Collect, Why: "the interval is over"}
	}
	next := Step{Wait: s.collectAt.Sub(now), Why: "the next measurement is not due"}
	if s.waiting == nil {
		return next
	}
	if !now.Before(s.sendAt) {
		return Step{Do: Send, Why: "one waits"}
	}
	if left := s.sendAt.Sub(now); left < next.Wait {
		return Step{Wait: left, Why: fmt.Sprintf("the controller did not take the last one, %d times now", s.failures)}
	}
	return next
}

// Collected takes a measurement to be sent, and plans the next. One without any value is not sent:
// it would say nothing.
func (s *Schedule) Collected(m pod.Measurement, now time.Time) {
	s.delivery.Collected++
	pause := s.o.FirstPause
	if s.delivery.Collected > 1 {
		pause = time.Duration(float64(s.o.Interval) * (1 + s.o.Jitter*(2*s.o.Random()-1)))
	}
	s.collectAt = now.Add(pause)
	if !s.measured.IsZero() {
		m.Window = max(m.At.Sub(s.measured), 0)
	}
	s.measured = m.At
	if m.Empty() {
		return
	}
	next := now.Add(time.Duration(float64(s.o.Interval) * (1 + s.o.Jitter)))
	if s.waiting != nil {
		s.delivery.Dropped++
	} else if s.o.DeadBand.news(s.last, m, next) == "" {
		s.delivery.Unchanged++
		return
	}
	s.last, s.waiting = m, &m
}

// SendNow is the command to send without regard to the back-off, and whether it is news or not: what is
// measured next goes out too.
func (s *Schedule) SendNow(now time.Time) { s.sendAt, s.last = now, pod.Measurement{} }

// Hold keeps what is about to be measured on command until the next push is due: such a command is
// none to send. What waits already goes out when it would have, however many commands come.
func (s *Schedule) Hold() {
	if s.waiting == nil && s.sendAt.Before(s.collectAt) {
		s.sendAt = s.collectAt
	}
}

// Newest is the measurement to send.
func (s *Schedule) Newest() (pod.Measurement, bool) {
	if s.waiting == nil {
		return pod.Measurement{}, false
	}
	return *s.waiting, true
}

// Sent takes note of what became of sending the newest. A refusal (RefusedError) is final: the
// controller is there, and will not take this one the next time either.
func (s *Schedule) Sent(err error, now time.Time) {
	switch {
	case err == nil:
		s.delivery.Sent++
		s.delivery.LastSent, s.delivery.LastError = now, ""
	case Final(err):
		s.delivery.Refused++
		s.delivery.LastError = err.Error()
		s.last = pod.Measurement{} // the controller does not know it
	default:
		s.failures++
		s.delivery.Failed++
		s.delivery.LastError = err.Error()
		s.sendAt = now.Add(s.backOff(err))
		return
	}
	s.waiting = nil
	s.failures = 0
	s.sendAt = now
}

// backOff is drawn from 0 to a bound that doubles (full jitter: a thousand sidecars whose controller
// comes back do not come at once), but no shorter than the controller asked for.
func (s *Schedule) backOff(err error) time.Duration {
	bound := s.o.BackOffLongest
	if doublings := s.failures - 1; doublings < 20 {
		bound = min(bound, s.o.BackOffFirst<<doublings)
	}
	pause := time.Duration(s.o.Random() * float64(bound))
	if busy, ok := errors.AsType[*BusyError](err); ok {
		pause += min(busy.After, s.o.BackOffLongest)
	}
	return pause
}

// Delivery is what became of the measurements so far.
func (s *Schedule) Delivery() Delivery {
	delivery := s.delivery
	if s.waiting != nil {
		delivery.Waiting = 1
	}
	return delivery
}

// RefusedError is the controller's definite no to a measurement.
type RefusedError struct {
	Detail string
	Fields []string // at fault, where it names them
}

func (e *RefusedError) Error() string { return "the controller refuses it: " + e.Detail }

// BusyError is the controller's wish to be left alone for a while.
type BusyError struct {
	After  time.Duration
	Detail string
}

func (e *BusyError) Error() string { return "the controller is busy: " + e.Detail }

// Final tells whether the error ends the matter of one measurement, and not of the next.
func Final(err error) bool {
	_, ok := errors.AsType[*RefusedError](err)
	return ok
}
