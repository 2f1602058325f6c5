// Package fleet is what is known now: applications and their pods, what the load balancers report,
// how long each application has been quiet, how long its starts took, its last wake-up, and the
// routes that follow from all this, with their versions.
//
// It is pure: it takes observations and `now`, and does nothing by itself. It decides nothing
// (scaling) and speaks to nobody (control, cluster, ingest, httpapi). All methods may be called
// from several goroutines; none of them waits for anything but the others.
//
// There are locks for the load balancers (roster), for each application, for the index, for what
// strangers said, and for the table of routes, taken in this order. Of applications nobody locks two at
// a time. The last three are held for a look or a change of their own; whoever has one takes no other.
//
// A decision joins what was reported with who reported it. So a report is taken, from its first
// application to the version that its load balancer follows, with the roster locked, and a Snapshot is
// made with it locked for reading: it has of each part of a report all or nothing, and no load balancer
// becomes stale or is forgotten halfway. What the cluster, the sidecars and start calls say is of one
// application, and waits for nothing but its lock.
//
// View, Snapshot, Reporting and States change nothing. A load balancer that has been silent for too long
// counts as gone in them, and is dropped by Expire, or by the next report.
package fleet

import (
	"cmp"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Fleet holds all applications. Make it with New.
type Fleet struct {
	index
	roster
	strangers strangers
	routes    *table
	epoch     string // of this life of the process
}

// New makes an empty fleet. epoch names this life of the process (lower case letters and digits):
// versions of another life are not known here.
func New(epoch string) *Fleet {
	return &Fleet{
		index: newIndex(), roster: roster{balancers: map[string]*balancer{}},
		strangers: newStrangers(), routes: newTable(epoch), epoch: epoch,
	}
}

// Observe takes what the cluster says of an application. It returns whether anything changed, and whether that made another
// state of it.
func (f *Fleet) Observe(o Observation, now time.Time) (changed, moved bool) {
	a := f.lock(o.Key)
	if a == nil {
		a = f.admit(o.Key)
	}
	defer a.mu.Unlock()
	known, stood := !a.firstSeen.IsZero(), a.stands.state
	before := a.seen
	if !known {
		a.firstSeen, a.scaledUp = now, newest(o.Pods)
	}
	if o.Deployment.Version < a.version && o.Deployment.UID == before.Deployment.UID {
		// The cache has not caught up with our own write.
		o.Deployment.Replicas, o.Deployment.Version, o.Deployment.Behind = before.Deployment.Replicas, a.version, before.Deployment.Behind
	}
	a.version = o.Deployment.Version
	a.watch(before, o, now)
	if known && o.Deployment.Replicas > before.Deployment.Replicas {
		a.grew(now)
	}
	if known && o.Deployment.Replicas == 0 && before.Deployment.Replicas > 0 {
		a.slept()
	}
	a.seen = o
	a.adopt(o.Learned)
	f.own(a, now)
	a.recount(now)
	if !known {
		a.changed = lastReady(o.Pods)
	}
	a.lean(now)
	a.block(now)
	f.place(a)
	f.publish(a)
	if known && same(before, o) {
		return false, false
	}
	a.stirred()
	return true, a.stands.state != stood
}

// admit makes an application known, and returns it locked.
func (f *Fleet) admit(k Key) *application {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	if a := f.lock(k); a != nil {
		return a // another one was faster
	}
	a := &application{key: k}
	a.mu.Lock()
	for _, b := range f.balancers {
		b.behind = true // what it told of the application before was not kept
	}
	f.add(a)
	return a
}

// own takes over which pods there are, and what was heard of those that are new.
func (f *Fleet) own(a *application, now time.Time) {
	come, gone := a.follow(a.seen.Pods, now)
	f.index.own(a, come, gone)
	for _, name := range come {
		for _, m := range f.strangers.take(PodName{a.key.Namespace, name}) {
			a.measure(m, now)
		}
	}
}

// Forget drops an application that no CustomAutoscaler names any more.
func (f *Fleet) Forget(k Key) {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	a := f.lock(k)
	if a == nil {
		return
	}
	defer a.mu.Unlock()
	a.gone = true
	for _, b := range f.balancers {
		delete(b.busy, a)
		delete(b.named, a)
		delete(b.reports, a)
	}
	f.routes.remove(k)
	f.remove(a)
}

// Scaled takes note of a count that a write has brought to light, this process' own or, when somebody
// else was faster, theirs: the cache will say the same a moment later, and until then older news is
// ignored.
func (f *Fleet) Scaled(k Key, replicas int32, version uint64, now time.Time) {
	a := f.lock(k)
	if a == nil {
		return
	}
	defer a.mu.Unlock()
	before := a.seen.Deployment.Replicas
	if replicas > before {
		a.grew(now)
	}
	a.remember(a.seen.Deployment.Replicas, replicas)
	a.seen.Deployment.Replicas = replicas
	a.version = max(a.version, version)
	a.seen.Deployment.Version = a.version
	if replicas != before { // else only another version of the same has come to light
		a.seen.Deployment.Behind = true
		for _, t := range a.pods {
			t.doomed = a.doom(t.doomed)
		}
		a.recount(now)
	}
	if replicas == 0 && before > 0 {
		a.slept()
	}
	a.block(now)
	a.stirred()
	f.place(a)
	f.publish(a)
}

// Called takes note of a start call: it is a sign of traffic, and at zero a wake-up begins.
func (f *Fleet) Called(k Key, waiting int32, now time.Time) {
	a := f.lock(k)
	if a == nil {
		return
	}
	defer a.mu.Unlock()
	a.activity, a.rest = now, scaling.Rest{}
	a.stirred()
	if a.state() == Asleep {
		if a.wake == nil || a.wake.over() {
			a.wake = &episode{began: now, expected: a.starts.median()}
		}
	}
	if a.wake != nil && !a.wake.over() {
		if a.wake.startCall.IsZero() {
			a.wake.startCall = now
		}
		a.wake.waited = max(a.wake.waited, waiting)
	}
}

// Rest notes that somebody wants the application to sleep.
func (f *Fleet) Rest(k Key, rest scaling.Rest) {
	a := f.lock(k)
	if a == nil {
		return
	}
	defer a.mu.Unlock()
	a.rest = rest
	a.stirred()
}

// Follow ends the term: whoever was falling asleep is awake again here, as the next leader begins.
// Pods that were chosen to go stay so until the lease is over, or the next leader says otherwise.
func (f *Fleet) Follow() {
	f.roster.mu.Lock()
	f.leading = time.Time{}
	f.publishBalancers(time.Time{})
	f.roster.mu.Unlock()
	for _, a := range f.all() {
		f.endTerm(a)
	}
}

func (f *Fleet) endTerm(a *application) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return
	}
	a.rest = scaling.Rest{}
	if a.quiet.told.All {
		a.quiet = quiet{}
	}
	a.stirred()
	a.starts.own, a.learned = false, learned{given: a.tell()}
	f.place(a)
	f.publish(a)
}

// Compare orders keys by namespace, then name.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Namespace, other.Namespace), cmp.Compare(k.Deployment, other.Deployment))
}
