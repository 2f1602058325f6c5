package fleet

import (
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// traffic sums up what the load balancers report of an application.
func (r *roster) traffic(a *application, w watch, now time.Time) scaling.Traffic {
	t := scaling.Traffic{QuietSince: r.quietSince(a, w, now), WaitingSince: a.waitingSince(w)}
	t.IdleSince = a.idleSince(t.QuietSince)
	for _, b := range w.live {
		t.Live = append(t.Live, b.name)
		on := a.of(b)
		t.Waiting += on.Waiting
		t.InFlight += on.InFlight
		t.Streaming += on.Streaming
		t.Age = max(t.Age, now.Sub(b.last))
	}
	for _, b := range w.stale {
		alive := r.alive[b.name]
		t.Stale = append(t.Stale, scaling.Stale{Name: b.name, Age: now.Sub(b.last), Awaited: b.awaited, Alive: alive})
		if gone := b.last.Add(b.patience()); (!alive || gone.After(now)) && (t.NextAge.IsZero() || gone.Before(t.NextAge)) {
			t.NextAge = gone
		}
	}
	if until := r.dropped.Add(ForgetFor); !r.dropped.IsZero() && now.Before(until) {
		t.Unheard = MaxBalancers
		if t.NextAge.IsZero() || until.Before(t.NextAge) {
			t.NextAge = until
		}
	}
	return t
}

// quietSince is since when the load balancers see nothing of the application: the latest of the last
// traffic, the last scale-up, and the moment since when traffic would have been seen: while no load
// balancer is heard, nobody looks. It is zero while this process does not lead.
//
// A controller that has just begun knows nothing of the time before. But a load balancer remembers
// when it last saw traffic, back to its own start: if every live one was there before us, their
// memory counts, and a restart of the controller does not begin the wait anew.
func (r *roster) quietSince(a *application, w watch, now time.Time) time.Time {
	if r.leading.IsZero() {
		return time.Time{}
	}
	known := r.leading
	if len(w.live) > 0 {
		var youngest time.Time
		for _, b := range w.live {
			youngest = later(youngest, b.startedAt)
		}
		if youngest.Before(known) {
			known = youngest
		}
	}
	since := later(later(later(known, r.watched), a.scaledUp), later(a.seen.Since, a.seen.Deployment.Created))
	return later(since, a.lastActivity(w, now))
}

// idleSince is since when the application is idle: the sidecars know of more than the load balancers.
func (a *application) idleSince(quiet time.Time) time.Time {
	if quiet.IsZero() {
		return quiet
	}
	return later(quiet, a.worked)
}

// lastActivity is the last sign of traffic; zero when none was seen.
func (a *application) lastActivity(w watch, now time.Time) time.Time {
	at := a.activity
	for b, t := range a.traffic {
		if t.busy() && !slices.Contains(w.over, b) {
			return now
		}
		at = later(at, t.LastActivity)
	}
	for _, b := range w.over {
		if b.awaited {
			at = later(at, b.last)
		}
	}
	return at
}

// waitingSince is since when requests wait, as far as those report them that count.
func (a *application) waitingSince(w watch) time.Time {
	if len(w.over) == 0 || a.waiting.IsZero() {
		return a.waiting
	}
	for b, t := range a.traffic {
		if t.Waiting > 0 && !slices.Contains(w.over, b) {
			return a.waiting
		}
	}
	return time.Time{}
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
	f.roster.mu.RLock()
	defer f.roster.mu.RUnlock()
	a := f.lock(k)
	if a == nil {
		return View{}, false
	}
	defer a.mu.Unlock()
	w := f.watching(now)
	v := View{
		Observation: a.seen, State: a.state(), Ready: a.ready(), ExpectedStart: a.starts.median(),
		StartingSince: a.startingSince(), Blocked: a.blocked, LastActivity: a.lastActivity(w, now), SleepsIn: -1, WakeUp: a.wakeUp(),
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
		v.Pods = append(v.Pods, PodView{Pod: p, State: t.state(p), Use: t.using(now)})
	}
	v.Means = a.means(now)
	for _, b := range slices.Concat(w.live, w.stale) {
		t := a.of(b)
		v.Traffic.InFlight += t.InFlight
		v.Traffic.Streaming += t.Streaming
		v.Traffic.Waiting += t.Waiting
		v.Traffic.Requests += t.Requests
		v.Traffic.Failures += t.Failures
		v.Traffic.Rejected += t.Rejected
		v.Traffic.Balancers = append(v.Traffic.Balancers, scaling.Stale{Name: b.name, Age: now.Sub(b.last)})
	}
	slices.SortFunc(v.Traffic.Balancers, func(a, b scaling.Stale) int { return strings.Compare(a.Name, b.Name) })
	if l, ok := a.latency.last(now); ok {
		v.Traffic.Latency = &l
	}
	v.Demand, v.Learned = a.demand(w, now), a.tell()
	if idle := a.idleSince(f.quietSince(a, w, now)); !idle.IsZero() && v.State == Awake && spec.MinReplicas == 0 && spec.Mode.Acts() {
		v.SleepsIn = max(0, idle.Add(spec.IdleTime).Sub(now))
	}
	return v, true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
