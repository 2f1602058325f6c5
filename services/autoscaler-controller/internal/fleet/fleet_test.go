package fleet

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

var (
	now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key = Key{Namespace: "default", Deployment: "fib"}
	day = now.Add(-24 * time.Hour)
)

// at is a moment, in seconds after now.
func at(seconds float64) time.Time { return now.Add(time.Duration(seconds * float64(time.Second))) }

func seen(replicas int32, pods ...Pod) Observation {
	return Observation{
		Key: key, Autoscaler: "fib", Since: day,
		Spec:       scaling.Spec{MaxReplicas: 3, IdleTime: 90 * time.Second, WakeUpTimeout: 2 * time.Minute},
		Address:    Address{Prefix: "/fib", Algorithm: "RoundRobin"},
		Deployment: Deployment{Found: true, UID: "u", Version: 1, Created: day, Replicas: replicas},
		Pods:       pods,
	}
}

func pod(name string, change ...func(*Pod)) Pod {
	p := Pod{Name: name, Node: "n", Scheduled: true, Started: true, Ready: true, WasReady: true, Address: "10.0.0.1:80", Probeable: true, CreatedAt: day}
	for _, c := range change {
		c(&p)
	}
	return p
}

func notReady(p *Pod) { p.Ready, p.WasReady = false, false }

// leading is a fleet that leads since now, with one application at `replicas`.
func leading(o Observation) *Fleet {
	f := New("e")
	f.Lead(now, nil)
	f.Observe(o, now)
	return f
}

func traffic(f *Fleet, balancer string, sequence int64, moment time.Time, change ...func(*Report)) []Key {
	r := Report{Balancer: balancer, StartedAt: day, Sequence: sequence, Applications: []Traffic{{Key: key}}}
	for _, c := range change {
		c(&r)
	}
	keys, _ := f.Report(r, moment)
	return keys
}

func state(t *testing.T, f *Fleet, moment time.Time) scaling.State {
	t.Helper()
	_, s, ok := f.State(key, "", moment)
	if !ok {
		t.Fatal("the application is not known")
	}
	return s
}

func TestState_FollowsPodsAndReplicas(t *testing.T) {
	f := New("e")
	view := func() State { v, _ := f.View(key, now); return v.State }
	for _, step := range []struct {
		name string
		do   func()
		want State
	}{
		{"missing", func() { o := seen(0); o.Deployment = Deployment{}; f.Observe(o, now) }, Unknown},
		{"zero", func() { f.Observe(seen(0), now) }, Asleep},
		{"scaled, no pod", func() { f.Observe(seen(1), now) }, Waking},
		{"a pod that starts", func() { f.Observe(seen(1, pod("a", notReady)), now) }, Waking},
		{"ready by its endpoint", func() { f.Observe(seen(1, pod("a", notReady, func(p *Pod) { p.EndpointReady = true })), now) }, Awake},
		{"ready", func() { f.Observe(seen(1, pod("a")), now) }, Awake},
		{"not ready again, though the slice lags", func() { f.Observe(seen(1, pod("a", notReady, func(p *Pod) { p.EndpointReady = true })), now) }, Waking},
		{"falls asleep", func() { f.Observe(seen(1, pod("a")), now); f.Quiesce(key, Quiesce{All: true, Until: at(30)}) }, FallingAsleep},
		{"stays awake", func() { f.Quiesce(key, Quiesce{}) }, Awake},
		{"all terminating", func() { f.Observe(seen(1, pod("a", func(p *Pod) { p.Terminating = true })), now) }, Waking},
		{"asleep with a pod that goes", func() { f.Observe(seen(0, pod("a", func(p *Pod) { p.Terminating = true })), now) }, Asleep},
	} {
		step.do()
		if got := view(); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
}

func TestObserve_IgnoresNewsOlderThanOurOwnWrite(t *testing.T) {
	f := leading(seen(0))
	f.Scaled(key, 1, 5, now)
	stale := seen(0)
	stale.Deployment.Version = 4
	f.Observe(stale, now)
	if s := state(t, f, now); s.Replicas != 1 {
		t.Errorf("an old cache made it %d", s.Replicas)
	}
	fresh := seen(0)
	fresh.Deployment.Version = 6
	f.Observe(fresh, now)
	if s := state(t, f, now); s.Replicas != 0 {
		t.Errorf("newer news was ignored: %d", s.Replicas)
	}
	other := seen(3)
	other.Deployment.UID, other.Deployment.Version = "another", 2
	f.Observe(other, now)
	if s := state(t, f, now); s.Replicas != 3 {
		t.Errorf("a Deployment made anew was ignored: %d", s.Replicas)
	}
}

func TestIdleSince(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(f *Fleet)
		want time.Time
	}{
		"nobody reports: since this process leads": {func(*Fleet) {}, now},
		"the load balancer was there before and saw nothing": {func(f *Fleet) {
			traffic(f, "a", 1, now, func(r *Report) { r.StartedAt = at(-300) })
		}, at(-300)},
		"it remembers the last traffic": {func(f *Fleet) {
			traffic(f, "a", 1, now, func(r *Report) { r.StartedAt, r.Applications[0].LastActivity = at(-300), at(-20) })
		}, at(-20)},
		"of two the younger one limits what is known": {func(f *Fleet) {
			traffic(f, "a", 1, now, func(r *Report) { r.StartedAt = at(-300) })
			traffic(f, "b", 1, now, func(r *Report) { r.StartedAt = at(-30) })
		}, at(-30)},
		"one that came later takes nothing away": {func(f *Fleet) {
			traffic(f, "a", 1, now, func(r *Report) { r.StartedAt = at(-300) })
			traffic(f, "b", 1, at(5), func(r *Report) { r.StartedAt = at(5) })
		}, now},
		"scaled up by hand": {func(f *Fleet) {
			traffic(f, "a", 1, now)
			o := seen(2)
			o.Deployment.Version = 2
			f.Observe(o, at(3))
		}, at(3)},
		"named a moment ago": {func(f *Fleet) {
			traffic(f, "a", 1, now)
			o := seen(1)
			o.Since = at(-7)
			f.Observe(o, now)
		}, at(-7)},
		"a start call is traffic": {func(f *Fleet) { traffic(f, "a", 1, now); f.Called(key, 1, at(4)) }, at(4)},
		"a balancer's clock that is ahead": {func(f *Fleet) {
			traffic(f, "a", 1, at(1), func(r *Report) { r.Applications[0].LastActivity = at(1000) })
		}, at(1)},
		"a balancer's clock that is behind: its counter tells": {func(f *Fleet) {
			traffic(f, "a", 1, at(1), func(r *Report) { r.Applications[0].LastActivity = at(-900) })
			traffic(f, "a", 2, at(2), func(r *Report) { r.Applications[0].LastActivity, r.Applications[0].Requests = at(-899), 1 })
		}, at(2)},
		"what a balancer that left had seen": {func(f *Fleet) {
			traffic(f, "a", 1, at(1))
			traffic(f, "b", 1, at(1), func(r *Report) { r.Leaving, r.Applications[0].LastActivity = true, at(0.5) })
		}, at(0.5)},
	} {
		t.Run(name, func(t *testing.T) {
			f := leading(seen(1, pod("a")))
			c.do(f)
			if got := state(t, f, at(6)).Traffic.IdleSince; !got.Equal(c.want) {
				t.Errorf("idle since %v, want %v", got.Sub(now), c.want.Sub(now))
			}
		})
	}
	t.Run("a follower does not know", func(t *testing.T) {
		f := New("e")
		f.Observe(seen(1), now)
		traffic(f, "a", 1, now)
		if got := state(t, f, at(1)).Traffic.IdleSince; !got.IsZero() {
			t.Errorf("idle since %v", got)
		}
	})
	t.Run("busy is now", func(t *testing.T) {
		f := leading(seen(1, pod("a")))
		traffic(f, "a", 1, now, func(r *Report) { r.Applications[0].Streaming, r.Applications[0].InFlight = 1, 1 })
		if got := state(t, f, at(3)).Traffic.IdleSince; !got.Equal(at(3)) {
			t.Errorf("idle since %v", got)
		}
	})
}

func TestReport_FreshStaleForgotten(t *testing.T) {
	f := leading(seen(1, pod("a")))
	traffic(f, "a", 1, now, func(r *Report) { r.Applications[0].InFlight = 2 })
	for _, c := range []struct {
		after       float64
		live, stale int
		inFlight    int32
	}{{0, 1, 0, 2}, {10, 1, 0, 2}, {10.1, 0, 1, 0}, {59, 0, 1, 0}, {60, 0, 0, 0}} {
		s := state(t, f, at(c.after))
		if len(s.Traffic.Live) != c.live || len(s.Traffic.Stale) != c.stale || s.Traffic.InFlight != c.inFlight {
			t.Errorf("after %v s: %d live, %d stale, %d in flight", c.after, len(s.Traffic.Live), len(s.Traffic.Stale), s.Traffic.InFlight)
		}
		if c.stale == 1 && !s.Traffic.NextAge.Equal(at(60)) {
			t.Errorf("forgotten at %v", s.Traffic.NextAge.Sub(now))
		}
	}
}

func TestReport_OrderAndRestart(t *testing.T) {
	f := leading(seen(1, pod("a")))
	send := func(started time.Time, sequence int64, inFlight int32) Verdict {
		_, v := f.Report(Report{Balancer: "a", StartedAt: started, Sequence: sequence, Applications: []Traffic{{Key: key, InFlight: inFlight}}}, now)
		return v
	}
	for i, c := range []struct {
		started  time.Time
		sequence int64
		verdict  Verdict
		inFlight int32
	}{
		{day, 5, Taken, 1},
		{day, 4, Old, 1},
		{day, 5, Old, 1},
		{day, 6, Taken, 2},
		{now, 0, Taken, 3}, // it restarted
		{day, 9, Old, 3},   // the last words of the one before
	} {
		if v := send(c.started, c.sequence, int32(i)); v != c.verdict {
			t.Errorf("step %d: %s, want %s", i, v, c.verdict)
		}
	}
	if got := state(t, f, now).Traffic.InFlight; got != 4 {
		t.Errorf("in flight %d, want what the last taken report said", got)
	}
}

func TestReport_WhatIsNotListedIsQuiet(t *testing.T) {
	f := leading(seen(1, pod("a")))
	traffic(f, "a", 1, now, func(r *Report) { r.Applications[0].InFlight = 2 })
	touched := traffic(f, "a", 2, at(1), func(r *Report) { r.Applications = nil })
	if len(touched) != 1 || state(t, f, at(1)).Traffic.InFlight != 0 {
		t.Errorf("touched %v, %+v", touched, state(t, f, at(1)).Traffic)
	}
}

func TestReport_IsBounded(t *testing.T) {
	f := New("e")
	for i := range MaxBalancers {
		if _, v := f.Report(Report{Balancer: string(rune('a' + i)), StartedAt: day, Sequence: 1}, now); v != Taken {
			t.Fatalf("report %d: %s", i, v)
		}
	}
	if _, v := f.Report(Report{Balancer: "one too many", StartedAt: day, Sequence: 1}, now); v != TooMany {
		t.Errorf("got %s", v)
	}
	if _, v := f.Report(Report{Balancer: "one too many", StartedAt: day, Sequence: 1}, at(61)); v != Taken {
		t.Errorf("after the others were forgotten: %s", v)
	}
}

func TestSleep_WaitsForEveryLiveBalancer(t *testing.T) {
	f := leading(seen(1, pod("a")))
	traffic(f, "a", 1, now)
	traffic(f, "b", 1, now)
	f.Quiesce(key, Quiesce{All: true, Until: at(30)})
	u, _ := f.Routes("")
	pending := func() []string { s, _ := f.Snapshot(key, "", at(1)); return s.Pending }
	answer := func(name string, sequence int64, version string, inFlight, waiting int32) {
		traffic(f, name, sequence, at(0.5), func(r *Report) {
			r.RoutesVersion, r.Applications[0].InFlight, r.Applications[0].Waiting = version, inFlight, waiting
		})
	}
	check := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, pending()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("nobody has answered", "a", "b")
	answer("a", 2, "e.1", 0, 0)
	check("an older version does not count", "a", "b")
	answer("a", 3, "other.99", 0, 0)
	check("another life of the controller does not count", "a", "b")
	answer("a", 4, u.Version, 1, 0)
	check("one is still in flight", "a", "b")
	answer("a", 5, u.Version, 0, 0)
	check("a has answered", "b")
	answer("b", 2, u.Version, 0, 1)
	check("b holds a request", "b")
	traffic(f, "b", 3, at(0.6), func(r *Report) { r.Leaving = true })
	check("b has left")
}

func TestStarts_MedianOfTheLastTwenty(t *testing.T) {
	var s starts
	if s.median() != 0 {
		t.Error("a median of nothing")
	}
	for i := range 20 {
		s.add(time.Duration(i+1) * time.Second)
	}
	if got := s.median(); got != 10500*time.Millisecond {
		t.Errorf("got %v", got)
	}
	for range 20 {
		s.add(time.Minute)
	}
	if got := s.median(); got != time.Minute || len(s.took) != keptStarts {
		t.Errorf("got %v of %d", got, len(s.took))
	}
}

func TestLatency_LastMinute(t *testing.T) {
	var l *latency
	if _, ok := l.last(now); ok {
		t.Error("a latency of nothing")
	}
	l = l.plus(Sketch{Count: 100, SumMs: 100_000, Buckets: map[int32]int64{80: 100}}, at(-120)) // too old
	l = l.plus(Sketch{Count: 99, SumMs: 990, Buckets: map[int32]int64{24: 99}}, now)            // ≤ 8 ms
	l = l.plus(Sketch{Count: 1, SumMs: 1010, Buckets: map[int32]int64{80: 1}}, at(30))          // ≤ 1024 ms
	got, ok := l.last(at(31))
	if want := (Latency{Mean: 20, P50: 8, P95: 8, P99: 8}); !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, ok := l.last(at(75)); !ok || got.P50 != 1024 {
		t.Errorf("after the first slot ended: %+v %v", got, ok)
	}
	if _, ok := l.last(at(200)); ok {
		t.Error("the last minute is over")
	}
}

func TestWaitingSince_IsOneUnbrokenWait(t *testing.T) {
	f := leading(seen(0))
	waiting := func(sequence int64, n int32) {
		traffic(f, "a", sequence, at(float64(sequence)), func(r *Report) { r.Applications[0].Waiting = n })
	}
	for i, c := range []struct {
		waiting int32
		since   time.Time
	}{{0, time.Time{}}, {1, at(2)}, {5, at(2)}, {0, time.Time{}}, {1, at(5)}} {
		step := int64(i + 1)
		waiting(step, c.waiting)
		if got := state(t, f, at(float64(step))).Traffic.WaitingSince; !got.Equal(c.since) {
			t.Errorf("step %d: since %v, want %v", step, got, c.since)
		}
	}
}
