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

// reconcile decides on one application because something was heard of it, or a moment has come. When
// something is to be done it returns how: the worker does not wait for it.
func (l *Loop) reconcile(ctx context.Context, k fleet.Key) (apply func()) {
	term, leave, leads := l.terms.enter()
	if !leads {
		l.pass(k)
		return nil
	}
	m := l.memory(k)
	if ctx.Err() != nil || !m.try() {
		leave()
		return nil
	}
	look := lifecycle.Look{Term: term.id}
	plan, known := l.look(term.ctx, m, k, look)
	end := func(report lifecycle.Report, known bool) {
		l.release(k, m)
		l.free(k)
		leave()
		if known { // else it has gone, or is there anew by now
			l.work.at(k, report.Again)
		}
	}
	switch {
	case !known || !plan.Acts():
		var report lifecycle.Report
		if known {
			report, known, _ = l.apply(term.ctx, m, plan, look)
		}
		end(report, known)
		return nil
	case !l.applies.take(k, m.life.Failing()): // it is looked at again when there is a place
		l.release(k, m)
		leave()
		return nil
	}
	return func() {
		report, known, _ := l.apply(term.ctx, m, plan, look)
		end(report, known)
	}
}

// look decides, and says what is to be done; false when the application is not known. The caller has the
// application's turn.
func (l *Loop) look(ctx context.Context, m *memory, k fleet.Key, look lifecycle.Look) (lifecycle.Plan, bool) {
	look.Now = time.Now()
	l.decided(m, look.Now)
	l.Fleet.Recheck(k, look.Now)
	snapshot, ok := l.Fleet.Look(k, l.missing(look.Term), look.Now)
	if !ok {
		return lifecycle.Plan{}, false
	}
	look.Snapshot = snapshot
	plan := m.life.Look(look)
	l.settled(ctx, m, plan)
	l.alarm(ctx, m, plan)
	return plan, true
}

// apply does what was planned, and decides again when somebody else was faster. It returns what became of
// it, and whether the application is still known. The caller has the application's turn.
func (l *Loop) apply(ctx context.Context, m *memory, plan lifecycle.Plan, look lifecycle.Look) (lifecycle.Report, bool, error) {
	k := plan.Snapshot.Key
	for attempt := 1; ; attempt++ {
		outcome, err := l.perform(ctx, m, plan)
		if errors.Is(err, fleet.ErrMoved) {
			if attempt < attempts {
				var known bool
				if plan, known = l.look(ctx, m, k, look); !known {
					return lifecycle.Report{}, false, nil
				}
				continue
			}
			err = fault.New(fault.Unavailable, "the Deployment %s changes faster than it can be scaled", k).Because(err).After(time.Second)
			outcome.Error = reason(err)
		}
		report := m.life.Done(plan, outcome, time.Now())
		l.record(ctx, m, &report, err)
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
func (l *Loop) perform(ctx context.Context, m *memory, p lifecycle.Plan) (o lifecycle.Outcome, err error) {
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
	up := p.Decision.To > p.Decision.From
	if up {
		err = l.scale(ctx, m, p)
	}
	if err == nil {
		err = l.mark(ctx, p)
		o.Marked, o.Marking = len(p.Marks) > 0 && err == nil, err != nil
	}
	if err == nil && !up {
		err = l.scale(ctx, m, p)
	}
	if err != nil {
		o.Error = reason(err)
	}
	return o, err
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
func (l *Loop) scale(ctx context.Context, m *memory, p lifecycle.Plan) error {
	if !p.Scale {
		return nil
	}
	k, d := p.Snapshot.Key, p.Decision
	began := time.Now()
	after, err := l.Scaler.Scale(ctx, k, fleet.Scale{Replicas: d.From, Version: p.Snapshot.Deployment.Version}, d.To)
	m.scaling += time.Since(began)
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
func (l *Loop) record(ctx context.Context, m *memory, report *lifecycle.Report, err error) {
	r := &report.Decision
	m.mu.Lock()
	if m.failure = m.life.Failure; err != nil {
		m.refusal = err
	}
	l.failing(m, m.life.Failing())
	if !report.News {
		m.mu.Unlock()
		return
	}
	r.ID = l.nextID()
	copied, first := remembered(*r), m.last == nil
	m.last, m.life.Last = &copied, &copied
	l.journal.add(&copied, m.gone) // under the lock: what is forgotten meanwhile is so in the journal too
	m.mu.Unlock()
	l.Observer.Decided(copied)
	l.Changes.Decided(copied)
	l.Changes.Changed(copied.Key, true)
	l.tell(ctx, copied)
	if first && r.Result() == fleet.ResultUnchanged {
		return // the status is on its way anyhow: it is new, or all are compared by a new leader
	}
	l.refresh(fleet.Autoscaler{Namespace: r.Namespace, Name: r.Autoscaler}, r.Applied || r.Error != "")
}

// settled tells that a scaling has come to its end.
func (l *Loop) settled(ctx context.Context, m *memory, p lifecycle.Plan) {
	s := p.Settled
	if s == nil {
		return
	}
	k := p.Snapshot.Key
	l.Log.InfoContext(ctx, "settled", "namespace", k.Namespace, "deployment", k.Deployment, "from", s.From, "to", s.To, "ms", s.Took.Milliseconds(), "mistaken", s.Mistaken)
	e := fleet.Event{Minor: true, News: settledNews(k, s), Reason: "Settled", Message: k.Deployment + ": " + s.Text + fmt.Sprintf(", after %.1f s", s.Took.Seconds())}
	if s.Mistaken {
		e.Warning, e.Minor, e.Reason = true, false, "AnotherPodWent"
	}
	l.Recorder.Event(fleet.Autoscaler{Namespace: k.Namespace, Name: p.Snapshot.Autoscaler}, e)
	l.Observer.Settled(s.From, s.To, s.Took)
	if s.Record != nil {
		s.Record.ID, s.Record.Time = l.nextID(), time.Now()
		m.mu.Lock()
		l.journal.add(s.Record, m.gone) // it is never changed from now on
		m.mu.Unlock()
		l.Observer.Decided(*s.Record)
		l.Changes.Decided(*s.Record)
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
		l.Recorder.Event(a, fleet.Event{
			Warning: true, Reason: "ScaleFailed", Message: r.Deployment + ": " + r.Error,
			News: fleet.News{Kind: fleet.ScaleFailed, Deployment: r.Deployment, Message: fmt.Sprintf("%d → %d: %s", r.From, r.To, r.Error)},
		})
	case r.Applied:
		l.Log.InfoContext(ctx, "scaled", attrs...)
		l.Recorder.Event(a, fleet.Event{Reason: "Scaled", Message: r.Deployment + ": " + r.Summary, News: scaledNews(r)})
	case r.Drain == scaling.DrainBegin && r.Aim > 0:
		l.Log.InfoContext(ctx, "draining", attrs...)
		l.Recorder.Event(a, fleet.Event{Minor: true, Reason: "Draining", Message: r.Deployment + ": " + r.Summary})
	case r.Result() == fleet.ResultHeld && (r.Drain == scaling.DrainNone || r.Drain == scaling.DrainCancel):
		l.Log.InfoContext(ctx, "held", attrs...)
		l.Recorder.Event(a, fleet.Event{Minor: true, Reason: "Held", Message: r.Deployment + ": " + r.Summary})
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
