package fleet

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// The load balancers that take part are a part of the routes: they share the limits of pods among
// themselves, and take it from here who is there. What they count on: one that reports is left out only
// when it has left, when its process has ended, or after as long a silence as it counts on (ForgetFor). So
// nothing is said until a new leader has heard all that it must know of.

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

// roster is who reports. Its lock is held for a whole part of a report, and for reading by whoever joins
// what was reported with who reported it.
type roster struct {
	mu        sync.RWMutex
	balancers map[string]*balancer
	leading   time.Time       // since when this process leads; zero: it follows
	heard     time.Time       // when a load balancer was last heard, or the term began
	watched   time.Time       // since when one was heard without a gap; zero: there was none in this term
	dropped   time.Time       // when a load balancer was last not listened to, being one too many
	inherited time.Duration   // how long those that are awaited may be silent, as the leader before said; 0: it did not
	alive     map[string]bool // load balancers whose pod runs and is ready
	watch     watch           // who reported after the last report
}

// balancer is what is known of one load balancer.
type balancer struct {
	name      string
	startedAt time.Time
	sequence  int64
	version   string
	address   string
	forget    time.Duration         // how long it may be silent; 0: it did not say
	last      time.Time             // of its last whole report
	since     time.Time             // of its first one
	deleted   time.Time             // when its pod was; zero: it was not
	complete  bool                  // no part of its last report is missing
	behind    bool                  // it must tell everything: there are applications of which it told before they were known
	awaited   bool                  // it reported to the leader before, and it has not reported here since `last`
	busy      map[*application]bool // applications with something waiting or in flight
	part      int32                 // that came last of the report that is coming in
	named     map[*application]bool // by its parts; true: with something waiting or in flight
	reports   map[*application]bool // of which it has ever reported anything
}

func newBalancer(name string) *balancer {
	return &balancer{name: name, busy: map[*application]bool{}, reports: map[*application]bool{}}
}

// publishBalancers puts them into the routes. The caller has locked the roster.
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
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	b, known := f.balancers[name]
	if !known || b.awaited || at.Before(b.startedAt) {
		return nil
	}
	touched := append(f.drop(b), f.members(f.awake)...)
	f.publishBalancers(now)
	return ordered(touched)
}

// BalancerDeleted takes note that the pod of a load balancer is there no more.
func (f *Fleet) BalancerDeleted(name string, now time.Time) {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	if b, known := f.balancers[name]; known {
		b.deleted = now
	}
}

// Alive takes the names of the load balancers whose pod runs and is ready, in the namespace that is
// looked at. It returns the applications to decide on anew.
func (f *Fleet) Alive(names []string, now time.Time) []Key {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	before := f.alive
	f.alive = make(map[string]bool, len(names))
	for _, name := range names {
		f.alive[name] = true
	}
	touched := f.expire(now)
	if !maps.Equal(before, f.alive) {
		touched = append(touched, f.members(f.awake)...)
	}
	return ordered(touched)
}

// Expire forgets load balancers that have been silent for too long. It returns the applications to
// decide on anew, and when the next one would have to be forgotten; zero: none would.
func (f *Fleet) Expire(now time.Time) (touched []Key, next time.Time) {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	gone := f.expire(now)
	if len(gone) > 0 {
		f.publishBalancers(now)
	}
	for _, b := range f.balancers {
		if at := b.ends(f.alive[b.name]); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return ordered(gone), next
}

func (f *Fleet) expire(now time.Time) (touched []*application) {
	before := len(f.balancers)
	for _, b := range f.balancers {
		if b.over(f.alive[b.name], now) {
			touched = append(touched, f.drop(b)...)
		}
	}
	if len(touched) > 0 || before > len(f.balancers) {
		touched = append(touched, f.members(f.awake)...)
	}
	return touched
}

// drop forgets a load balancer. What it has reported counts as it was; one that was awaited in vain
// may have had traffic for any application, until it was awaited.
func (f *Fleet) drop(b *balancer) []*application {
	touched := f.fold(b)
	if b.awaited {
		for _, a := range f.all() {
			a.mu.Lock()
			a.activity = later(a.activity, b.last)
			a.mu.Unlock()
		}
	}
	delete(f.balancers, b.name)
	return touched
}

// fold forgets a load balancer's traffic, but not when it was.
func (f *Fleet) fold(b *balancer) (touched []*application) {
	for a := range b.reports {
		a.mu.Lock()
		if t, ok := a.traffic[b]; ok {
			a.activity = later(a.activity, t.LastActivity)
			delete(a.traffic, b)
			a.waits(a.waiting)
			a.stirred()
			touched = append(touched, a)
		}
		a.mu.Unlock()
	}
	clear(b.reports)
	return touched
}

// over tells whether a load balancer has been silent for so long that it counts as gone. alive is that
// its pod runs and is ready: one that serves is not forgotten, it is only not heard.
func (b *balancer) over(alive bool, now time.Time) bool {
	at := b.ends(alive)
	return !at.IsZero() && !now.Before(at)
}

// patience is how long it may be silent before it counts as gone: as long as it counts on itself, since it
// lends slots of limited pods meanwhile.
func (b *balancer) patience() time.Duration {
	if b.forget == 0 {
		return ForgetFor
	}
	return min(max(b.forget, LeastForgetFor), ForgetFor)
}

// ends is when it counts as gone if nothing is heard until then; zero: never.
func (b *balancer) ends(alive bool) (at time.Time) {
	if !alive {
		at = b.last.Add(b.patience())
	}
	if b.deleted.IsZero() {
		return at
	}
	if soon := later(b.last, b.deleted).Add(goneAfter); at.IsZero() || soon.Before(at) {
		at = soon
	}
	return at
}

// watch is who reports, as of a moment.
type watch struct {
	live, stale []*balancer // ordered by name
	over        []*balancer // that count as gone, and were not dropped yet
}

// watching is who reports. The caller has the roster locked, for reading at least.
func (r *roster) watching(now time.Time) (w watch) {
	w.live = make([]*balancer, 0, len(r.balancers))
	for _, b := range r.balancers {
		switch {
		case b.over(r.alive[b.name], now):
			w.over = append(w.over, b)
		case now.Sub(b.last) <= FreshFor && !b.awaited:
			w.live = append(w.live, b)
		default:
			w.stale = append(w.stale, b)
		}
	}
	slices.SortFunc(w.live, byName)
	slices.SortFunc(w.stale, byName)
	return w
}

func byName(a, b *balancer) int { return strings.Compare(a.name, b.name) }

// ordered are the keys of applications, each once.
func ordered(list []*application) []Key {
	keys := make([]Key, 0, len(list))
	for _, a := range list {
		keys = append(keys, a.key)
	}
	slices.SortFunc(keys, Key.Compare)
	return slices.Compact(keys)
}

// Reporting tells how many load balancers report, and how old the oldest report is.
func (f *Fleet) Reporting(now time.Time) (live, stale int, oldest time.Duration) {
	f.roster.mu.RLock()
	defer f.roster.mu.RUnlock()
	w := f.watching(now)
	for _, b := range slices.Concat(w.live, w.stale) {
		oldest = max(oldest, now.Sub(b.last))
	}
	return len(w.live), len(w.stale), oldest
}
