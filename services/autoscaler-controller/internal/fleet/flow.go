package fleet

import (
	"math"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// window is one of the windows over which demand is averaged.
var windows = [2]time.Duration{scaling.ShortWindow, scaling.LongWindow}

// sums are what a load balancer has counted of an application since it started.
type sums struct {
	arrivals float64
	finished float64 // on pods
	occupied float64 // the integral of requests on pods without tunnels, in seconds
}

func (s sums) less(other sums) sums {
	return sums{s.arrivals - other.arrivals, s.finished - other.finished, s.occupied - other.occupied}
}

func (s sums) plus(other sums, times float64) sums {
	return sums{s.arrivals + times*other.arrivals, s.finished + times*other.finished, s.occupied + times*other.occupied}
}

func (s sums) negative() bool { return s.arrivals < 0 || s.finished < 0 || s.occupied < 0 }

// flow is what one load balancer brings to an application per second, averaged over the windows. What
// was told at once of a span of time counts as spread over it; what is older counts less and less.
type flow struct {
	at      time.Time // until when it was told
	last    sums      // until then
	summed  bool      // last are sums that the balancer told, else they were made of what it saw each time
	began   float64   // arrivals that the first report told, and that are known to be new
	windows [len(windows)]average
}

// average is a mean that decays. Weight is how much of its window was looked at: 1 is all of it.
type average struct {
	sum    sums // per second
	weight float64
}

func (a average) advanced(rate sums, span, window time.Duration) average {
	keep := math.Exp(-span.Seconds() / window.Seconds())
	return average{sums{}.plus(a.sum, keep).plus(rate, 1-keep), a.weight*keep + 1 - keep}
}

func (a average) mean() sums {
	if a.weight <= 0 {
		return sums{}
	}
	return sums{}.plus(a.sum, 1/a.weight)
}

// newFlow begins with a load balancer that counts nothing before `at`, and is heard since `since`.
func newFlow(since, at time.Time) flow {
	f := flow{at: since, summed: true}
	f.quiet(at)
	return f
}

// knows takes the sums as they are, without knowing since when they came together.
func (f *flow) knows(s sums, summed bool, now time.Time) { f.at, f.last, f.summed = now, s, summed }

// advance takes the sums as they are now.
func (f *flow) advance(s sums, summed bool, now time.Time) {
	span, rate := now.Sub(f.at), s.less(f.last)
	if span <= 0 {
		return // it is told with the next report
	}
	if summed != f.summed || rate.negative() {
		f.knows(s, summed, now)
		return
	}
	rate = sums{}.plus(rate, 1/span.Seconds())
	for i, w := range windows {
		f.windows[i] = f.windows[i].advanced(rate, span, w)
	}
	f.knows(s, summed, now)
}

// arrivedSince is how many requests came since the flow was as it was before. Where it began to be counted
// anew nobody knows.
func (f *flow) arrivedSince(before *flow) float64 {
	if f.summed != before.summed {
		return 0
	}
	return max(f.last.arrivals-before.last.arrivals, 0)
}

// quiet notes that nothing came until a moment.
func (f *flow) quiet(until time.Time) { f.advance(f.last, f.summed, until) }

// means are what comes per second, over each window, as of a moment until when nothing came.
func (f flow) means(until time.Time) (m [len(windows)]sums) {
	f.quiet(until)
	for i := range windows {
		m[i] = f.windows[i].mean()
	}
	return m
}

// unknown tells whether nothing is known of what comes, as of a moment until when nothing came.
func (f *flow) unknown(until time.Time) bool {
	return f.windows[0].weight == 0 && !until.After(f.at)
}

// sumsOf are the sums of a report. An older load balancer tells none: what ended stands for what came,
// and what it had on its pods for the time since.
func (f *flow) sumsOf(t *Traffic, now time.Time) sums {
	if t.Summed {
		return sums{float64(t.Arrivals), float64(t.Requests - t.Rejected), t.BusySeconds + t.StreamSeconds}
	}
	occupied := f.last.occupied
	if !f.summed {
		occupied += float64(t.InFlight) * max(now.Sub(f.at), 0).Seconds()
	}
	return sums{float64(t.Requests), float64(t.Requests - t.Rejected), occupied}
}
