package fleet

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Route is how requests reach one application.
type Route struct {
	Key
	Autoscaler    string
	Address       Address
	State         State
	WakeUpTimeout time.Duration
	Waiting       Waiting
	Uncounted     []UncountedRequest
	Blocked       Blocked
	ExpectedStart time.Duration // 0: not known
	AsleepUntil   time.Time     // while FallingAsleep: when that lapses; zero: never
	Endpoints     []Endpoint    // ordered by pod
}

// Endpoint is one pod that has an address.
type Endpoint struct {
	Pod         string
	Address     string
	AlsoAt      []string // IP:port for each of Address.AlsoAt; "" is none
	Ready       bool
	Terminating bool
	Probeable   bool
	Probes      []Probe
	Load        *Load     // nil: not known, or not of interest
	DrainsUntil time.Time // it was chosen to go, and is to get nothing new until then; zero: it was not
}

// Update is what changed in the routes, or all of them.
type Update struct {
	Version  string
	Complete bool
	Routes   []Route
	Removed  []Key
	Settings *BalancerSettings // nil: as before, or not known
	// Balancers are those that take part: nil is as before, empty is not known.
	Balancers []Balancer
}

// keptChanges bounds how far back a change can be told; whoever is further behind gets everything.
const keptChanges = 4096

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

// table holds the routes and the settings with their versions. Every change is a new version.
type table struct {
	mu       sync.RWMutex // of all; whoever has it takes no other
	version  version
	routes   map[Key]Route
	settings *BalancerSettings // nil: not known
	// balancers are never nil; none is not known.
	balancers []Balancer
	changes   []change // the last ones, ordered
	changed   chan struct{}
}

// change is of one route, of the settings, or of the load balancers.
type change struct {
	n         uint64
	key       Key
	settings  bool
	balancers bool
}

func newTable(epoch string) *table {
	return &table{version: version{epoch, 0}, routes: map[Key]Route{}, balancers: []Balancer{}, changed: make(chan struct{})}
}

func (t *table) now() version {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.version
}

// policy is how the settings have a pod chosen; "" is not known.
func (t *table) policy() string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.settings == nil {
		return ""
	}
	return t.settings.Policy
}

func (t *table) configure(s BalancerSettings) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.settings == nil || *t.settings != s {
		t.settings = &s
		t.note(change{settings: true})
	}
}

func (t *table) take(list []Balancer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.EqualFunc(list, t.balancers, func(a, b Balancer) bool {
		return a.Name == b.Name && a.Address == b.Address && a.StartedAt.Equal(b.StartedAt)
	}) {
		t.balancers = list
		t.note(change{balancers: true})
	}
}

func (t *table) set(r Route) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before, ok := t.routes[r.Key]; ok && reflect.DeepEqual(before, r) {
		return
	}
	t.routes[r.Key] = r
	t.note(change{key: r.Key})
}

func (t *table) remove(k Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.routes[k]; ok {
		delete(t.routes, k)
		t.note(change{key: k})
	}
}

// note makes a change a new version. The caller has locked the table.
func (t *table) note(c change) {
	t.version.n++
	c.n = t.version.n
	if len(t.changes) == keptChanges {
		t.changes = slices.Delete(t.changes, 0, keptChanges/2)
	}
	t.changes = append(t.changes, c)
	close(t.changed)
	t.changed = make(chan struct{})
}

// since is what changed after a version.
func (t *table) since(after string) Update {
	u := Update{Version: t.version.String()}
	v, ok := parseVersion(after)
	oldest := t.version.n
	if len(t.changes) > 0 {
		oldest = t.changes[0].n - 1
	}
	if !ok || v.epoch != t.version.epoch || v.n > t.version.n || v.n < oldest {
		u.Complete, u.Settings, u.Balancers = true, t.settings, t.balancers
		for _, k := range slices.SortedFunc(maps.Keys(t.routes), Key.Compare) {
			u.Routes = append(u.Routes, t.routes[k])
		}
		return u
	}
	included := map[Key]bool{}
	for i := len(t.changes) - 1; i >= 0 && t.changes[i].n > v.n; i-- {
		if t.changes[i].settings {
			u.Settings = t.settings
			continue
		}
		if t.changes[i].balancers {
			u.Balancers = t.balancers
			continue
		}
		k := t.changes[i].key
		if included[k] {
			continue
		}
		included[k] = true
		if r, ok := t.routes[k]; ok {
			u.Routes = append(u.Routes, r)
		} else {
			u.Removed = append(u.Removed, k)
		}
	}
	return u
}

// Routes is what changed after a version, and a channel that closes with the next change. When
// there is nothing to tell, Routes and Removed are empty, Settings and Balancers are nil and Complete is false.
func (f *Fleet) Routes(after string) (Update, <-chan struct{}) {
	f.routes.mu.RLock()
	defer f.routes.mu.RUnlock()
	return f.routes.since(after), f.routes.changed
}

// publish puts the application's route into the table.
func (f *Fleet) publish(a *application) {
	r := Route{
		Key: a.seen.Key, Autoscaler: a.seen.Autoscaler, Address: a.seen.Address, State: a.state(),
		WakeUpTimeout: a.seen.Spec.WakeUpTimeout, ExpectedStart: a.starts.median(),
		Waiting: a.seen.Waiting, Uncounted: a.seen.Uncounted, Blocked: a.blocked,
	}
	if a.quiet.told.All {
		r.AsleepUntil = a.quiet.told.Until
		if since := a.quiet.told.Paused; !since.IsZero() && r.Blocked.Reason == "" {
			r.Blocked = Blocked{Reason: pausedReason, Message: pausedMessage, Since: since}
		}
	}
	for _, p := range a.seen.Pods {
		if p.Address == "" || p.Failed {
			continue
		}
		t := a.pods[p.Name]
		var drains time.Time
		if a.draining(p) {
			drains = a.quiet.told.Until
		}
		r.Endpoints = append(r.Endpoints, Endpoint{
			DrainsUntil: drains,
			Pod:         p.Name, Address: p.Address, AlsoAt: p.AlsoAt, Ready: t.isReady(p), Terminating: p.Terminating,
			Probeable: p.Probeable && !t.wasReady || p.Probeable && t.isReady(p), Probes: p.Probes,
			Load: a.loads.of(p.Name),
		})
	}
	f.routes.set(r)
}
