package dispatch

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// StartRequest is that a start is wanted: somebody waits, and no pod is usable.
type StartRequest struct {
	App       routing.Application
	Trace     context.Context //nolint:containedctx // the span of the request that waits longest
	ArrivedAt time.Time       // when that one came

	app      *Application
	answered time.Time // when the controller answered first; zero: it has not
	ended    chan struct{}
}

// Ended is closed when a pod is usable, or nobody wants the start any more.
func (r *StartRequest) Ended() <-chan struct{} { return r.ended }

// Waiting is how many wait now.
func (r *StartRequest) Waiting() int {
	r.app.mu.Lock()
	defer r.app.mu.Unlock()
	return r.app.room.Len()
}

// Called notes that the start call goes out.
func (r *StartRequest) Called() {
	r.app.mu.Lock()
	defer r.app.mu.Unlock()
	if w := r.app.wake; w != nil {
		w.note(&w.StartCalledAt, r.app.d.options.Now())
		r.app.mark()
	}
}

// Answered notes the controller's answer.
func (r *StartRequest) Answered(s Started) {
	a := r.app
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.d.options.Now()
	if w := a.wake; w != nil {
		w.note(&w.StartAnsweredAt, now)
		a.mark()
	}
	if a.start != r {
		return
	}
	a.trouble = Trouble{}
	if r.answered.IsZero() {
		r.answered = now
	}
	if s.ExpectedStart > 0 {
		a.expected = s.ExpectedStart
	}
	if s.Elapsed > 0 { // another load balancer asked before us
		a.began = sooner(a.began, now.Add(-s.Elapsed))
	}
	a.block.byCall(s.Blocked, now)
	a.wanted = time.Time{} // the controller knows now
	a.update(now)
}

// Failed notes that the start call failed, for those who will have waited in vain.
func (r *StartRequest) Failed(err error) {
	a := r.app
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.start != r {
		return
	}
	a.trouble = plain("the controller cannot be reached")
	if refused, ok := errors.AsType[*RefusedStartError](err); ok {
		if !a.kept.IsZero() { // that the controller knows no such application any more is no news
			a.trouble = refusedTrouble(refused.Detail, a.ID)
			return
		}
		now := a.d.options.Now()
		a.trouble = refusedTrouble(refused.Detail, a.ID)
		a.block.byCall(routing.Blocked{Reason: startRefused, Message: refused.Detail, Since: now}, now)
		a.update(now)
	}
}

func refusedTrouble(detail string, app routing.Application) Trouble {
	return Trouble{detail, cmp.Or(nameless(detail, app), "the controller refused the start")}
}

// RefusedStartError is a definite no of the controller: asking again sooner would not help.
type RefusedStartError struct {
	Detail string // in the controller's words, for the client that waits
}

func (e *RefusedStartError) Error() string { return "the controller refused the start: " + e.Detail }

// StartCall is what the controller is asked.
type StartCall struct {
	App       routing.Application
	Waiting   int       // requests
	ArrivedAt time.Time // when the one that waits longest came
}

// Started is what it answers.
type Started struct {
	Scaled        bool            // this very call changed the Deployment
	ExpectedStart time.Duration   // how long a start took lately; 0 is not known
	Elapsed       time.Duration   // since the start under way began; 0 is not known
	Blocked       routing.Blocked // why the start cannot succeed; the zero value: it can
	Message       string
}

// startIfWanted begins to ask for a start, or ends it.
func (a *Application) startIfWanted(now time.Time) {
	wanted := !a.anyUsable() && (a.room.Len() > 0 || now.Before(a.wanted))
	switch {
	case wanted && a.start == nil && a.room.Len() > 0:
		first := visitOf(a.room.First())
		trace := context.Background()
		if first.arrival.Trace != nil {
			trace = context.WithoutCancel(first.arrival.Trace)
		}
		a.start = &StartRequest{App: a.ID, Trace: trace, ArrivedAt: first.Arrived, app: a, ended: make(chan struct{})}
		// A sleep that is only called off is no wake-up: its pods still run.
		if !a.onlyHeldBack() {
			if a.began.IsZero() {
				a.began = first.Arrived
			}
			if a.wake == nil {
				a.wake = newWakeUp(first, a.room.Len(), a.d.options.NewID)
			}
		}
		a.d.options.Waker.Wake(a.start)
	case !wanted && a.start != nil:
		close(a.start.ended)
		a.start, a.wanted = nil, time.Time{}
		a.block.byCall(routing.Blocked{}, now) // nobody asks any more: it may have changed when the next one comes
	}
}
