package fleet

import (
	"maps"
	"slices"
	"time"
)

// The load balancers that take part are a part of the routes: they share the limits of pods among
// themselves, and take it from here who is there. What they count on: one that reports is left out only
// when it has left, when its process has ended, or after ForgetFor of silence. So nothing is said until
// a new leader has heard all that it must know of.

// settleFor is how long a new leader waits for load balancers of which the leader before left no word:
// they came in its last second. Each reports every second.
const settleFor = 3 * time.Second

// goneAfter is how long after the deletion of its pod a load balancer that is silent counts as gone. Who
// deletes a pod by force says by it that its process ends at once, as Kubernetes asks.
const goneAfter = 2 * time.Second

// Balancer is a load balancer that takes part.
type Balancer struct {
	Name      string
	StartedAt time.Time
	Address   string // "": it is too old to have one
}

// publishBalancers puts them into the routes.
func (f *Fleet) publishBalancers(now time.Time) {
	list := []Balancer{}
	if !f.leading.IsZero() && now.Sub(f.leading) >= settleFor {
		for _, name := range slices.Sorted(maps.Keys(f.balancers)) {
			b := f.balancers[name]
			if b.awaited {
				list = []Balancer{}
				break
			}
			list = append(list, Balancer{Name: name, StartedAt: b.startedAt, Address: b.address})
		}
	}
	f.routes.take(list)
}

// BalancerEnded takes note that the process of a load balancer ended then, as Kubernetes says; a life
// of it that began later goes on. It returns the applications to decide on anew.
func (f *Fleet) BalancerEnded(name string, at, now time.Time) []Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, known := f.balancers[name]
	if !known || b.awaited || at.Before(b.startedAt) {
		return nil
	}
	touched := f.gone(name, b)
	f.publishBalancers(now)
	return touched
}

// BalancerDeleted takes note that the pod of a load balancer is there no more.
func (f *Fleet) BalancerDeleted(name string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, known := f.balancers[name]; known {
		b.deleted = now
	}
}

// over tells whether a load balancer has been silent for so long that it counts as gone. alive is that
// its pod runs and is ready.
func (b *balancer) over(alive bool, now time.Time) bool {
	silent := now.Sub(b.last)
	return silent >= ForgetFor && !alive || !b.deleted.IsZero() && silent >= goneAfter && now.Sub(b.deleted) >= goneAfter
}
