package fleet

import (
	"maps"
	"slices"
	"time"
)

// How long a load balancer's report counts.
const (
	FreshFor  = 10 * time.Second // after this a silent load balancer is stale: nothing sleeps
	ForgetFor = 60 * time.Second // after this it counts as gone
	// MaxBalancers bounds how many load balancers are listened to.
	MaxBalancers = 256
)

// Report is one load balancer's report of all its traffic.
type Report struct {
	Balancer      string
	StartedAt     time.Time
	Sequence      int64
	RoutesVersion string
	Address       string // at which the other load balancers reach it; "": it is too old to have one
	Leaving       bool
	Epoch         string // of who took the report before
	Delta         bool   // applications that are not named are as that one knows them
	Part          int32  // of a report that comes in several, from 1; 0 is 1
	Continued     bool   // another part follows
	Applications  []Traffic
}

// Traffic is one application's part of a report.
type Traffic struct {
	Key
	InFlight, Streaming, Waiting int32
	LastActivity                 time.Time // zero: none since the load balancer started
	Requests, Failures, Rejected int64
	Latency                      Sketch
	WakeUps                      []WakeReport

	Summed                     bool // the load balancer tells what follows
	Tunnels                    int32
	Arrivals                   int64
	BusySeconds, StreamSeconds float64 // see the contract

	Pods     []PodTraffic // with requests on them; those that are not named have none
	PodsSaid bool         // else Pods says nothing
}

func (t Traffic) busy() bool { return t.InFlight > 0 || t.Streaming > 0 || t.Waiting > 0 }

// Verdict is what became of a report.
type Verdict string

// The verdicts.
const (
	Taken   Verdict = "taken"
	Old     Verdict = "old"      // a newer one had come before
	TooMany Verdict = "too-many" // more than MaxBalancers report
	Resync  Verdict = "resync"   // it builds on what is not known here: everything is to be told
)

// balancer is what is known of one load balancer.
type balancer struct {
	startedAt time.Time
	sequence  int64
	version   string
	address   string
	last      time.Time    // of its last whole report
	since     time.Time    // of its first one
	deleted   time.Time    // when its pod was; zero: it was not
	complete  bool         // no part of its last report is missing
	behind    bool         // it must tell everything: there are applications of which it told before they were known
	awaited   bool         // it reported to the leader before, and it has not reported here since `last`
	busy      map[Key]bool // applications with something waiting or in flight
	part      int32        // that came last of the report that is coming in
	named     map[Key]bool // by its parts; true: with something waiting or in flight
}

// Report takes a load balancer's report, or a part of one, and returns the applications to decide on
// anew. An application that no part lists has nothing in flight and nothing new; before the last
// part has come the load balancer counts as not heard since its last whole report.
func (f *Fleet) Report(r Report, now time.Time) ([]Key, Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	touched := f.expire(now)
	b, known := f.balancers[r.Balancer]
	switch {
	case !known && len(f.balancers) >= MaxBalancers:
		f.dropped = now
		return touched, TooMany
	case known && (r.StartedAt.Before(b.startedAt) || r.StartedAt.Equal(b.startedAt) && r.Sequence <= b.sequence):
		return touched, Old
	case r.Delta && !b.followed(r, f.epoch):
		return touched, Resync
	case !known:
		b = &balancer{busy: map[Key]bool{}}
		f.balancers[r.Balancer] = b
	case r.StartedAt.After(b.startedAt):
		touched = append(touched, f.fold(r.Balancer)...) // it restarted: its counters begin anew
	}
	begins := r.Part <= 1
	if begins || b.named == nil {
		b.named = map[Key]bool{}
	}
	// A part may have gone to another replica of the controller: then this is not the whole.
	follows := begins || r.Part == b.part+1 && r.StartedAt.Equal(b.startedAt)
	b.part, b.complete = 0, false
	if follows {
		b.part = max(r.Part, 1)
	}
	if begins && !r.Delta {
		b.behind = false
	}
	b.startedAt, b.sequence, b.address = r.StartedAt, r.Sequence, r.Address
	for _, t := range r.Applications {
		if a, ok := f.apps[t.Key]; ok {
			b.named[t.Key] = t.busy()
			f.flows(a, b, t, r.Balancer, now)
			a.report(r.Balancer, t, b.last, now)
			f.publish(a)
			touched = append(touched, t.Key)
		}
	}
	if follows && !r.Continued {
		touched = append(touched, f.whole(r, b, now)...)
	} else if !known {
		b.awaited, b.last = true, now
	}
	if r.Leaving {
		touched = append(touched, f.fold(r.Balancer)...)
		delete(f.balancers, r.Balancer)
	}
	f.publishBalancers(now)
	slices.SortFunc(touched, Key.Compare)
	return slices.Compact(touched), Taken
}

// followed tells whether a delta builds on what is known here.
func (b *balancer) followed(r Report, epoch string) bool {
	if b == nil || r.Epoch != epoch || !r.StartedAt.Equal(b.startedAt) || r.Sequence != b.sequence+1 || b.behind {
		return false
	}
	if r.Part <= 1 {
		return b.complete
	}
	return r.Part == b.part+1 && !b.complete
}

// whole ends a report: its last part has come.
func (f *Fleet) whole(r Report, b *balancer, now time.Time) (touched []Key) {
	if b.awaited || b.last.IsZero() { // whoever waits for a first report may go on
		touched = slices.Collect(maps.Keys(f.apps))
	}
	for k := range b.busy {
		_, named := b.named[k]
		a, ok := f.apps[k]
		if named || !ok {
			continue
		}
		if r.Delta { // it goes on
			b.named[k] = true
			continue
		}
		t := a.traffic[r.Balancer]
		t.InFlight, t.Streaming, t.Waiting, t.Pods = 0, 0, 0, nil
		t.LastActivity = now
		a.traffic[r.Balancer] = t
		a.waits(now)
		touched = append(touched, k)
	}
	if b.since.IsZero() || b.awaited {
		b.since = now
	}
	if now.Sub(f.heard) > FreshFor {
		f.watched = now
	}
	f.heard = now
	b.awaited, b.version, b.last, b.complete = false, r.RoutesVersion, now, true
	live, _ := f.split(now)
	for k := range b.named {
		if a, ok := f.apps[k]; ok {
			f.learn(a, live, now)
		}
	}
	maps.DeleteFunc(b.named, func(k Key, busy bool) bool { return !busy || f.apps[k] == nil })
	b.busy, b.named = b.named, map[Key]bool{}
	for k, a := range f.apps {
		if !a.quiet.told.nothing() {
			touched = append(touched, k) // this may be the answer that was waited for
		}
	}
	return touched
}

// report takes one application's part. What is new in it came after `since`.
func (a *application) report(name string, t Traffic, since, now time.Time) {
	before, known := a.traffic[name]
	if t.LastActivity.After(now) || t.busy() || before.busy() || known && t.Requests > before.Requests {
		t.LastActivity = now // by our own clock: the balancer's may be off
	}
	if before.LastActivity.After(t.LastActivity) {
		t.LastActivity = before.LastActivity
	}
	a.latency.add(t.Latency, now)
	a.answers.add(t.Latency.upTo(since.Sub(a.changed)), now)
	for _, w := range t.WakeUps {
		a.join(w, now)
	}
	t.Latency, t.WakeUps = Sketch{}, nil
	a.traffic[name] = t
	a.waits(now)
}

// waits takes note of since when requests wait.
func (a *application) waits(now time.Time) {
	for _, t := range a.traffic {
		if t.Waiting > 0 {
			mark(&a.waiting, true, now)
			return
		}
	}
	a.waiting = time.Time{}
}

// fold forgets a load balancer's traffic, but not when it was.
func (f *Fleet) fold(name string) []Key {
	var touched []Key
	for k, a := range f.apps {
		if t, ok := a.traffic[name]; ok {
			if t.LastActivity.After(a.activity) {
				a.activity = t.LastActivity
			}
			delete(a.traffic, name)
			delete(a.flows, name)
			a.waits(a.waiting)
			touched = append(touched, k)
		}
	}
	return touched
}

// expire forgets load balancers that have been silent for too long. One whose pod runs and is ready is
// not forgotten: it serves, and is only not heard.
func (f *Fleet) expire(now time.Time) []Key {
	var touched []Key
	for name, b := range f.balancers {
		if b.over(f.alive[name], now) {
			touched = append(touched, f.gone(name, b)...)
		}
	}
	return touched
}

// Alive takes the names of the load balancers whose pod runs and is ready, in the namespace that is
// looked at. It returns the applications to decide on anew.
func (f *Fleet) Alive(names []string, now time.Time) []Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alive = make(map[string]bool, len(names))
	for _, name := range names {
		f.alive[name] = true
	}
	f.expire(now)
	return slices.SortedFunc(maps.Keys(f.apps), Key.Compare)
}

// live and stale are the load balancers by name.
func (f *Fleet) split(now time.Time) (live, stale []string) {
	for name, b := range f.balancers {
		if now.Sub(b.last) <= FreshFor && !b.awaited {
			live = append(live, name)
		} else {
			stale = append(stale, name)
		}
	}
	slices.Sort(live)
	slices.Sort(stale)
	return live, stale
}
