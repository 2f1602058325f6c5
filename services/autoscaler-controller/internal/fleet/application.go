package fleet

import (
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contest"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// application is all that is known of one. What it has only while it is used is made then: most sleep.
type application struct {
	key Key

	mu      sync.Mutex // guards all below
	gone    bool       // it was forgotten, and another one may have its key
	decided decided    // see class.go
	stands  standing   // written with the index's lock as well

	seen      Observation
	firstSeen time.Time
	version   uint64 // of the Deployment, as it was last written or read: older news is ignored
	alive     int32  // pods that are ready

	scaledUp  time.Time    // when pods were last added, by anyone; zero: not seen
	activity  time.Time    // the last traffic that a load balancer which has gone reported, or a start call
	rest      scaling.Rest // somebody wants it to sleep
	quiet     quiet
	starts    starts
	latency   *latency                // nil: nothing was answered lately
	pods      map[string]*podMemory   // nil: there is none
	blocked   Blocked                 // why it cannot be started; the zero value: it can
	contest   contest.Memory          //
	sleptWith int32                   // pods asked for before it went to sleep; 0 is not known
	wake      *episode                //
	traffic   map[*balancer]*reported // nil: none was ever reported
	loads     loads                   // of its pods, as they are told
	changed   time.Time               // when the number of ready pods was last another one
	answers   *latency                // of those that were sent since
	learned   learned                 //
	worked    time.Time               // the last time that a sidecar said that a pod has something to do
	waiting   time.Time               // since when requests are reported to wait; zero: none is
	arrived   float64                 // requests that came while somebody looked, over all load balancers
	failures  float64                 // of those that ended meanwhile
	rejected  float64                 //
	woken     *WakesEnded             // nil: none was; never altered
}

// lock locks the application with a key; nil: there is none.
func (f *Fleet) lock(k Key) *application {
	for {
		a := f.find(k)
		if a == nil {
			return nil
		}
		a.mu.Lock()
		if !a.gone {
			return a
		}
		a.mu.Unlock() // it was forgotten meanwhile
	}
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

func (a *application) ready() int32 { return a.alive }

// recount takes note of how many pods are ready, and of when that changes.
func (a *application) recount(now time.Time) {
	before := a.alive
	if a.alive = a.countReady(); a.alive != before {
		a.changed, a.answers = now, nil
	}
}

// countReady is how many pods are ready.
func (a *application) countReady() int32 {
	var n int32
	for i := range a.seen.Pods {
		p := &a.seen.Pods[i]
		if !p.Terminating && a.pods[p.Name].isReady(*p) {
			n++
		}
	}
	return n
}

// existing counts the pods that are there, also those that are going; not those that have ended and
// stay to be looked at.
func (a *application) existing() int32 {
	var n int32
	for i := range a.seen.Pods {
		if a.seen.Pods[i].Exists() {
			n++
		}
	}
	return n
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

// lean drops what nobody can ask for any more of an application that sleeps.
func (a *application) lean(now time.Time) {
	if a.seen.Deployment.Replicas > 0 {
		return
	}
	if a.latency != nil && !a.latency.since(now) {
		a.latency = nil
	}
	if a.answers != nil && !a.answers.since(now) {
		a.answers = nil
	}
}

// newest is when the youngest pod was made: at first sight the best guess of the last scale-up.
func newest(pods []Pod) time.Time {
	var t time.Time
	for i := range pods {
		t = later(t, pods[i].CreatedAt)
	}
	return t
}

// lastReady is when the last pod became ready that is: at first sight the best guess of when their
// number changed.
func lastReady(pods []Pod) time.Time {
	var t time.Time
	for i := range pods {
		if pods[i].Ready {
			t = later(t, pods[i].ReadyAt)
		}
	}
	return t
}
