package fleet

import (
	"maps"
	"slices"
	"time"
)

// How long a load balancer's report counts.
const (
	FreshFor  = 10 * time.Second // after this a silent load balancer is stale: nothing sleeps
	ForgetFor = 60 * time.Second // after this it counts as gone, unless it says that it counts on less
	// LeastForgetFor is the least that a load balancer may count on.
	LeastForgetFor = 15 * time.Second
	// MaxBalancers bounds how many load balancers are listened to.
	MaxBalancers = 256
)

// Report is one load balancer's report of all its traffic.
type Report struct {
	Balancer      string
	StartedAt     time.Time
	Sequence      int64
	RoutesVersion string
	Address       string        // at which the other load balancers reach it; "": it is too old to have one
	ForgetFor     time.Duration // for so long it counts on not being taken for gone; 0: it does not say
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

// reported is what one load balancer has last reported of one application.
type reported struct {
	InFlight, Streaming, Waiting, Tunnels int32
	PodsSaid                              bool // else Pods says nothing
	LastActivity                          time.Time
	Requests, Failures, Rejected          int64
	Pods                                  []PodTraffic
	flow                                  flow
}

// take takes over what a report says.
func (r *reported) take(t *Traffic) {
	r.InFlight, r.Streaming, r.Waiting, r.Tunnels = t.InFlight, t.Streaming, t.Waiting, t.Tunnels
	r.LastActivity, r.Requests, r.Failures, r.Rejected = t.LastActivity, t.Requests, t.Failures, t.Rejected
	r.Pods, r.PodsSaid = t.Pods, t.PodsSaid
}

func (r *reported) busy() bool { return r.InFlight > 0 || r.Streaming > 0 || r.Waiting > 0 }

var nothing reported

// of is what a load balancer has last reported. It must not be altered.
func (a *application) of(b *balancer) *reported {
	if r, ok := a.traffic[b]; ok {
		return r
	}
	return &nothing
}

// Report takes a load balancer's report, or a part of one, and returns the applications to decide on
// anew: those of which a decision would now go by something else. An application that no part of a whole
// report lists has nothing in flight and nothing new; one that no part of a delta lists is as it was. Before
// the last part has come the load balancer counts as not heard since its last whole report.
//
// What it costs is in what the part names, what the load balancer is busy with, and the ways down that
// are under way.
func (f *Fleet) Report(r Report, now time.Time) ([]Key, Verdict) {
	f.roster.mu.Lock()
	defer f.roster.mu.Unlock()
	touched := f.expire(now)
	b, known := f.balancers[r.Balancer]
	switch {
	case !known && len(f.balancers) >= MaxBalancers:
		f.dropped = now
		return ordered(touched), TooMany
	case known && (r.StartedAt.Before(b.startedAt) || r.StartedAt.Equal(b.startedAt) && r.Sequence <= b.sequence):
		return ordered(touched), Old
	case r.Delta && !b.followed(r, f.epoch):
		return ordered(touched), Resync
	case !known:
		b = newBalancer(r.Balancer)
		f.balancers[r.Balancer] = b
	case r.StartedAt.After(b.startedAt):
		touched = append(touched, f.fold(b)...) // it restarted: its counters begin anew
	}
	follows := b.begin(r)
	named := f.take(r, b, now)
	if follows && !r.Continued {
		touched = append(touched, f.whole(r, b, now)...)
	} else if !known {
		b.awaited, b.last = true, now
	}
	if r.Leaving {
		touched = append(touched, f.fold(b)...)
		delete(f.balancers, r.Balancer)
	}
	f.publishBalancers(now)
	w := f.watching(now)
	for _, a := range named {
		a.mu.Lock()
		if a.heard(&f.roster, &w, now) {
			touched = append(touched, a)
		}
		a.mu.Unlock()
	}
	if !slices.Equal(w.live, f.watch.live) || !slices.Equal(w.stale, f.watch.stale) {
		touched = append(touched, f.members(f.awake)...) // who reports is for every way down
	}
	f.watch = w
	return ordered(touched), Taken
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

// begin takes note of a part. It tells whether the parts before it have come: one may have gone to another
// replica of the controller, and then this is not the whole.
func (b *balancer) begin(r Report) (follows bool) {
	begins := r.Part <= 1
	if begins || b.named == nil {
		b.named = map[*application]bool{}
	}
	follows = begins || r.Part == b.part+1 && r.StartedAt.Equal(b.startedAt)
	b.part, b.complete = 0, false
	if follows {
		b.part = max(r.Part, 1)
	}
	if begins && !r.Delta {
		b.behind = false
	}
	b.startedAt, b.sequence, b.address, b.forget = r.StartedAt, r.Sequence, r.Address, r.ForgetFor
	return follows
}

// take takes what a part says of applications.
func (f *Fleet) take(r Report, b *balancer, now time.Time) (touched []*application) {
	for i := range r.Applications {
		t := r.Applications[i]
		a := f.lock(t.Key)
		if a == nil {
			continue
		}
		b.named[a], b.reports[a] = t.busy(), true
		a.report(b, &t, now)
		a.mu.Unlock()
		touched = append(touched, a)
	}
	return touched
}

// whole ends a report: its last part has come.
func (f *Fleet) whole(r Report, b *balancer, now time.Time) (touched []*application) {
	if b.awaited || b.last.IsZero() { // whoever waits for a first report may go on
		touched = f.members(f.awake)
	}
	for a := range b.busy {
		if _, named := b.named[a]; named {
			continue
		}
		if r.Delta { // it goes on
			b.named[a] = true
			continue
		}
		a.silent(b, now)
		touched = append(touched, a)
	}
	if b.since.IsZero() || b.awaited {
		b.since = now
	}
	if now.Sub(f.heard) > FreshFor {
		f.watched = now
	}
	f.heard = now
	b.awaited, b.version, b.last, b.complete = false, r.RoutesVersion, now, true
	w := f.watching(now)
	for a := range b.named {
		a.mu.Lock()
		a.learn(w, now)
		a.mu.Unlock()
	}
	maps.DeleteFunc(b.named, func(_ *application, busy bool) bool { return !busy })
	b.busy, b.named = b.named, nil
	return append(touched, f.members(f.told)...) // this may be the answer that was waited for
}

// silent takes note that a whole report did not name the application.
func (a *application) silent(b *balancer, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t, ok := a.traffic[b]; ok {
		t.InFlight, t.Streaming, t.Waiting, t.Pods, t.LastActivity = 0, 0, 0, nil, now
		a.waits(now)
	}
}

// report takes the application's part. What is new in it came after the last whole report.
func (a *application) report(b *balancer, t *Traffic, now time.Time) {
	r, known := a.traffic[b]
	if !known {
		r = &reported{flow: a.firstFlow(b, t, now)}
		if a.arrived += r.flow.began; r.flow.began > 0 { // all that it counted is new
			a.failures += float64(t.Failures)
			a.rejected += float64(t.Rejected)
		}
		if a.traffic == nil {
			a.traffic = map[*balancer]*reported{}
		}
		a.traffic[b] = r
	} else {
		before := r.flow
		r.flow.advance(r.flow.sumsOf(t, now), t.Summed, now)
		a.arrived += r.flow.arrivedSince(&before)
		a.failures += float64(max(t.Failures-r.Failures, 0))
		a.rejected += float64(max(t.Rejected-r.Rejected, 0))
	}
	if t.LastActivity.After(now) || t.busy() || r.busy() || known && t.Requests > r.Requests {
		t.LastActivity = now // by our own clock: the balancer's may be off
	}
	t.LastActivity = later(t.LastActivity, r.LastActivity)
	a.latency = a.latency.plus(t.Latency, now)
	a.answers = a.answers.plus(t.Latency.upTo(b.last.Sub(a.changed)), now)
	for _, w := range t.WakeUps {
		a.join(w, now)
	}
	r.take(t)
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
