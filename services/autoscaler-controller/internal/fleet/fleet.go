// Package fleet is what is known now: applications and their pods, what the load balancers report,
// how long each application has been quiet, how long its starts took, its last wake-up, and the
// routes that follow from all this, with their versions.
//
// It is pure: it takes observations and `now`, and does nothing by itself. It decides nothing
// (scaling) and speaks to nobody (control, cluster, ingest, httpapi). All methods may be called
// from several goroutines; none of them waits for anything but the others.
package fleet

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contest"
)

// Fleet holds all applications. Make it with New.
type Fleet struct {
	mu        sync.Mutex
	apps      map[Key]*application
	balancers map[string]*balancer
	routes    *table
	epoch     string          // of this life of the process
	uses      map[PodName]use // what pods use
	owners    map[PodName]Key // which application a pod is of
	leading   time.Time       // since when this process leads; zero: it follows

	heard   time.Time       // when a load balancer was last heard, or the term began
	watched time.Time       // since when one was heard without a gap; zero: there was none in this term
	dropped time.Time       // when a load balancer was last not listened to, being one too many
	alive   map[string]bool // load balancers whose pod runs and is ready
}

// New makes an empty fleet. epoch names this life of the process (lower case letters and digits):
// versions of another life are not known here.
func New(epoch string) *Fleet {
	return &Fleet{
		apps:      map[Key]*application{},
		balancers: map[string]*balancer{},
		routes:    newTable(epoch),
		epoch:     epoch,
		uses:      map[PodName]use{},
		owners:    map[PodName]Key{},
	}
}

// application is all that is known of one.
type application struct {
	seen      Observation
	firstSeen time.Time
	version   uint64 // of the Deployment, as it was last written or read: older news is ignored

	scaledUp  time.Time // when pods were last added, by anyone; zero: not seen
	activity  time.Time // the last traffic that a load balancer which has gone reported, or a start call
	quiet     quiet
	starts    starts
	latency   latency
	pods      map[string]*podTimes
	blocked   Blocked // why it cannot be started; the zero value: it can
	contest   contest.Memory
	sleptWith int32 // pods asked for before it went to sleep; 0 is not known
	wake      *episode
	traffic   map[string]Traffic // by load balancer
	loads     loads              // of its pods, as they are told
	flows     map[string]*flow   // by load balancer
	changed   time.Time          // when the number of ready pods was last another one
	answers   latency            // of those that were sent since
	learned   learned
	still     still
	worked    time.Time // the last time that a sidecar said that a pod has something to do
	waiting   time.Time // since when requests are reported to wait; zero: none is
}

// Observe takes what the cluster says of an application. It returns whether anything changed.
func (f *Fleet) Observe(o Observation, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, known := f.apps[o.Key]
	if !known {
		a = &application{firstSeen: now, pods: map[string]*podTimes{}, traffic: map[string]Traffic{}, flows: map[string]*flow{}}
		f.apps[o.Key] = a
		for _, b := range f.balancers {
			b.behind = true // what it told of the application before was not kept
		}
		a.scaledUp = newest(o.Pods)
	}
	before := a.seen
	if o.Deployment.Version < a.version && o.Deployment.UID == before.Deployment.UID {
		// The cache has not caught up with our own write.
		o.Deployment.Replicas, o.Deployment.Version = before.Deployment.Replicas, a.version
	}
	a.version = o.Deployment.Version
	a.watch(before, o, now)
	if known && o.Deployment.Replicas > before.Deployment.Replicas {
		a.grew(now)
	}
	if known && o.Deployment.Replicas == 0 && before.Deployment.Replicas > 0 {
		a.slept()
	}
	f.own(o.Key, before.Pods, o.Pods)
	ready := a.ready()
	a.seen = o
	a.adopt(o.Learned)
	a.follow(o.Pods, now)
	switch {
	case !known:
		a.changed = lastReady(o.Pods)
	case a.ready() != ready:
		a.changed, a.answers = now, latency{}
	}
	a.block(now)
	f.publish(a)
	return !known || !same(before, o)
}

// Forget drops an application that no CustomAutoscaler names any more.
func (f *Fleet) Forget(k Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, ok := f.apps[k]; ok {
		f.own(k, a.seen.Pods, nil)
	}
	delete(f.apps, k)
	f.routes.remove(k)
}

// Scaled takes note of a count that a write has brought to light, this process' own or, when somebody
// else was faster, theirs: the cache will say the same a moment later, and until then older news is
// ignored.
func (f *Fleet) Scaled(k Key, replicas int32, version uint64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.apps[k]
	if !ok {
		return
	}
	before := a.seen.Deployment.Replicas
	if replicas > before {
		a.grew(now)
	}
	a.remember(a.seen.Deployment.Replicas, replicas)
	a.seen.Deployment.Replicas = replicas
	a.version = max(a.version, version)
	a.seen.Deployment.Version = a.version
	if replicas == 0 && before > 0 { // else only another version of the same has come to light
		a.slept()
	}
	a.block(now)
	f.publish(a)
}

// grew takes note of pods that were added, by whoever; our own write is sometimes seen in the cache
// before its answer is here.
func (a *application) grew(now time.Time) {
	a.scaledUp = now
	if a.wake != nil && !a.wake.over() {
		mark(&a.wake.scaled, true, now)
	}
}

// slept ends what went on while the application was awake.
func (a *application) slept() {
	a.quiet = quiet{}
	if a.wake != nil {
		a.wake.asleep = true
	}
}

// Called takes note of a start call: it is a sign of traffic, and at zero a wake-up begins.
func (f *Fleet) Called(k Key, waiting int32, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.apps[k]
	if !ok {
		return
	}
	a.activity = now
	if a.state() == Asleep {
		if a.wake == nil || a.wake.over() {
			a.wake = &episode{began: now}
		}
	}
	if a.wake != nil && !a.wake.over() {
		if a.wake.startCall.IsZero() {
			a.wake.startCall = now
		}
		a.wake.waited = max(a.wake.waited, waiting)
	}
}

// Follow ends the term: whoever was falling asleep is awake again here, as the next leader begins.
// Pods that were chosen to go stay so until the lease is over, or the next leader says otherwise.
func (f *Fleet) Follow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leading = time.Time{}
	f.publishBalancers(time.Time{})
	for _, a := range f.apps {
		if a.quiet.told.All {
			a.quiet = quiet{}
		}
		a.starts.own, a.learned = false, learned{given: a.tell()}
		f.publish(a)
	}
}

// Keys are the applications, ordered.
func (f *Fleet) Keys() []Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Keys(f.apps), Key.Compare)
}

// state is what a person would call it.
func (a *application) state() State {
	switch {
	case !a.seen.Deployment.Found:
		return Unknown
	case a.seen.Deployment.Replicas == 0:
		return Asleep
	case a.quiet.told.All:
		return FallingAsleep
	case a.ready() > 0:
		return Awake
	default:
		return Waking
	}
}

func (a *application) ready() int32 {
	var n int32
	for _, p := range a.seen.Pods {
		if !p.Terminating && a.pods[p.Name].isReady(p) {
			n++
		}
	}
	return n
}

// existing counts the pods that are there, also those that are going; not those that have ended and
// stay to be looked at.
func (a *application) existing() int32 {
	var n int32
	for _, p := range a.seen.Pods {
		if p.Exists() {
			n++
		}
	}
	return n
}

// newest is when the youngest pod was made: at first sight the best guess of the last scale-up.
func newest(pods []Pod) time.Time {
	var t time.Time
	for _, p := range pods {
		if p.CreatedAt.After(t) {
			t = p.CreatedAt
		}
	}
	return t
}

// lastReady is when the last pod became ready that is: at first sight the best guess of when their
// number changed.
func lastReady(pods []Pod) time.Time {
	var t time.Time
	for _, p := range pods {
		if p.Ready {
			t = later(t, p.ReadyAt)
		}
	}
	return t
}

// Compare orders keys by namespace, then name.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Namespace, other.Namespace), cmp.Compare(k.Deployment, other.Deployment))
}
