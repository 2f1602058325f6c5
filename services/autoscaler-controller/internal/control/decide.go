package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/lifecycle"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// reconcile decides on one application because something was heard of it, or a moment has come.
func (l *Loop) reconcile(ctx context.Context, k fleet.Key) {
	term, leave, leads := l.terms.enter()
	if !leads || ctx.Err() != nil {
		return
	}
	defer leave()
	m := l.memory(k)
	if m.lock(term.ctx) != nil {
		return // the term ends
	}
	defer m.unlock()
	report, known, _ := l.decide(term.ctx, m, k, lifecycle.Look{Term: term.id})
	if !known {
		l.Forget(k)
		return
	}
	l.work.at(k, report.Again)
}

// decide decides and applies, and again when somebody else was faster. It returns what became of it,
// and whether the application is known at all. The caller has m's lock.
func (l *Loop) decide(ctx context.Context, m *memory, k fleet.Key, look lifecycle.Look) (lifecycle.Report, bool, error) {
	for attempt := 1; ; attempt++ {
		look.Now = time.Now()
		snapshot, ok := l.Fleet.Snapshot(k, l.missing(look.Term), look.Now)
		if !ok {
			return lifecycle.Report{}, false, nil
		}
		look.Snapshot = snapshot
		plan := m.life.Look(look)
		l.settled(ctx, plan)
		outcome, err := l.perform(ctx, plan)
		if errors.Is(err, fleet.ErrMoved) {
			if attempt < attempts {
				continue
			}
			err = fault.New(fault.Unavailable, "the Deployment %s changes faster than it can be scaled", k).Because(err).After(time.Second)
			outcome.Error = reason(err)
		}
		report := m.life.Done(plan, outcome, time.Now())
		l.record(ctx, m, &report)
		return report, true, err
	}
}

// missing is what forbids this process to scale down.
func (l *Loop) missing(term uint64) string {
	if term == 0 {
		return "this replica of the controller does not lead"
	}
	return l.Missing()
}

// perform does what was planned.
func (l *Loop) perform(ctx context.Context, p lifecycle.Plan) (o lifecycle.Outcome, err error) {
	if p.Quiesce != nil {
		l.Fleet.Quiesce(p.Snapshot.Key, *p.Quiesce)
	}
	if p.Acts() || p.Called {
		var end func(fleet.Record)
		ctx, o.TraceID, end = l.Observer.Deciding(ctx, p.Snapshot.Key, p.Decision)
		defer func() {
			end(fleet.Record{Decision: p.Decision, Key: p.Snapshot.Key, Applied: p.Scale && err == nil, Error: o.Error})
		}()
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// On the way down the marks must be there before; on the way up nothing may hold up the pods.
	steps := []func(context.Context, lifecycle.Plan) error{l.mark, l.scale}
	if p.Decision.To > p.Decision.From {
		steps = []func(context.Context, lifecycle.Plan) error{l.scale, l.mark}
	}
	for _, step := range steps {
		if err = step(ctx, p); err != nil {
			o.Error = reason(err)
			return o, err
		}
	}
	o.Marked = len(p.Marks) > 0
	return o, nil
}

// mark writes the marks.
func (l *Loop) mark(ctx context.Context, p lifecycle.Plan) error {
	if len(p.Marks) == 0 {
		return nil
	}
	if err := l.Marker.Mark(ctx, p.Snapshot.Key, p.Marks); err != nil {
		return fmt.Errorf("mark pods of %s: %w", p.Snapshot.Key, err)
	}
	return nil
}

// scale asks for the pods.
func (l *Loop) scale(ctx context.Context, p lifecycle.Plan) error {
	if !p.Scale {
		return nil
	}
	k, d := p.Snapshot.Key, p.Decision
	after, err := l.Scaler.Scale(ctx, k, fleet.Scale{Replicas: d.From, Version: p.Snapshot.Deployment.Version}, d.To)
	if err == nil || errors.Is(err, fleet.ErrMoved) {
		l.Fleet.Scaled(k, after.Replicas, after.Version, time.Now())
	}
	if err == nil {
		l.Fleet.Owned(k, d.From, d.To, time.Now())
		l.unnamed(p)
	}
	if err != nil {
		return fmt.Errorf("scale %s from %d to %d: %w", k, d.From, d.To, err)
	}
	return nil
}

// record writes down a decision that did something, failed, or says something else than the last.
func (l *Loop) record(ctx context.Context, m *memory, report *lifecycle.Report) {
	r := &report.Decision
	m.mu.Lock()
	m.failure = m.life.Failure
	if !report.News {
		m.mu.Unlock()
		return
	}
	r.ID = l.nextID()
	copied := *r
	m.last, m.life.Last = &copied, &copied
	m.mu.Unlock()
	l.journal.add(copied)
	l.Observer.Decided(copied)
	l.tell(ctx, copied)
	l.Refresh(fleet.Autoscaler{Namespace: r.Namespace, Name: r.Autoscaler})
}

// settled tells that a scaling has come to its end.
func (l *Loop) settled(ctx context.Context, p lifecycle.Plan) {
	s := p.Settled
	if s == nil {
		return
	}
	k := p.Snapshot.Key
	l.Log.InfoContext(ctx, "settled", "namespace", k.Namespace, "deployment", k.Deployment, "from", s.From, "to", s.To, "ms", s.Took.Milliseconds(), "mistaken", s.Mistaken)
	e := fleet.Event{Reason: "Settled", Message: k.Deployment + ": " + s.Text + fmt.Sprintf(", after %.1f s", s.Took.Seconds())}
	if s.Mistaken {
		e.Warning, e.Reason = true, "AnotherPodWent"
	}
	l.Recorder.Event(fleet.Autoscaler{Namespace: k.Namespace, Name: p.Snapshot.Autoscaler}, e)
	l.Observer.Settled(s.From, s.To, s.Took)
	if s.Record != nil {
		s.Record.ID, s.Record.Time = l.nextID(), time.Now()
		l.journal.add(*s.Record)
		l.Observer.Decided(*s.Record)
	}
}

// tell logs a decision, and makes an event of one that scaled or could not, and of a way down that begins or is called off.
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
	case r.Drain == scaling.DrainBegin && r.Aim > 0:
		l.Log.InfoContext(ctx, "draining", attrs...)
		l.Recorder.Event(a, fleet.Event{Reason: "Draining", Message: r.Deployment + ": " + r.Summary})
	case r.Result() == fleet.ResultHeld && (r.Drain == scaling.DrainNone || r.Drain == scaling.DrainCancel):
		l.Log.InfoContext(ctx, "held", attrs...)
		l.Recorder.Event(a, fleet.Event{Reason: "Held", Message: r.Deployment + ": " + r.Summary})
	default:
		l.Log.DebugContext(ctx, "decided", attrs...)
	}
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
