package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// reconcile decides on one application because something was heard of it, or a moment has come.
func (l *Loop) reconcile(ctx context.Context, k fleet.Key) {
	if !l.leading.Load() {
		return
	}
	m := l.memory(k)
	if m.lock(ctx) != nil {
		return // the loop ends
	}
	defer m.unlock()
	l.follow(m, k, time.Now())
	record, known, err := l.decide(ctx, m, k, nil)
	if !known {
		l.Forget(k)
		return
	}
	if err != nil {
		l.work.retry(k)
		return
	}
	l.work.succeeded(k)
	if !record.Due.IsZero() {
		l.work.at(k, record.Due)
	}
}

// decide decides and applies, and again when somebody else was faster. It returns the record of
// the last decision, and whether the application is known at all. The caller has m's lock.
func (l *Loop) decide(ctx context.Context, m *memory, k fleet.Key, call *scaling.Call) (fleet.Record, bool, error) {
	var record fleet.Record
	for attempt := 1; ; attempt++ {
		now := time.Now()
		spec, state, ok := l.Fleet.State(k, l.missing(), now)
		if !ok {
			return fleet.Record{}, false, nil
		}
		state.Call = call
		m.mu.Lock()
		state.Since, state.History = m.since, m.history
		m.mu.Unlock()
		record = fleet.Record{Decision: scaling.Decide(spec, state, now), Key: k, Time: now}
		m.mu.Lock()
		m.since, m.history = record.Since, record.History
		m.mu.Unlock()
		err := l.apply(ctx, m, &record, state, call != nil)
		if errors.Is(err, fleet.ErrMoved) && attempt < attempts {
			continue
		}
		return record, true, err
	}
}

// missing is what forbids this process to scale down.
func (l *Loop) missing() string {
	if !l.leading.Load() {
		return "this replica of the controller does not lead"
	}
	return l.Missing()
}

// apply does what was decided, and records it if it is news.
func (l *Loop) apply(ctx context.Context, m *memory, r *fleet.Record, s scaling.State, called bool) error {
	acts := r.To != r.From
	if acts || called {
		var end func(fleet.Record)
		ctx, r.TraceID, end = l.Observer.Deciding(ctx, r.Key, r.Decision)
		defer func() { end(*r) }()
	}
	switch r.Drain {
	case scaling.DrainNone, scaling.DrainWait, scaling.DrainDone: // the routes stay as they are
	case scaling.DrainBegin:
		l.Fleet.FallAsleep(r.Key, r.Time)
	case scaling.DrainCancel:
		retryAt := time.Time{}
		if r.Time.Sub(s.Sleep.Since) >= scaling.DrainTimeout {
			retryAt = r.Time.Add(retryPeace)
			r.Due = retryAt
		}
		l.Fleet.StayAwake(r.Key, retryAt)
	}
	var err error
	if acts {
		err = l.scale(ctx, r)
	}
	if errors.Is(err, fleet.ErrMoved) {
		return err
	}
	l.record(ctx, m, r, acts, err)
	return err
}

// scale asks for the pods.
func (l *Loop) scale(ctx context.Context, r *fleet.Record) error {
	view, ok := l.Fleet.View(r.Key, r.Time)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	after, err := l.Scaler.Scale(ctx, r.Key, fleet.Scale{Replicas: r.From, Version: view.Deployment.Version}, r.To)
	if err == nil || errors.Is(err, fleet.ErrMoved) {
		l.Fleet.Scaled(r.Key, after.Replicas, after.Version, time.Now())
	}
	if err == nil {
		l.Fleet.Owned(r.Key, r.From, r.To, time.Now())
	}
	if err != nil {
		return fmt.Errorf("scale %s from %d to %d: %w", r.Key, r.From, r.To, err)
	}
	r.Applied = true
	return nil
}

// record writes down a decision that did something, failed, or says something else than the last.
func (l *Loop) record(ctx context.Context, m *memory, r *fleet.Record, acts bool, err error) {
	view, _ := l.Fleet.View(r.Key, r.Time)
	r.Autoscaler = view.Autoscaler
	if err != nil {
		r.Error = reason(err)
	}
	m.mu.Lock()
	news := signature(r)
	known := m.signature == news || !notable(r, m.last)
	if !acts && err == nil {
		// A decision that needs no scaling does not end a failure, unless what failed is now so.
		if m.failure != "" && r.From == r.To {
			m.failure = ""
		}
	} else {
		m.failure = r.Error
	}
	if known && !r.Applied {
		m.mu.Unlock()
		return
	}
	r.ID = l.nextID()
	copied := *r
	m.signature, m.last = news, &copied
	if r.Applied {
		m.step = &step{from: r.From, to: r.To, began: time.Now()}
	}
	m.mu.Unlock()

	l.journal.add(copied)
	l.Observer.Decided(copied)
	l.tell(ctx, copied)
	l.Refresh(fleet.Autoscaler{Namespace: r.Namespace, Name: r.Autoscaler})
}

// tell logs a decision, and makes an event of one that scaled or could not.
func (l *Loop) tell(ctx context.Context, r fleet.Record) {
	attrs := []any{
		"namespace", r.Namespace, "deployment", r.Deployment, "decision", r.ID, "trigger", r.Trigger,
		"from", r.From, "to", r.To, "applied", r.Applied, "summary", r.Summary,
	}
	a := fleet.Autoscaler{Namespace: r.Namespace, Name: r.Autoscaler}
	switch {
	case r.Error != "":
		l.Log.WarnContext(ctx, "decision failed", append(attrs, "error", r.Error)...)
		l.Recorder.Event(a, fleet.Event{Warning: true, Reason: "ScaleFailed", Message: r.Deployment + ": " + r.Error})
	case r.Applied:
		l.Log.InfoContext(ctx, "scaled", attrs...)
		l.Recorder.Event(a, fleet.Event{Reason: "Scaled", Message: r.Deployment + ": " + r.Summary})
	case r.Result() == fleet.ResultHeld && (r.Drain == scaling.DrainNone || r.Drain == scaling.DrainCancel):
		l.Log.InfoContext(ctx, "held", attrs...)
		l.Recorder.Event(a, fleet.Event{Reason: "Held", Message: r.Deployment + ": " + r.Summary})
	default:
		l.Log.DebugContext(ctx, "decided", attrs...)
	}
}

// notable tells whether a decision is worth a record. One that leaves everything as it is, is so
// only as the first, and when it says that what stood in the way before has gone. A wish that a
// clamp or a hold kept from it always is.
func notable(r, last *fleet.Record) bool {
	return last == nil || r.Result() != fleet.ResultUnchanged || r.Drain != scaling.DrainNone ||
		last.Error != "" || last.Obstructed() && !last.Applied && last.Drain == scaling.DrainNone
}

// signature is what two decisions have in common that say the same: numbers that merely grow with
// time are not in it.
func signature(r *fleet.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %s %s %s", r.From, r.To, r.Trigger, r.Drain, r.Error)
	for _, reason := range r.Reasons {
		if reason.Effect != scaling.Note || reason.News {
			b.WriteString(" " + reason.Rule + "=" + string(reason.Effect))
		}
	}
	return b.String()
}

// reason is an error as people read it, within what the contract allows.
func reason(err error) string {
	s := err.Error()
	if e := fault.From(err); e.Detail != "" {
		s = e.Detail
	}
	const limit = 1000
	return strings.ToValidUTF8(s[:min(len(s), limit)], "")
}
