package control

import (
	"context"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/lifecycle"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Start makes sure that the application runs or is starting, in this call and not later: it scales
// from zero, and calls off a way to zero. It may be repeated. Errors are those of pkg/fault:
// NotFound (no CustomAutoscaler names the Deployment), Conflict (the Deployment does not exist, or
// is not to be scaled), Unavailable (try again).
func (l *Loop) Start(ctx context.Context, k fleet.Key, call scaling.Call) (fleet.Started, error) {
	began := time.Now()
	answer, err := l.start(ctx, k, call, began)
	l.Observer.Started(time.Since(began), answer.Scaled, err)
	return answer, err
}

func (l *Loop) start(ctx context.Context, k fleet.Key, call scaling.Call, now time.Time) (fleet.Started, error) {
	if _, err := l.known(k); err != nil {
		return fleet.Started{}, err
	}
	l.Fleet.Called(k, call.Waiting, now)
	m := l.memory(k)
	if err := m.wait(ctx); err != nil {
		return fleet.Started{}, err
	}
	defer l.release(k, m)
	turn := time.Now()
	l.Observer.Waited(turn.Sub(now))
	before := m.scaling
	look := lifecycle.Look{Call: &call}
	if term := l.terms.now(); term != nil {
		look.Term = term.id
	}
	plan, known := l.look(ctx, m, k, look)
	var report lifecycle.Report
	var err error
	if known {
		report, known, err = l.apply(ctx, m, plan, look)
	}
	if err == nil {
		err = m.withheld(report, time.Now())
	}
	if err != nil {
		l.work.at(k, report.Again)
		return fleet.Started{}, err
	}
	s, ok := l.Fleet.Snapshot(k, "", time.Now())
	if !known || !ok {
		return fleet.Started{}, fault.New(fault.NotFound, "no CustomAutoscaler names the Deployment %s", k)
	}
	if s.Mode == scaling.Paused && s.Deployment.Replicas == 0 {
		return fleet.Started{}, fault.New(fault.Conflict, "%s is not started: it is paused (spec.mode)", k)
	}
	if who := s.Scaling.Contest.Who; who != "" && s.Deployment.Replicas == 0 { // with pods it is started, whoever did it
		return fleet.Started{}, fault.New(fault.Conflict, "%s is not started: %s", k, scaling.Contested(who))
	}
	l.work.at(k, report.Again)
	l.wakeMates(k)
	record := report.Decision
	if record.Applied {
		l.Observer.Worked(time.Since(turn) - (m.scaling - before))
	}
	answer := fleet.Started{
		State: s.State, Replicas: s.Deployment.Replicas, Scaled: record.Applied,
		DecisionID: record.ID, ExpectedStart: s.ExpectedStart, Blocked: s.Blocked, Message: record.Summary,
	}
	if !s.StartingSince.IsZero() {
		answer.Elapsed = time.Since(s.StartingSince)
	}
	return answer, nil
}

// withheld is the last failure, while it is too fresh to try once more.
func (m *memory) withheld(report lifecycle.Report, now time.Time) error {
	if report.Withheld.IsZero() || report.Decision.From > 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	last := fault.From(m.refusal)
	if m.refusal == nil {
		return nil // never: what is withheld has failed
	}
	return fault.New(last.Code, "%s", last.Detail).Because(last.Cause).After(max(report.Withheld.Sub(now), last.RetryAfter))
}

// wakeMates looks at the applications that wake together with one.
func (l *Loop) wakeMates(k fleet.Key) {
	for _, mate := range l.Fleet.Mates(k) {
		l.heard(mate)
	}
}
