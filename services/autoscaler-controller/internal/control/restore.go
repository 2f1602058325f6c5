package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/lifecycle"
)

// restoreGrace is how long a Deployment that sleeps is left alone after the last CustomAutoscaler that
// named it has gone: a rename is a delete and a create.
const restoreGrace = 5 * time.Second

// succession is how long a Deployment is remembered by those that do not lead: the leader may end before it
// has restored it, and another one follows within a Lease.
const succession = time.Minute

// orphan is a Deployment that is to get so many pods, 0 is as many as it has, and to lose what a way down
// that was under way has written on them.
type orphan struct {
	replicas int32
	marks    []fleet.Marking
	since    time.Time
}

// leftWith is what a Deployment had before it slept that has changed hands a moment ago, by a rename say;
// 0 is not known.
func (l *Loop) leftWith(k fleet.Key) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.orphans[k].replicas
}

// maxRestores bounds how many are to be restored at a time; who deletes more at once restores by hand,
// and is told so.
const maxRestores = 10_000

// orphan takes note of a Deployment that is named no more. When it sleeps because this product has put it
// to sleep, and its user did not ask to keep it so, it gets back what it had.
func (l *Loop) orphan(v fleet.View) {
	o := orphan{marks: lifecycle.Unmark(v.Pods), since: time.Now()}
	if v.Restore && v.Deployment.Found && v.Deployment.Replicas == 0 && v.Deployment.Manager == fleet.FieldManager {
		o.replicas = max(1, v.Slept)
	}
	if o.replicas == 0 && len(o.marks) == 0 {
		return
	}
	l.mu.Lock()
	full := len(l.orphans) >= maxRestores
	if !full {
		l.orphans[v.Key] = o
	}
	l.mu.Unlock()
	if full && !l.Leading() {
		return
	}
	if full {
		l.Recorder.Restored(v.Key, fleet.Event{Warning: true, Reason: "RestoreFailed", Message: "too many are to be restored at once: scale it by hand"})
		return
	}
	l.restores.AddAfter(v.Key, restoreGrace)
}

// unnamed takes note of a Deployment that was put to sleep while its CustomAutoscaler was deleted.
func (l *Loop) unnamed(p lifecycle.Plan) {
	k, d := p.Snapshot.Key, p.Decision
	if _, named := l.Fleet.View(k, time.Now()); named || d.To > 0 {
		return
	}
	v := fleet.View{Observation: p.Snapshot.Observation, Slept: d.From}
	v.Deployment.Replicas, v.Deployment.Manager = 0, fleet.FieldManager
	l.orphan(v)
}

// restore brings back what an orphan had, unless it is named again or somebody has scaled it meanwhile.
func (l *Loop) restore(k fleet.Key) {
	l.mu.Lock()
	o, ok := l.orphans[k]
	l.mu.Unlock()
	_, named := l.Fleet.View(k, time.Now())
	term, leave, leads := l.terms.enter()
	if leads {
		defer leave()
	}
	switch {
	case !ok || named || !leads && time.Since(o.since) >= succession:
		l.adopted(k)
		return
	case !leads: // whoever does restores it; this one, should it be the next
		l.restores.AddAfter(k, restoreGrace)
		return
	}
	ctx, cancel := context.WithTimeout(term.ctx, callTimeout)
	defer cancel()
	err := l.handBack(ctx, k, o)
	switch {
	case err == nil && o.replicas == 0:
	case err == nil:
		l.Log.InfoContext(ctx, "restored", "namespace", k.Namespace, "deployment", k.Deployment, "replicas", o.replicas)
		l.Recorder.Restored(k, fleet.Event{Reason: "Restored", Message: fmt.Sprintf("0 → %d: no CustomAutoscaler names it any more", o.replicas)})
	case errors.Is(err, fleet.ErrMoved): // somebody has scaled it: it is theirs
	case l.restores.NumRequeues(k) >= restoreAttempts:
		l.Log.WarnContext(ctx, "not restored", "namespace", k.Namespace, "deployment", k.Deployment, "error", err)
		if o.replicas == 0 {
			break
		}
		l.Recorder.Restored(k, fleet.Event{Warning: true, Reason: "RestoreFailed", Message: fmt.Sprintf("it stays at 0, and no CustomAutoscaler names it any more: %s", reason(err))})
	default:
		l.restores.AddRateLimited(k)
		return
	}
	l.adopted(k)
}

// handBack leaves a Deployment as one would want to find it.
func (l *Loop) handBack(ctx context.Context, k fleet.Key, o orphan) error {
	if len(o.marks) > 0 {
		if err := l.Marker.Mark(ctx, k, o.marks); err != nil {
			return fmt.Errorf("take the marks off pods of %s: %w", k, err)
		}
	}
	if o.replicas == 0 {
		return nil
	}
	_, err := l.Scaler.Scale(ctx, k, fleet.Scale{}, o.replicas)
	return err
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
