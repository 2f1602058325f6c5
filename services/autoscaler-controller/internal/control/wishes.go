package control

import (
	"context"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/lifecycle"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// What people ask for, and what they ask. To wake an application is a start call: see Start.

// Sleep lets an application sleep now, if nothing is to do there. It decides in this call; the way to zero goes on
// after it. Errors are those of Start, and Conflict where it may not sleep: nothing is remembered of the wish then.
func (l *Loop) Sleep(ctx context.Context, k fleet.Key, by string) (fleet.Started, error) {
	s, err := l.known(k)
	if err != nil {
		return fleet.Started{}, err
	}
	if err := mayRest(s, time.Now()); err != nil {
		return fleet.Started{}, err
	}
	term := l.terms.now()
	if term == nil {
		return fleet.Started{}, fault.New(fault.Unavailable, "this replica does not lead, and only the leader lets applications sleep").After(time.Second)
	}
	l.Fleet.Rest(k, scaling.Rest{By: by, At: time.Now()})
	m := l.memory(k)
	if err := m.wait(ctx); err != nil {
		return fleet.Started{}, err
	}
	defer l.release(k, m)
	look := lifecycle.Look{Term: term.id}
	plan, known := l.look(ctx, m, k, look)
	var report lifecycle.Report
	if known {
		if report, known, err = l.apply(ctx, m, plan, look); err != nil {
			return fleet.Started{}, err
		}
	}
	s, ok := l.Fleet.Snapshot(k, "", time.Now())
	if !known || !ok {
		return fleet.Started{}, fault.New(fault.NotFound, "no CustomAutoscaler names the Deployment %s", k)
	}
	l.work.at(k, report.Again)
	r := report.Decision
	return fleet.Started{State: s.State, Replicas: s.Deployment.Replicas, Scaled: r.Applied, DecisionID: r.ID, Message: r.Summary}, nil
}

// known is what is known of an application that is to be scaled.
func (l *Loop) known(k fleet.Key) (fleet.Snapshot, error) {
	s, ok := l.Fleet.Snapshot(k, "", time.Now())
	switch {
	case !ok && l.Missing() != "":
		return s, fault.New(fault.Unavailable, "the picture is not whole yet: %s", l.Missing()).After(time.Second)
	case !ok:
		return s, fault.New(fault.NotFound, "no CustomAutoscaler names the Deployment %s", k)
	case !s.Deployment.Found:
		return s, fault.New(fault.Conflict, "the Deployment %s does not exist", k)
	}
	return s, nil
}

// mayRest refuses what would not lead to sleep.
func mayRest(s fleet.Snapshot, now time.Time) error {
	spec, _, _ := s.Spec.At(now)
	t := s.Scaling.Traffic
	switch {
	case s.Deployment.Replicas == 0:
		return nil // it sleeps
	case !spec.Mode.Acts():
		return fault.New(fault.Conflict, "%s is not put to sleep: its mode is %s (spec.mode)", s.Key, spec.Mode)
	case spec.MinReplicas > 0:
		return fault.New(fault.Conflict, "%s is not put to sleep: minReplicas is %d", s.Key, spec.MinReplicas)
	case s.Scaling.Owner != "":
		return fault.New(fault.Conflict, "%s is not put to sleep: %s", s.Key, scaling.Conflict(s.Scaling.Owner))
	case s.Scaling.Contest.Who != "":
		return fault.New(fault.Conflict, "%s is not put to sleep: %s", s.Key, scaling.Contested(s.Scaling.Contest.Who))
	case t.InFlight > 0 || t.Waiting > 0 || t.Streaming > 0:
		return fault.New(fault.Conflict, "%s is not put to sleep: it is in use, %d in flight and %d waiting", s.Key, t.InFlight, t.Waiting)
	case s.Scaling.Demand.Working():
		return fault.New(fault.Conflict, "%s is not put to sleep: its sidecars say that it works", s.Key)
	}
	return nil
}

// Preview is what would be decided on an application now with another spec. Nothing is done and nothing remembered.
func (l *Loop) Preview(ctx context.Context, k fleet.Key, spec scaling.Spec) (fleet.Record, error) {
	if _, err := l.known(k); err != nil && !fault.Is(err, fault.Conflict) {
		return fleet.Record{}, err
	}
	m := l.memory(k)
	if err := m.wait(ctx); err != nil {
		return fleet.Record{}, err
	}
	defer l.release(k, m)
	now := time.Now()
	var term uint64
	if t := l.terms.now(); t != nil {
		term = t.id
	}
	s, ok := l.Fleet.Snapshot(k, l.missing(term), now)
	if !ok {
		return fleet.Record{}, fault.New(fault.NotFound, "no CustomAutoscaler names the Deployment %s", k)
	}
	return fleet.Record{Decision: m.life.Preview(s, spec, now), Key: k, Time: now, Autoscaler: s.Autoscaler}, nil
}
