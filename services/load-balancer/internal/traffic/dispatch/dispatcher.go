// Package dispatch knows, for each application, which pods may take a request now and who waits for
// one. It joins what the controller says (routes), what was seen here (own readiness checks,
// failures, requests in flight) and the pure rules (routing, balance, waitroom) into one answer:
// this pod, wait, or no.
//
// It is the only judge of "usable": a pod is usable when Kubernetes calls it ready or its own
// readiness checks, repeated from here, were good; when it is not terminating, not in doubt after a
// refused connection, and not ejected; and when its application is not falling asleep.
//
// It does no I/O, logs nothing and knows no HTTP. Time and chance are handed in; what must happen
// outside (check a pod, call for a start, report at once) goes through the ports below. Each
// application has a lock of its own, held for microseconds.
package dispatch

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/slots"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/waitroom"
)

// Prober checks whether a pod can take requests, again and again until it can or settled is closed.
// Probe must return at once.
type Prober interface {
	Probe(pod *Pod, settled <-chan struct{})
}

// Waker asks the controller for a start, again and again until StartRequest.Ended. Wake must return
// at once.
type Waker interface{ Wake(request *StartRequest) }

// Options are what a dispatcher is made of. Every field but the last three is required.
type Options struct {
	RoomRequests int   // that may wait, for each application
	RoomBytes    int64 // that they may hold, over all applications
	Now          func() time.Time
	Intn         balance.Intn   // chance for policies
	Chance       func() float64 // from 0 to 1, for jitter
	Prober       Prober
	Waker        Waker
	ReportSoon   func()                                     // something happened that the controller must know at once
	Woken        func(app routing.Application, wake WakeUp) // a wake-up ended
	Forgotten    func(app routing.Application)              // it has no route and no request any more
	NewID        func() [16]byte                            // of a wake-up whose first request has no trace

	// With other load balancers the slots of limited pods are shared. Without an address of this one, or
	// without Peers, they are its alone.
	Self  slots.Member
	Peers Peers
	Lends func(app routing.Application, unknown bool) // this one lends from now on; unknown: what the lender before lent is not known
	// Terms are the times by which this one stands; none are the usual ones.
	Terms slots.Terms
}

// Dispatcher holds all applications.
type Dispatcher struct {
	options Options
	made    time.Time
	budget  *waitroom.Budget
	table   atomic.Pointer[routing.Table[*Application]]
	version atomic.Pointer[string]
	away    atomic.Bool
	routes  atomic.Int64 // how many applications have one
	// preferred is the policy of applications whose route names none.
	preferred atomic.Pointer[string]
	members   *members
	changes   changes // since the last report

	mu           sync.Mutex // of the fields below, and of Apply
	applications map[routing.Application]*Application
	ordered      []*Application // the same, by name; nil: they have changed. It is never altered
	claims       *routing.Claims[*Application]
	ending       map[*Application]bool // that have no route any more, and may have requests
	closed       bool
}

// New makes a dispatcher without routes.
func New(o Options) *Dispatcher {
	d := &Dispatcher{
		options: o, made: o.Now(), budget: waitroom.NewBudget(o.RoomBytes), applications: map[routing.Application]*Application{},
		claims: routing.NewClaims(byID), ending: map[*Application]bool{},
	}
	d.members = newMembers(o)
	d.table.Store(d.claims.Table())
	preferred := balance.DefaultName
	d.preferred.Store(&preferred)
	return d
}

// sinceStart is a moment as the integrals of what is busy count it.
func (d *Dispatcher) sinceStart(now time.Time) int64 { return now.Sub(d.made).Microseconds() }

// Prefer names the policy of every application whose route names none.
func (d *Dispatcher) Prefer(algorithm string) {
	d.preferred.Store(&algorithm)
	for _, app := range d.Applications() {
		app.prefer()
	}
}

// Version is that of the routes that are followed now; "" before the first.
func (d *Dispatcher) Version() string {
	if v := d.version.Load(); v != nil {
		return *v
	}
	return ""
}

// Match finds the application of a request; the errors are those of routing.Table.Match.
func (d *Dispatcher) Match(host, path string) (routing.Match[*Application], error) {
	return d.table.Load().Match(host, path)
}

// Find finds the application that has the route of that name.
func (d *Dispatcher) Find(id routing.Application) (*Application, bool) {
	d.mu.Lock()
	app, ok := d.applications[id]
	d.mu.Unlock()
	if !ok {
		return nil, false
	}
	return app, !app.standing().removed
}

// Apply follows a change of the routes. It returns the applications whose host and prefix another
// one has, and had not before: they get no requests there. The version counts as followed only when
// every application has taken its change, so that a report that names it is true for all of them.
//
// It costs what has changed, however many applications there are.
func (d *Dispatcher) Apply(u routing.Update) []routing.Application {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.options.Now()
	convened := d.members.follow(u, now)
	quiet := false
	for i := range u.Routes {
		d.follow(&u.Routes[i], now)
		quiet = quiet || u.Routes[i].AwaitsReport()
	}
	for _, key := range d.gone(&u) {
		if app, ok := d.applications[key]; ok {
			d.retire(app, now)
			d.place(app)
		}
	}
	if convened || u.Complete || u.Anew {
		for _, app := range d.applications {
			app.reconvene()
		}
	}
	lost := d.publish()
	d.version.Store(&u.Version)
	if quiet {
		d.options.ReportSoon()
	}
	return lost
}

func (d *Dispatcher) follow(route *routing.Route, now time.Time) {
	app, ok := d.applications[route.Application]
	if !ok {
		app = newApplication(d, *route)
		d.applications[route.Application], d.ordered = app, nil
	}
	app.follow(*route, now)
	d.place(app)
}

// gone are the applications that an update leaves without a route.
func (d *Dispatcher) gone(u *routing.Update) []routing.Application {
	if !u.Complete {
		return u.Removed
	}
	gone := slices.Clone(u.Removed)
	listed := make(map[routing.Application]bool, len(u.Routes))
	for i := range u.Routes {
		listed[u.Routes[i].Application] = true
	}
	for key := range d.applications {
		if !listed[key] {
			gone = append(gone, key)
		}
	}
	return gone
}

// place has an application claim the hosts and prefixes of its route, if it has one. What was removed
// stands behind what is claimed now.
func (d *Dispatcher) place(app *Application) {
	if d.applications[app.ID] != app {
		return // it was forgotten, and there is perhaps another one of its name
	}
	s := app.standing()
	if s.removed {
		d.claims.Drop(app)
		d.ending[app] = true
		return
	}
	delete(d.ending, app)
	d.claims.Set(app, s.kept, entriesOf(app, s.route))
}

// publish makes what is claimed the table, and forgets applications that have no route and no request
// left. It returns those whose host and prefix another one has, and had not before.
func (d *Dispatcher) publish() []routing.Application {
	for app := range d.ending {
		if s := app.standing(); !s.removed || !s.idle {
			continue
		}
		delete(d.ending, app)
		delete(d.applications, app.ID)
		d.ordered = nil
		if d.options.Forgotten != nil {
			d.options.Forgotten(app.ID)
		}
	}
	routed := d.claims.Len()
	d.routes.Store(int64(routed))
	d.budget.Share(routed > 1)
	d.table.Store(d.claims.Table())
	losers := d.claims.Lost()
	lost := make([]routing.Application, len(losers))
	for i, app := range losers {
		lost[i] = app.ID
	}
	return lost
}

// entriesOf are an application's rows of the table.
func entriesOf(app *Application, route *routing.Route) []routing.Entry[*Application] {
	rows := make([]routing.Entry[*Application], 0, 1+len(route.AlsoAt))
	rows = append(rows, routing.Entry[*Application]{Hosts: route.Hosts, Prefix: route.Prefix, Target: app})
	for _, also := range route.AlsoAt {
		rows = append(rows, routing.Entry[*Application]{Hosts: also.Hosts, Prefix: also.Prefix, Target: app})
	}
	return rows
}

// ControllerAway says whether the controller cannot be reached. While it is away an application
// whose known pods are all unusable is reached through its Service.
func (d *Dispatcher) ControllerAway(away bool) {
	if d.away.Swap(away) == away {
		return
	}
	for _, app := range d.Applications() {
		app.settle()
	}
}

// Close answers everyone who waits with ErrClosing, and lets nobody wait any more: the process
// ends. Requests on pods go on.
func (d *Dispatcher) Close() {
	d.mu.Lock()
	d.closed = true
	apps := d.sorted()
	d.mu.Unlock()
	for _, app := range apps {
		app.close()
	}
}

// Applications are all that have a route or a request, ordered by name. The list must not be altered.
func (d *Dispatcher) Applications() []*Application {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sorted()
}

func (d *Dispatcher) sorted() []*Application {
	if d.ordered == nil {
		d.ordered = slices.SortedFunc(maps.Values(d.applications), byID)
	}
	return d.ordered
}
