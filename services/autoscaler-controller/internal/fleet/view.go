package fleet

import (
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// traffic sums up what the load balancers report of an application.
func (f *Fleet) traffic(a *application, now time.Time) scaling.Traffic {
	live, stale := f.split(now)
	t := scaling.Traffic{Live: live, QuietSince: f.quietSince(a, live, now), WaitingSince: a.waiting}
	t.IdleSince = a.idleSince(t.QuietSince)
	for _, name := range live {
		r := a.traffic[name]
		t.Waiting += r.Waiting
		t.InFlight += r.InFlight
		t.Streaming += r.Streaming
		t.Age = max(t.Age, now.Sub(f.balancers[name].last))
	}
	for _, name := range stale {
		b := f.balancers[name]
		t.Stale = append(t.Stale, scaling.Stale{Name: name, Age: now.Sub(b.last), Awaited: b.awaited, Alive: f.alive[name]})
		if gone := b.last.Add(ForgetFor); (!f.alive[name] || gone.After(now)) && (t.NextAge.IsZero() || gone.Before(t.NextAge)) {
			t.NextAge = gone
		}
	}
	if until := f.dropped.Add(ForgetFor); !f.dropped.IsZero() && now.Before(until) {
		t.Unheard = MaxBalancers
		if t.NextAge.IsZero() || until.Before(t.NextAge) {
			t.NextAge = until
		}
	}
	return t
}

// quietSince is since when the load balancers see nothing of the application: the latest of the last traffic, the last
// scale-up, and the moment since when traffic would have been seen: while no load balancer is heard,
// nobody looks. It is zero while this process does not lead.
//
// A controller that has just begun knows nothing of the time before. But a load balancer remembers
// when it last saw traffic, back to its own start: if every live one was there before us, their
// memory counts, and a restart of the controller does not begin the wait anew.
func (f *Fleet) quietSince(a *application, live []string, now time.Time) time.Time {
	if f.leading.IsZero() {
		return time.Time{}
	}
	known := f.leading
	if len(live) > 0 {
		var youngest time.Time
		for _, name := range live {
			youngest = later(youngest, f.balancers[name].startedAt)
		}
		if youngest.Before(known) {
			known = youngest
		}
	}
	since := later(later(later(known, f.watched), a.scaledUp), later(a.seen.Since, a.seen.Deployment.Created))
	return later(since, a.lastActivity(now))
}

// idleSince is since when the application is idle: the sidecars know of more than the load balancers.
func (a *application) idleSince(quiet time.Time) time.Time {
	if quiet.IsZero() {
		return quiet
	}
	return later(quiet, a.worked)
}

// lastActivity is the last sign of traffic; zero when none was seen.
func (a *application) lastActivity(now time.Time) time.Time {
	at := a.activity
	for _, t := range a.traffic {
		if t.busy() {
			return now
		}
		at = later(at, t.LastActivity)
	}
	return at
}

// Summary is the traffic of an application over all load balancers.
type Summary struct {
	InFlight, Streaming, Waiting int32
	Requests, Failures, Rejected int64
	Latency                      *Latency
	Balancers                    []scaling.Stale // every one that is known, with the age of its report
}

// PodView is a pod as people see it.
type PodView struct {
	Pod
	State PodState
	Use   *PodUse // nil: nothing was measured
}

// Alive tells whether the pod serves: it runs and is ready.
func (p PodView) Alive() bool { return p.State == PodReady }

// View is an application as people see it.
type View struct {
	Observation
	State         State
	Ready         int32
	ExpectedStart time.Duration
	StartingSince time.Time    // when the start under way began; zero: none is
	Blocked       Blocked      // why a start cannot succeed; the zero value: it can
	Mode          scaling.Mode // now, as the schedules have it
	Contest       string       // who sets the count back again and again, in words; "" is nobody
	Slept         int32        // pods asked for before it went to sleep; 0 is not known
	LastActivity  time.Time
	SleepsIn      time.Duration // how long until it sleeps if no traffic comes; negative: it will not
	Pods          []PodView
	Means         []scaling.Mean
	Traffic       Summary
	WakeUp        *WakeUp
	Demand        scaling.Demand
	Learned       Learned
}

// View shows an application; false when it is not known.
func (f *Fleet) View(k Key, now time.Time) (View, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire(now)
	a, ok := f.apps[k]
	if !ok {
		return View{}, false
	}
	v := View{
		Observation: a.seen, State: a.state(), Ready: a.ready(), ExpectedStart: a.starts.median(),
		StartingSince: a.startingSince(), Blocked: a.blocked, LastActivity: a.lastActivity(now), SleepsIn: -1, WakeUp: a.wakeUp(),
	}
	c, _ := a.contested(now)
	v.Contest, v.Slept = c.String(), a.sleptWith
	spec, _, _ := a.seen.Spec.At(now)
	v.Mode = spec.Mode
	for _, p := range a.seen.Pods {
		t := a.pods[p.Name]
		if t.ready.After(t.created) { // else it was ready at first sight
			p.ReadyAt = t.ready
		}
		v.Pods = append(v.Pods, PodView{Pod: p, State: t.state(p), Use: f.using(PodName{k.Namespace, p.Name}, now)})
	}
	v.Means = f.means(a, now)
	for name, b := range f.balancers {
		t := a.traffic[name]
		v.Traffic.InFlight += t.InFlight
		v.Traffic.Streaming += t.Streaming
		v.Traffic.Waiting += t.Waiting
		v.Traffic.Requests += t.Requests
		v.Traffic.Failures += t.Failures
		v.Traffic.Rejected += t.Rejected
		v.Traffic.Balancers = append(v.Traffic.Balancers, scaling.Stale{Name: name, Age: now.Sub(b.last)})
	}
	slices.SortFunc(v.Traffic.Balancers, func(a, b scaling.Stale) int { return strings.Compare(a.Name, b.Name) })
	if l, ok := a.latency.last(now); ok {
		v.Traffic.Latency = &l
	}
	live, _ := f.split(now)
	v.Demand, v.Learned = f.demand(a, live, now), a.tell()
	if idle := a.idleSince(f.quietSince(a, live, now)); !idle.IsZero() && v.State == Awake && spec.MinReplicas == 0 && spec.Mode.Acts() {
		v.SleepsIn = max(0, idle.Add(spec.IdleTime).Sub(now))
	}
	return v, true
}

// Reporting tells how many load balancers report, and how old the oldest report is.
func (f *Fleet) Reporting(now time.Time) (live, stale int, oldest time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire(now)
	for _, b := range f.balancers {
		age := now.Sub(b.last)
		oldest = max(oldest, age)
		if age <= FreshFor && !b.awaited {
			live++
		} else {
			stale++
		}
	}
	return live, stale, oldest
}

// States counts the applications by state.
func (f *Fleet) States() map[State]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := map[State]int{Asleep: 0, Waking: 0, Awake: 0, FallingAsleep: 0, Unknown: 0}
	for _, a := range f.apps {
		n[a.state()]++
	}
	return n
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Of are the applications that a CustomAutoscaler names, ordered.
func (f *Fleet) Of(namespace, autoscaler string) []Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []Key
	for k, a := range f.apps {
		if k.Namespace == namespace && a.seen.Autoscaler == autoscaler {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, Key.Compare)
	return keys
}

// group is what the other targets of an application's CustomAutoscaler do.
func (f *Fleet) group(a *application, now time.Time) scaling.Group {
	var g scaling.Group
	for _, k := range f.mates(a) {
		other := f.apps[k]
		t := f.traffic(other, now)
		if t.Waiting > 0 || t.InFlight > 0 || t.Streaming > 0 {
			g.Busy = k.Deployment
		}
		g.Awake = g.Awake || other.seen.Deployment.Replicas > 0
		if other.seen.Deployment.Replicas > 0 {
			g.IdleSince = later(g.IdleSince, t.IdleSince)
		}
	}
	return g
}

// mates are the other targets of an application's CustomAutoscaler, ordered.
func (f *Fleet) mates(a *application) []Key {
	var keys []Key
	for k, other := range f.apps {
		if k != a.seen.Key && k.Namespace == a.seen.Namespace && other.seen.Autoscaler == a.seen.Autoscaler {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, Key.Compare)
	return keys
}

// Mates are the applications that wake and sleep together with one; none where each does on its own.
func (f *Fleet) Mates(k Key) []Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.apps[k]
	if !ok || !a.seen.Spec.Together {
		return nil
	}
	return f.mates(a)
}
