package fleet

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func about(got, want, share float64) bool {
	return math.Abs(got-want) <= share*math.Max(math.Abs(want), 1e-9)
}

// A steady flow is its rate over every window, however often and unevenly it is told.
func TestFlow_OfASteadyRateIsTheRate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		rate := sums{random.Float64() * 100, random.Float64() * 100, random.Float64() * 50}
		f := flow{}
		f.knows(sums{}, true, now)
		second := 0.0
		for range 1 + random.IntN(100) {
			second += 0.01 + random.ExpFloat64()
			f.advance(sums{}.plus(rate, second), true, at(second))
		}
		for i, m := range f.means(f.at) {
			if !about(m.arrivals, rate.arrivals, 1e-6) || !about(m.finished, rate.finished, 1e-6) || !about(m.occupied, rate.occupied, 1e-6) {
				t.Fatalf("over %v: %+v, want %+v", windows[i], m, rate)
			}
		}
	}
}

// How the telling of a span is cut up does not matter where the rate is the same.
func TestFlow_DecaysByTimeNotByReports(t *testing.T) {
	often, seldom := newFlow(now, at(60)), newFlow(now, at(60))
	for i := range 1000 {
		often.advance(sums{arrivals: float64(i + 1)}, true, at(60+float64(i+1)/100))
	}
	seldom.advance(sums{arrivals: 1000}, true, at(70))
	for i := range windows {
		if a, b := often.means(at(90))[i], seldom.means(at(90))[i]; !about(a.arrivals, b.arrivals, 1e-9) || a.arrivals <= 0 {
			t.Errorf("over %v: %v and %v", windows[i], a.arrivals, b.arrivals)
		}
	}
	if m := often.means(at(70 + 30))[0].arrivals; m > 100*math.Exp(-3) {
		t.Errorf("three windows after the end: %v/s", m)
	}
}

func TestFlow_OfCountersThatBeginAnewIsNoNegativeRate(t *testing.T) {
	f := newFlow(now, at(60))
	f.advance(sums{100, 100, 100}, true, at(61))
	f.advance(sums{5, 5, 5}, true, at(62))
	f.advance(sums{6, 6, 6}, true, at(62)) // at the same moment: with the next
	f.advance(sums{7, 7, 7}, true, at(63))
	for i, m := range f.means(at(63)) {
		if m.arrivals < 0 || m.arrivals > 100 || m.occupied < 0 {
			t.Errorf("over %v: %+v", windows[i], m)
		}
	}
}

// summed is a report of sums.
func summed(arrivals, finished int64, busy float64, change ...func(*Traffic)) func(*Report) {
	return func(r *Report) {
		a := &r.Applications[0]
		*a = Traffic{Key: key, Summed: true, Arrivals: arrivals, Requests: finished, BusySeconds: busy}
		for _, c := range change {
			c(a)
		}
	}
}

func TestDemand_AddsUpOverLoadBalancers(t *testing.T) {
	f := leading(seen(1, pod("a")))
	for second := range int64(120) {
		// a brings 10/s of 0.2 s, b 20/s of 0.1 s; a fifth of a's time are streams.
		traffic(f, "a", second+1, at(float64(second)), summed(10*second, 10*second, 1.6*float64(second), func(t *Traffic) { t.StreamSeconds, t.InFlight, t.Streaming = .4*float64(second), 4, 3 }))
		traffic(f, "b", second+1, at(float64(second)+.5), summed(20*second, 20*second, 2*float64(second), func(t *Traffic) { t.InFlight, t.Streaming, t.Tunnels, t.Waiting = 3, 2, 1, 7 }))
	}
	d := state(t, f, at(120)).Demand
	if !about(d.Arrivals.Short, 30, .01) || !about(d.Arrivals.Long, 30, .01) || !about(d.Concurrency.Short, 4, .01) || !about(d.Concurrency.Long, 4, .01) {
		t.Errorf("%+v", d)
	}
	if !about(d.ServiceTime.Seconds(), 4.0/30, .01) {
		t.Errorf("service time %v", d.ServiceTime)
	}
	if d.InFlight != 7 || d.Streaming != 5 || d.Tunnels != 1 || d.Waiting != 7 || d.Age != time.Second {
		t.Errorf("now: %+v", d)
	}
	// b falls silent: what it brought counts no more when its word is stale.
	for second := range int64(15) {
		traffic(f, "a", 200+second, at(120+float64(second)), summed(10*(120+second), 10*(120+second), 2*float64(120+second)))
	}
	if d := state(t, f, at(135)).Demand; !about(d.Arrivals.Short, 10, .02) || d.InFlight != 0 {
		t.Errorf("after b fell silent: %+v", d)
	}
}

func TestDemand_OfABurstAfterQuietIsOfTheWindow(t *testing.T) {
	f := leading(seen(1, pod("a")))
	for second := range int64(60) {
		traffic(f, "lb", second+1, at(float64(second)), func(r *Report) { r.Applications = nil })
	}
	traffic(f, "lb", 61, at(60), summed(100, 0, 0, func(t *Traffic) { t.Waiting = 100 }))
	d := state(t, f, at(60)).Demand
	if want := 100 * (1 - math.Exp(-.1)); !about(d.Arrivals.Short, want, .01) || !about(d.Arrivals.Long, 100*(1-math.Exp(-1.0/60)), .7) || d.ServiceTime != 0 {
		t.Errorf("%+v, want %v/s", d, want)
	}
}

func TestDemand_OfALoadBalancerThatIsHeardForTheFirstTimeIsNotItsWholePast(t *testing.T) {
	f := leading(seen(1, pod("a")))
	traffic(f, "lb", 1, at(1), summed(1_000_000, 1_000_000, 1e6))
	if d := state(t, f, at(1)).Demand; d.Arrivals != (scaling.Windows{}) || d.Concurrency != (scaling.Windows{}) {
		t.Errorf("at first: %+v", d)
	}
	traffic(f, "lb", 2, at(2), summed(1_000_010, 1_000_010, 1e6+2))
	if d := state(t, f, at(2)).Demand; !about(d.Arrivals.Short, 10, .01) || !about(d.Concurrency.Long, 2, .01) {
		t.Errorf("then: %+v", d)
	}
	// The application is taken out and comes back: the balancer counts on.
	f.Forget(key)
	f.Observe(seen(1, pod("a")), at(3))
	traffic(f, "lb", 3, at(4), summed(1_000_020, 1_000_020, 1e6+4))
	if d := state(t, f, at(4)).Demand; d.Arrivals != (scaling.Windows{}) {
		t.Errorf("after it came back: %+v", d)
	}
}

func TestDemand_OfAnOlderLoadBalancerIsMadeOfWhatItSees(t *testing.T) {
	f := leading(seen(1, pod("a")))
	older := func(n int64) func(*Report) {
		return func(r *Report) { r.Applications[0].Requests, r.Applications[0].InFlight = n, 3 }
	}
	for second := range int64(60) {
		traffic(f, "lb", second+1, at(float64(second)), older(6*second))
	}
	d := state(t, f, at(59)).Demand
	if !about(d.Arrivals.Short, 6, .01) || !about(d.Concurrency.Short, 3, .01) || !about(d.ServiceTime.Seconds(), .5, .01) {
		t.Errorf("%+v", d)
	}
	// It is replaced by a newer one of the same name that tells sums: no jump.
	traffic(f, "lb", 61, at(60), summed(10, 360, 5))
	traffic(f, "lb", 62, at(61), summed(16, 366, 8))
	if d := state(t, f, at(61)).Demand; !about(d.Arrivals.Short, 6, .05) || !about(d.Concurrency.Short, 3, .05) {
		t.Errorf("after the change: %+v", d)
	}
}

func TestDemand_HasWhatTheSidecarsSayWhileTheirWordIsFresh(t *testing.T) {
	f := leading(seen(2, pod("a"), pod("b")))
	say := func(name string, seconds, running, queued float64) {
		f.Measure([]Measurement{{Pod: PodName{key.Namespace, name}, Source: Sidecar, At: at(seconds), Values: map[Gauge]float64{InFlight: running, Queued: queued}}}, at(seconds))
	}
	say("a", 0, 2, 1)
	say("b", 5, 3, 0)
	if d := state(t, f, at(6)).Demand; d.Running != 5 || d.Queued != 1 || d.SidecarAge != 6*time.Second || !d.WorkingUntil.Equal(now.Add(SidecarFreshFor)) || !d.Working() {
		t.Errorf("%+v", d)
	}
	if d := state(t, f, at(21)).Demand; d.Running != 3 || d.Queued != 0 {
		t.Errorf("a's word is stale: %+v", d)
	}
	if d := state(t, f, at(30)).Demand; d.Working() || !d.WorkingUntil.IsZero() {
		t.Errorf("both are: %+v", d)
	}
	for second := 30.0; second < 30+StillFor.Seconds()+10; second += 5 {
		say("a", second, 1, 0)
		d := state(t, f, at(second)).Demand
		if want := second-30 < StillFor.Seconds(); d.Working() != want || d.Running != 1 {
			t.Fatalf("the same for %v s: %+v", second-30, d)
		}
	}
	say("a", 40+StillFor.Seconds(), 2, 0)
	if d := state(t, f, at(40+StillFor.Seconds())).Demand; !d.Working() {
		t.Errorf("it changed: %+v", d)
	}
}
