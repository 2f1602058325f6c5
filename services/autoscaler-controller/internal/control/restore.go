package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// restoreGrace is how long a Deployment that sleeps is left alone after the last CustomAutoscaler that
// named it has gone: a rename is a delete and a create.
const restoreGrace = 5 * time.Second

// maxRestores bounds how many are to be restored at a time; who deletes more at once restores by hand,
// and is told so.
const maxRestores = 10_000

// orphan takes note of a Deployment that is named no more. When it sleeps because this product has put it
// to sleep, and its user did not ask to keep it so, it gets back what it had.
func (l *Loop) orphan(v fleet.View) {
	if !l.Leading() || !v.Restore || !v.Deployment.Found || v.Deployment.Replicas > 0 || v.Deployment.Manager != fleet.FieldManager {
		return
	}
	l.mu.Lock()
	full := len(l.orphans) >= maxRestores
	if !full {
		l.orphans[v.Key] = max(1, v.Slept)
	}
	l.mu.Unlock()
	if full {
		l.Recorder.Restored(v.Key, fleet.Event{Warning: true, Reason: "RestoreFailed", Message: "too many are to be restored at once: scale it by hand"})
		return
	}
	l.restores.AddAfter(v.Key, restoreGrace)
}

// restore brings back what an orphan had, unless it is named again or somebody has scaled it meanwhile.
func (l *Loop) restore(k fleet.Key) {
	term, leave, leads := l.terms.enter()
	if !leads {
		l.adopted(k)
		return
	}
	defer leave()
	l.mu.Lock()
	replicas, ok := l.orphans[k]
	l.mu.Unlock()
	_, named := l.Fleet.View(k, time.Now())
	if !ok || named {
		l.adopted(k)
		return
	}
	ctx, cancel := context.WithTimeout(term.ctx, callTimeout)
	defer cancel()
	_, err := l.Scaler.Scale(ctx, k, fleet.Scale{}, replicas)
	switch {
	case err == nil:
		l.Log.InfoContext(ctx, "restored", "namespace", k.Namespace, "deployment", k.Deployment, "replicas", replicas)
		l.Recorder.Restored(k, fleet.Event{Reason: "Restored", Message: fmt.Sprintf("0 → %d: no CustomAutoscaler names it any more", replicas)})
	case errors.Is(err, fleet.ErrMoved): // somebody has scaled it: it is theirs
	case l.restores.NumRequeues(k) >= restoreAttempts:
		l.Log.WarnContext(ctx, "not restored", "namespace", k.Namespace, "deployment", k.Deployment, "error", err)
		l.Recorder.Restored(k, fleet.Event{Warning: true, Reason: "RestoreFailed", Message: fmt.Sprintf("it stays at 0, and no CustomAutoscaler names it any more: %s", reason(err))})
	default:
		l.restores.AddRateLimited(k)
		return
	}
	l.adopted(k)
}

// restoreAttempts are made before a Deployment stays as it is: with the pauses between them, some minutes.
const restoreAttempts = 12

// adopted forgets an orphan.
func (l *Loop) adopted(k fleet.Key) {
	l.mu.Lock()
	delete(l.orphans, k)
	l.mu.Unlock()
	l.restores.Forget(k)
}
