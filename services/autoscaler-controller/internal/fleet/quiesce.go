package fleet

import (
	"slices"
	"time"
)

// Quiesce is what the load balancers are told to send nothing new to: every pod of an application
// that falls asleep, or those that were chosen to go. It is told with a lease: it outlives the
// leader that told it, and lapses when nobody says it again. The zero value is nothing.
type Quiesce struct {
	All    bool
	Pods   []string // ordered by name
	Until  time.Time
	Paused time.Time // with All: since when its user wants it down, so that requests are refused; zero: they wait
}

func (q Quiesce) nothing() bool { return !q.All && len(q.Pods) == 0 }

// tells reports whether the pod is one of those.
func (q Quiesce) tells(pod string) bool {
	_, found := slices.BinarySearch(q.Pods, pod)
	return found
}

// LeaseReserve is how much of its lease a load balancer must have left, at least, for its word to
// count that a pod gets nothing new: what is decided on it takes a moment to happen.
const LeaseReserve = 8 * time.Second

// keptLeases bounds how many leases are remembered: a load balancer that is further behind is not
// believed.
const keptLeases = 4

// quiet is what is told, and since which version of the routes.
type quiet struct {
	told   Quiesce
	all    version            // since when All is told
	pods   map[string]version // since when each pod is
	leases []lease            // the last ones, newest last
}

// lease is a time that a version of the routes has told.
type lease struct {
	version version
	until   time.Time
}

// Quiesce tells the load balancers, through the routes, whom to send nothing new to from now on.
func (f *Fleet) Quiesce(k Key, q Quiesce) {
	a := f.lock(k)
	if a == nil {
		return
	}
	defer a.mu.Unlock()
	if q.All == a.quiet.told.All && q.Paused.Equal(a.quiet.told.Paused) && q.Until.Equal(a.quiet.told.Until) && slices.Equal(q.Pods, a.quiet.told.Pods) {
		return
	}
	before := a.quiet
	a.quiet = quiet{told: q}
	a.stirred()
	f.place(a)
	f.publish(a)
	if q.nothing() {
		return
	}
	now := f.routes.now()
	a.quiet.all, a.quiet.pods = now, make(map[string]version, len(q.Pods))
	if q.All && before.told.All {
		a.quiet.all = before.all
	}
	for _, pod := range q.Pods {
		a.quiet.pods[pod] = now
		if since, told := before.pods[pod]; told {
			a.quiet.pods[pod] = since
		}
	}
	if !before.told.nothing() {
		a.quiet.leases = before.leases
	}
	a.quiet.leases = append(slices.Clip(a.quiet.leases), lease{now, q.Until})
	a.quiet.leases = a.quiet.leases[max(0, len(a.quiet.leases)-keptLeases):]
}

// obeyed tells whether a load balancer that follows `reported` sends nothing new to what was told at
// `since`, and will not begin again before a decision made now is carried out.
func (q *quiet) obeyed(since version, reported string, now time.Time) bool {
	if !since.reached(reported) {
		return false
	}
	for _, l := range slices.Backward(q.leases) {
		if l.version.reached(reported) {
			return l.until.Sub(now) >= LeaseReserve
		}
	}
	return false
}

// PodLoad is a pod that may go: how it stands, what is on it, and who may still send to it.
type PodLoad struct {
	Pod
	State     PodState
	InFlight  int32    // requests on it, as the load balancers and its own sidecar say; streams are among them
	Streaming int32    // of these, answers that have begun and not ended, and tunnels
	Told      bool     // the load balancers are told to send it nothing new
	Pending   []string // live load balancers that have not taken that up, or have requests on it, or do not say
	Own       int32    // requests that its own sidecar knows of now
}

// podLoads are the pods that exist and are not going yet.
func (a *application) podLoads(w watch, now time.Time) []PodLoad {
	list := make([]PodLoad, 0, len(a.seen.Pods))
	for _, p := range a.seen.Pods {
		if p.Terminating || !p.Exists() {
			continue
		}
		l := PodLoad{Pod: p, State: a.pods[p.Name].state(p), Told: a.quiet.told.tells(p.Name)}
		for _, b := range w.live {
			t := a.of(b)
			on := t.on(p.Name)
			if a.seen.Address.Concurrency > 0 { // who lends the slots counts what the others have there
				l.InFlight = max(l.InFlight, on.InFlight)
			} else {
				l.InFlight += on.InFlight
			}
			l.Streaming += on.Streaming
			obeys := l.Told && a.quiet.obeyed(a.quiet.pods[p.Name], b.version, now)
			// Nobody can have sent anything to a pod without an address.
			if p.Address != "" && (!obeys || on.InFlight > 0 || t.InFlight > 0 && !t.PodsSaid) {
				l.Pending = append(l.Pending, b.name)
			}
		}
		for _, g := range []Gauge{InFlight, Queued} {
			if v, _, ok := a.pods[p.Name].fresh(g, now, anyValues); ok && v > 0 {
				l.Own += int32(min(v, 1e6))
			}
		}
		l.InFlight = max(l.InFlight, l.Own)
		list = append(list, l)
	}
	return list
}

// PodTraffic is what one load balancer has on one pod.
type PodTraffic struct {
	Pod                 string
	InFlight, Streaming int32
}

// on is what is on a pod.
func (r *reported) on(pod string) PodTraffic {
	for _, p := range r.Pods {
		if p.Pod == pod {
			return p
		}
	}
	return PodTraffic{Pod: pod}
}

// draining tells whether a pod was chosen to go.
func (a *application) draining(p Pod) bool { return a.quiet.told.tells(p.Name) }
