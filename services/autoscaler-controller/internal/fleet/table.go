package fleet

import (
	"container/list"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Update is what changed in the routes, or all of them. The routes must not be altered.
type Update struct {
	Version  string
	Complete bool
	Routes   []*Route
	Removed  []Key
	Settings *BalancerSettings // nil: as before, or not known
	// Balancers are those that take part: nil is as before, empty is not known.
	Balancers []Balancer
	// Buckets are those of a digest that differ, see Against; nil: it is no answer to one.
	Buckets []int32
	// Shard of so many Shards is what this speaks of; without shards both are 0.
	Shard, Shards int
}

// News tells whether the update says anything.
func (u *Update) News() bool {
	return u.Complete || u.Buckets != nil || len(u.Routes)+len(u.Removed) > 0 || u.Settings != nil || u.Balancers != nil
}

// keptRemovals bounds how many routes that have gone are remembered; whoever has not heard of one that
// is not gets everything.
const keptRemovals = 4096

// version is a number within one life of the process.
type version struct {
	epoch string
	n     uint64
}

func (v version) String() string { return v.epoch + "." + strconv.FormatUint(v.n, 10) }

// reached tells whether a load balancer that follows `reported` has seen v.
func (v version) reached(reported string) bool {
	r, ok := parseVersion(reported)
	return ok && r.epoch == v.epoch && r.n >= v.n
}

func parseVersion(s string) (version, bool) {
	epoch, n, ok := strings.Cut(s, ".")
	if !ok {
		return version{}, false
	}
	number, err := strconv.ParseUint(n, 10, 64)
	return version{epoch, number}, err == nil
}

// table holds the routes and the settings with their versions. Every change is a new version, and moves
// what it changed to the end of a list: what changed since a version is read from there backward, each
// route once however often it changed, and a change costs the same whatever there is.
//
// It has a lock of its own, which may be taken with an application's.
type table struct {
	mu        sync.Mutex
	version   version
	places    map[Key]*list.Element // of current and of removed
	current   *list.List            // of *entry, by when they changed last
	removed   *list.List            // the same, of those that have gone
	forgotten uint64                // the newest change that is remembered no more

	settings   *BalancerSettings // nil: not known
	settingsAt uint64
	// balancers are never nil; none is not known.
	balancers   []Balancer
	balancersAt uint64

	changed chan struct{} // closes with the next change; nil: nobody waits
}

// entry is a route, or that there was one.
type entry struct {
	key   Key
	n     uint64 // its last change
	route *Route // never altered; nil: it has gone
}

func newTable(epoch string) *table {
	return &table{version: version{epoch, 0}, places: map[Key]*list.Element{}, current: list.New(), removed: list.New(), balancers: []Balancer{}}
}

func (t *table) now() version {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.version
}

func entryOf(e *list.Element) *entry {
	return e.Value.(*entry) //nolint:forcetypeassert // nothing else is put into the lists
}

// set takes a route, which is the table's from now on.
func (t *table) set(r *Route) {
	t.mu.Lock()
	defer t.mu.Unlock()
	place, known := t.places[r.Key]
	if known && entryOf(place).route != nil {
		e := entryOf(place)
		if e.route.equal(r) {
			return
		}
		r.Hash = r.hash()
		e.route, e.n = r, t.next()
		t.current.MoveToBack(place)
		return
	}
	if known {
		t.removed.Remove(place)
	}
	r.Hash = r.hash()
	t.places[r.Key] = t.current.PushBack(&entry{r.Key, t.next(), r})
}

func (t *table) remove(k Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	place, known := t.places[k]
	if !known || entryOf(place).route == nil {
		return
	}
	t.current.Remove(place)
	t.places[k] = t.removed.PushBack(&entry{key: k, n: t.next()})
	if t.removed.Len() > keptRemovals {
		oldest := t.removed.Front()
		t.forgotten = entryOf(oldest).n
		delete(t.places, entryOf(oldest).key)
		t.removed.Remove(oldest)
	}
}

// configure takes the settings of the load balancers.
func (t *table) configure(s BalancerSettings) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.settings == nil || *t.settings != s {
		t.settings, t.settingsAt = &s, t.next()
	}
}

// policy is that of the settings; "" is not known.
func (t *table) policy() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.settings == nil {
		return ""
	}
	return t.settings.Policy
}

// take takes the load balancers that take part.
func (t *table) take(balancers []Balancer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.EqualFunc(balancers, t.balancers, func(a, b Balancer) bool {
		return a.Name == b.Name && a.Address == b.Address && a.StartedAt.Equal(b.StartedAt)
	}) {
		t.balancers, t.balancersAt = balancers, t.next()
	}
}

// next is the version of a change, which wakes who waits for one.
func (t *table) next() uint64 {
	t.version.n++
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
	return t.version.n
}

// since is what changed after a version, and a channel that closes with the next change.
func (t *table) since(after string) (Update, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	u := Update{Version: t.version.String()}
	v, ok := parseVersion(after)
	if !ok || v.epoch != t.version.epoch || v.n > t.version.n || v.n < t.forgotten {
		u.Complete, u.Settings, u.Balancers = true, t.settings, t.balancers
		u.Routes = make([]*Route, 0, t.current.Len())
		for e := t.current.Front(); e != nil; e = e.Next() {
			u.Routes = append(u.Routes, entryOf(e).route)
		}
		return u, t.changed
	}
	for e := t.current.Back(); e != nil && entryOf(e).n > v.n; e = e.Prev() {
		u.Routes = append(u.Routes, entryOf(e).route)
	}
	for e := t.removed.Back(); e != nil && entryOf(e).n > v.n; e = e.Prev() {
		u.Removed = append(u.Removed, entryOf(e).key)
	}
	if t.settingsAt > v.n {
		u.Settings = t.settings
	}
	if t.balancersAt > v.n {
		u.Balancers = t.balancers
	}
	return u, t.changed
}

// Routes is what changed after a version, and a channel that closes with the next change. All of them
// are ordered by their applications.
func (f *Fleet) Routes(after string) (Update, <-chan struct{}) {
	u, changed := f.routes.since(after)
	if u.Complete {
		slices.SortFunc(u.Routes, func(a, b *Route) int { return a.Compare(b.Key) })
	}
	return u, changed
}
