package fleet

import (
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// group is what the other targets of an application's CustomAutoscaler do; false where each wakes and
// sleeps on its own. The caller has the roster locked for reading, and no application.
func (f *Fleet) group(k Key, w watch, now time.Time) (g scaling.Group, together bool) {
	mates := f.Mates(k)
	for _, mate := range mates {
		other := f.lock(mate)
		if other == nil {
			continue
		}
		t := f.traffic(other, w, now)
		if t.Waiting > 0 || t.InFlight > 0 || t.Streaming > 0 {
			g.Busy = mate.Deployment
		}
		if other.seen.Deployment.Replicas > 0 {
			g.Awake, g.IdleSince = true, later(g.IdleSince, t.IdleSince)
		}
		other.mu.Unlock()
	}
	return g, mates != nil
}

// Mates are the applications that wake and sleep together with one; none where each does on its own.
func (f *Fleet) Mates(k Key) []Key {
	a := f.lock(k)
	if a == nil {
		return nil
	}
	together, of := a.seen.Spec.Together, Autoscaler{k.Namespace, a.seen.Autoscaler}
	a.mu.Unlock()
	if !together {
		return nil
	}
	return slices.DeleteFunc(f.of(of), func(mate Key) bool { return mate == k })
}
