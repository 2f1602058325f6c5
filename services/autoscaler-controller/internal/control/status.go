package control

import (
	"context"
	"errors"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// How statuses are written.
const (
	statusDelay   = 100 * time.Millisecond // changes of a status within this are written at once
	statusRepeat  = time.Minute            // after which one that is awake is compared again, for the time of its last traffic
	statusWriters = 32                     // at a time; half of them at most for those whose last write failed
	compareEvery  = 2 * time.Millisecond   // at the beginning of a term: all are compared, one after the other

	// Writes a second: those that people wait for have their own, so that none stands behind a refresh of all.
	urgentEvery, urgentBurst     = 10 * time.Millisecond, 100
	ordinaryEvery, ordinaryBurst = 20 * time.Millisecond, 50
)

// StatusResult is what became of a status that was looked at.
type StatusResult string

// The results.
const (
	StatusWritten   StatusResult = "written"
	StatusUnchanged StatusResult = "unchanged" // what is written says it all
	StatusPostponed StatusResult = "postponed" // the writes of this second are spent: it is looked at again
	StatusFailed    StatusResult = "failed"
)

// Refresh writes the status of a CustomAutoscaler anew, if it changed.
func (l *Loop) Refresh(a fleet.Autoscaler) { l.refresh(a, false) }

// refresh is Refresh, ahead of others where people wait for it.
func (l *Loop) refresh(a fleet.Autoscaler, urgent bool) {
	if l.Leading() {
		l.pending.note(a, urgent, time.Now())
		l.statuses.AddAfter(a, statusDelay)
	}
}

// refreshAll compares every status with what is written, at a pace.
func (l *Loop) refreshAll(now time.Time) {
	delay := statusDelay
	for _, a := range l.Autoscalers() {
		l.pending.note(a, false, now.Add(delay))
		l.statuses.AddAfter(a, delay)
		delay += compareEvery
	}
}

// writeStatus tells how the targets of a CustomAutoscaler stand, on the object itself.
func (l *Loop) writeStatus(a fleet.Autoscaler) {
	term, leave, leads := l.terms.enter()
	if !leads {
		l.pending.forget(a)
		return
	}
	defer leave()
	now := time.Now()
	news, retry := l.pending.take(a, now)
	if !retry.IsZero() {
		l.statuses.at(a, retry)
		return
	}
	targets := l.targets(a)
	change, err := l.Recorder.Status(a, targets)
	switch {
	case err != nil:
	case change.Write == nil:
		l.Observer.StatusDone(StatusUnchanged)
	default:
		if at := l.pending.reserve(a, news, change.Urgent, now); at.After(now) {
			l.Observer.StatusDone(StatusPostponed)
			l.statuses.at(a, at)
			return
		}
		ctx, cancel := context.WithTimeout(term.ctx, callTimeout)
		defer cancel()
		if err = change.Write(ctx); err == nil {
			l.Observer.StatusDone(StatusWritten)
		}
	}
	l.statusDone(term.ctx, a, news, targets, err)
}

// statusDone takes note of what became of a status.
func (l *Loop) statusDone(ctx context.Context, a fleet.Autoscaler, news statusNews, targets []fleet.Target, err error) {
	switch {
	case errors.Is(err, fleet.ErrGone):
		l.pending.forget(a)
	case err != nil:
		if ctx.Err() == nil {
			l.Log.WarnContext(ctx, "status not written", "namespace", a.Namespace, "autoscaler", a.Name, "error", err)
			l.Observer.StatusDone(StatusFailed)
		}
		l.statuses.at(a, l.pending.failed(a, news, time.Now()))
	default:
		l.pending.done(a)
		if awake(targets) {
			l.statuses.AddAfter(a, statusRepeat)
		}
	}
}

// awake tells whether there may be traffic without any other news.
func awake(targets []fleet.Target) bool {
	for _, t := range targets {
		if t.Replicas > 0 {
			return true
		}
	}
	return false
}

// targets are the applications of a CustomAutoscaler, ordered by name.
func (l *Loop) targets(a fleet.Autoscaler) []fleet.Target {
	now := time.Now()
	var targets []fleet.Target
	for _, k := range l.Fleet.Of(a.Namespace, a.Name) {
		view, ok := l.Fleet.View(k, now)
		if !ok {
			continue
		}
		last, conditions := l.insight(view, now)
		targets = append(targets, fleet.Target{
			Name: k.Deployment, State: view.State, Replicas: view.Deployment.Replicas, Ready: view.Ready, Slept: view.Slept,
			LastActivity: view.LastActivity, Last: last, Conditions: conditions, Learned: view.Learned,
		})
	}
	return targets
}
