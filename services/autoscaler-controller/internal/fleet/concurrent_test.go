package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// whileWriting runs a check while others write until it has ended.
func whileWriting(check func(), writers ...func(step int)) {
	var ended atomic.Bool
	var running sync.WaitGroup
	for _, write := range writers {
		running.Go(func() {
			for step := 1; !ended.Load(); step++ {
				write(step)
			}
		})
	}
	check()
	ended.Store(true)
	running.Wait()
}

// A report says of every application that as many requests are in flight as its number, and that it
// follows the routes of that number. A snapshot has both of one report, never of two.
func TestSnapshot_HasOfEachReportAllOrNothing(t *testing.T) {
	f, keys := manyApplications(20)
	f.Lead(now, nil)
	f.Quiesce(keys[7], Quiesce{Pods: []string{"p"}, Until: at(3600)})
	u, _ := f.Routes("")
	told, _ := parseVersion(u.Version)
	report := func(step int) {
		r := Report{Balancer: "lb", StartedAt: day, Sequence: int64(step), RoutesVersion: fmt.Sprintf("e.%d", int(told.n)-2000+step)}
		for _, k := range keys {
			r.Applications = append(r.Applications, Traffic{Key: k, InFlight: int32(step)})
		}
		f.Report(r, at(float64(step)/1000))
	}
	report(1)
	whileWriting(func() {
		for range 3000 {
			s, ok := f.Snapshot(keys[7], "", at(5))
			if !ok {
				t.Fatal("it is not known")
			}
			// The load balancer has taken up what it was told from the report with the number 2000 on.
			follows := s.Scaling.Traffic.InFlight >= 2000
			pending := s.Loads[0].Pending != nil
			if s.Scaling.Traffic.InFlight == 0 || s.Scaling.Traffic.InFlight != s.Scaling.Demand.InFlight || !pending && !follows {
				t.Fatalf("%d in flight, %d in demand, pending %v", s.Scaling.Traffic.InFlight, s.Scaling.Demand.InFlight, s.Loads[0].Pending)
			}
			w := f.joined(keys[7])
			if w.version-int64(told.n)+2000 != int64(w.inFlight) {
				t.Fatalf("%d in flight were joined with the version %d", w.inFlight, w.version)
			}
		}
	}, func(step int) { report(step + 1) })
}

// joined is what a snapshot joins: what is in flight, and what the load balancer follows.
func (f *Fleet) joined(k Key) (j struct {
	inFlight int32
	version  int64
}) {
	f.roster.mu.RLock()
	defer f.roster.mu.RUnlock()
	a := f.lock(k)
	defer a.mu.Unlock()
	b := f.balancers["lb"]
	j.inFlight = a.of(b).InFlight
	j.version, _ = strconv.ParseInt(strings.TrimPrefix(b.version, "e."), 10, 64)
	return j
}

// Everything that may be called at a time is, for the race detector and for deadlocks. In the end all is
// as the last word of each has it.
func TestFleet_BearsAllOfItsCallersAtATime(t *testing.T) {
	f, keys := manyApplications(12)
	f.Lead(now, nil)
	moment := func(step int) time.Time { return at(float64(step) / 100) }
	writers := []func(int){
		func(step int) { f.Alive([]string{"lb-0", "lb-1"}[:step%3%2+1], moment(step)) },
		func(step int) { f.Expire(moment(step)) },
		func(step int) {
			f.BalancerDeleted("lb-2", moment(step))
			f.BalancerEnded("lb-1", moment(step), moment(step))
		},
		func(step int) { f.Configure(BalancerSettings{Version: uint64(step)}) },
		func(step int) {
			k := keys[step%len(keys)]
			f.Quiesce(k, Quiesce{All: step%2 == 0, Until: moment(step)})
			f.Called(k, 1, moment(step))
			f.Scaled(k, int32(step%3), uint64(step), moment(step))
			f.Owned(k, 0, 1, moment(step))
		},
		func(step int) {
			f.Measure([]Measurement{{Pod: PodName{"default", "p"}, Source: Sidecar, At: moment(step), Values: map[Gauge]float64{InFlight: 1}}}, moment(step))
		},
		func(step int) {
			if step%50 == 0 {
				f.Lead(moment(step), []string{"lb-9"})
			}
			if step%70 == 0 {
				f.Follow()
			}
		},
		func(step int) {
			k := keys[step%3] // these come and go
			if step%5 == 0 {
				f.Forget(k)
				return
			}
			o := seen(1, pod("p"))
			o.Key, o.Spec.Together, o.Autoscaler = k, step%2 == 0, fmt.Sprintf("ca-%d", step%4)
			f.Observe(o, moment(step))
		},
	}
	for i := range 3 {
		writers = append(writers, func(step int) {
			r := Report{Balancer: fmt.Sprintf("lb-%d", i), StartedAt: day, Sequence: int64(step), Epoch: "e", Delta: step%4 > 0, Leaving: step%97 == 0}
			for _, k := range keys {
				r.Applications = append(r.Applications, Traffic{Key: k, InFlight: int32(step % 5), Requests: int64(step)})
			}
			f.Report(r, moment(step))
		})
	}
	whileWriting(func() {
		for step := range 2 {
			for _, k := range f.Keys() {
				f.View(k, moment(step))
				f.Snapshot(k, "", moment(step))
				f.Mates(k)
			}
			f.States()
			f.Reporting(moment(step))
			f.Unmeasured(moment(step))
			f.Balancers()
			f.Of("default", "ca-1")
			f.Routes("")
		}
	}, writers...)
	f.agrees(t)
}

// agrees tells whether the index is as one that is made anew from the applications, and the routes are
// of those and of no others.
func (f *Fleet) agrees(t *testing.T) {
	t.Helper()
	states, by := map[State]int{Asleep: 0, Waking: 0, Awake: 0, FallingAsleep: 0, Unknown: 0}, map[Autoscaler][]Key{}
	awake, told, owners := 0, 0, 0
	for _, k := range f.Keys() {
		a := f.apps[k]
		states[a.state()]++
		of := Autoscaler{k.Namespace, a.seen.Autoscaler}
		by[of] = append(by[of], k)
		if _, is := f.awake[a]; is != (a.seen.Deployment.Replicas > 0) {
			t.Errorf("%s is among those that have pods: %v", k, is)
		} else if is {
			awake++
		}
		if _, is := f.told[a]; is == a.quiet.told.nothing() {
			t.Errorf("%s is among those whose pods get nothing new: %v", k, is)
		} else if is {
			told++
		}
		for name := range a.pods {
			if f.owner(PodName{k.Namespace, name}) == a {
				owners++
			}
		}
	}
	if len(f.awake) != awake || len(f.told) != told || len(f.owners) != owners {
		t.Errorf("%d awake, %d told, %d owners; want %d, %d, %d", len(f.awake), len(f.told), len(f.owners), awake, told, owners)
	}
	for state, n := range f.States() {
		if states[state] != n {
			t.Errorf("%d are %s, and %d are counted", states[state], state, n)
		}
	}
	for of, keys := range by {
		if got := f.Of(of.Namespace, of.Name); !slices.Equal(got, keys) {
			t.Errorf("of %v: %v, want %v", of, got, keys)
		}
	}
	if len(f.autoscaled) != len(by) {
		t.Errorf("%d CustomAutoscalers, want %d", len(f.autoscaled), len(by))
	}
	u, _ := f.Routes("")
	if len(u.Routes) != len(f.apps) {
		t.Errorf("%d routes of %d applications", len(u.Routes), len(f.apps))
	}
	for _, b := range f.balancers {
		for a := range b.reports {
			if f.apps[a.key] != a {
				t.Errorf("%s remembers %s, which was forgotten", b.name, a.key)
			}
		}
	}
}

// What is read is the same before and after what is over was dropped, and reading drops nothing.
func TestReads_ChangeNothing(t *testing.T) {
	f := leading(seen(1, pod("a")))
	traffic(f, "gone", 1, at(1), func(r *Report) { r.Applications[0].Waiting, r.Applications[0].InFlight = 2, 3 })
	traffic(f, "lb", 1, at(50))
	f.Lead(at(50), []string{"awaited"})
	for _, moment := range []time.Time{at(55), at(100), at(115), at(200)} {
		traffic(f, "lb", int64(moment.Sub(now)), moment.Add(-2*time.Second))
		before := fmt.Sprintf("%+v", f.counts())
		read := func() string {
			s, _ := f.Snapshot(key, "", moment)
			v, _ := f.View(key, moment)
			live, stale, oldest := f.Reporting(moment)
			return fmt.Sprintf("%+v %+v %+v %+v %d %d %v", s.Scaling.Traffic, s.Scaling.Demand, v.Traffic, v.LastActivity, live, stale, oldest)
		}
		first := read()
		if after := fmt.Sprintf("%+v", f.counts()); after != before {
			t.Errorf("to read has made of %s %s", before, after)
		}
		f.Expire(moment)
		if again := read(); again != first {
			t.Errorf("second %v: before Expire\n%s\nafter\n%s", moment.Sub(now).Seconds(), first, again)
		}
	}
}

func (f *Fleet) counts() any {
	a := f.apps[key]
	return []any{len(f.balancers), len(a.traffic), a.activity, a.waiting, a.contest, a.worked, f.routes.now()}
}

func TestExpire_SaysWhenTheNextOneIsDue(t *testing.T) {
	f := leading(seen(1, pod("a")))
	if _, next := f.Expire(now); !next.IsZero() {
		t.Errorf("nobody reports, and one is due at second %v", next.Sub(now).Seconds())
	}
	traffic(f, "a", 1, at(1))
	traffic(f, "b", 1, at(5), func(r *Report) { r.Applications[0].InFlight = 1 })
	for _, c := range []struct {
		do      func()
		now     float64
		next    float64 // 0: none
		touched int
	}{
		{nil, 6, 61, 0},
		{nil, 61, 65, 1},
		{func() { f.BalancerDeleted("b", at(62)) }, 62, 64, 0},
		{nil, 64, 0, 1},
		{func() { traffic(f, "c", 1, at(70)); f.Alive([]string{"c"}, at(70)) }, 200, 0, 0},
		{func() { f.Alive(nil, at(201)) }, 201, 0, 0},
	} {
		if c.do != nil {
			c.do()
		}
		touched, next := f.Expire(at(c.now))
		if len(touched) != c.touched || next.IsZero() != (c.next == 0) || c.next > 0 && !next.Equal(at(c.next)) {
			t.Errorf("second %v: touched %v, next at second %v; want %d, %v", c.now, touched, next.Sub(now).Seconds(), c.touched, c.next)
		}
	}
}

// What was told together of the same CustomAutoscaler's targets is found without a look at the others.
func TestOf_FollowsTheNamesOfCustomAutoscalers(t *testing.T) {
	f := New("e")
	put := func(deployment, autoscaler string) {
		o := seen(1)
		o.Key.Deployment, o.Autoscaler, o.Spec = deployment, autoscaler, scaling.Spec{Together: true}
		f.Observe(o, now)
	}
	put("b", "one")
	put("a", "one")
	put("c", "two")
	names := func(keys []Key) string {
		var list []string
		for _, k := range keys {
			list = append(list, k.Deployment)
		}
		return strings.Join(list, " ")
	}
	if got := names(f.Of("default", "one")) + "; " + names(f.Mates(Key{"default", "a"})); got != "a b; b" {
		t.Errorf("got %s", got)
	}
	put("a", "two")
	f.Forget(Key{"default", "b"})
	if got := names(f.Of("default", "one")) + "; " + names(f.Of("default", "two")) + "; " + names(f.Mates(Key{"default", "a"})); got != "; a c; c" {
		t.Errorf("got %s", got)
	}
	f.agrees(t)
}

// A pod's first word counts, whether it comes before the pod is seen or after it, or while it is.
func TestMeasure_WhatIsSaidWhileThePodBecomesKnownCounts(t *testing.T) {
	f := New("e")
	var running sync.WaitGroup
	const n = 500
	key := func(i int) Key { return Key{Namespace: "ns", Deployment: fmt.Sprint("app-", i)} }
	for i := range n {
		f.Observe(Observation{Key: key(i), Deployment: Deployment{Found: true, Replicas: 1}}, measuredAt)
	}
	for i := range n {
		pod := fmt.Sprint("pod-", i)
		both := make(chan struct{})
		running.Go(func() {
			<-both
			f.Observe(Observation{Key: key(i), Deployment: Deployment{Found: true, Replicas: 1}, Pods: []Pod{{Name: pod, Started: true}}}, measuredAt)
		})
		running.Go(func() {
			<-both
			f.Measure([]Measurement{measured(pod, Sidecar, measuredAt, map[Gauge]float64{CPUUsage: 1})}, measuredAt)
		})
		close(both)
		if i%keptStrangers == 0 {
			running.Wait() // else a stranger's place may be another one's by then
		}
	}
	running.Wait()
	lost := 0
	for i := range n {
		if v, ok := f.View(key(i), measuredAt); !ok || len(v.Pods) != 1 || v.Pods[0].Use == nil {
			lost++
		}
	}
	if lost > 0 || len(f.strangers.last) > 0 {
		t.Errorf("of %d pods the word was lost, %d are kept as strangers", lost, len(f.strangers.last))
	}
}
