package control

import (
	"context"
	"errors"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// writeStatus tells how the targets of a CustomAutoscaler stand, on the object itself.
func (l *Loop) writeStatus(a fleet.Autoscaler) {
	term, leave, leads := l.terms.enter()
	if !leads {
		return
	}
	defer leave()
	ctx, cancel := context.WithTimeout(term.ctx, callTimeout)
	defer cancel()
	err := l.Recorder.Status(ctx, a, l.targets(a))
	if errors.Is(err, fleet.ErrGone) {
		l.statuses.Forget(a)
		l.mu.Lock()
		delete(l.autoscalers, a)
		l.mu.Unlock()
		return
	}
	if err != nil {
		if ctx.Err() == nil || ctx.Err() == context.DeadlineExceeded {
			l.Log.WarnContext(ctx, "status not written", "namespace", a.Namespace, "autoscaler", a.Name, "error", err)
		}
		l.statuses.AddRateLimited(a)
		return
	}
	l.statuses.Forget(a)
	l.statuses.AddAfter(a, statusRepeat)
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
		last, conditions := l.Insight(k)
		targets = append(targets, fleet.Target{
			Name: k.Deployment, State: view.State, Replicas: view.Deployment.Replicas, Ready: view.Ready, Slept: view.Slept,
			LastActivity: view.LastActivity, Last: last, Conditions: conditions, Learned: view.Learned,
		})
	}
	return targets
}
