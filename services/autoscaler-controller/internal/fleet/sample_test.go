package fleet

import "testing"

// sampled is the sample of the application.
func sampled(t *testing.T, f *Fleet, second float64) (s Sample) {
	t.Helper()
	n := 0
	f.Samples(at(second), func(one Sample) { s, n = one, n+1 })
	if n != 1 || s.Key != key {
		t.Fatalf("%d samples, the last of %v", n, s.Key)
	}
	return s
}

func TestSamples_AreOfPodsAndOfWhatLoadBalancersReport(t *testing.T) {
	f := leading(seen(3, pod("a"), pod("b", notReady), pod("c", func(p *Pod) { p.Terminating = true }), pod("d", func(p *Pod) { p.Failed, p.Ready = true, false })))
	traffic(f, "one", 1, at(1), summed(1000, 1000, 0, func(t *Traffic) { t.Waiting = 2 })) // of the time before nobody knows
	traffic(f, "two", 1, at(1), func(r *Report) { r.Applications = nil })
	traffic(f, "one", 2, at(2), summed(1010, 1000, 0, func(t *Traffic) { t.Waiting = 4 }))
	traffic(f, "two", 2, at(2), summed(7, 0, 0, func(t *Traffic) { t.Waiting = 3 }))
	want := Sample{Key: key, Replicas: 3, Ready: 1, Pods: 3, Maximum: 3, Waiting: 7, Arrived: 17}
	if got := sampled(t, f, 2); got != want {
		t.Errorf("%+v, want %+v", spelled(got), spelled(want))
	}
	if got := sampled(t, f, 2+FreshFor.Seconds()+1); got.Waiting != 0 || got.Arrived != 17 {
		t.Errorf("what stale load balancers reported waits no more, but came: %+v", got)
	}
}

func TestSamples_WhatArrivedOnlyGrows(t *testing.T) {
	f := leading(seen(1, pod("a")))
	traffic(f, "lb", 1, at(0), summed(50, 0, 0))
	last := 0.0
	for i, arrivals := range []int64{60, 55, 70, 70, 71} {
		change := summed(arrivals, 0, 0)
		if i == 4 { // of an older build, that tells no sums
			change = summed(arrivals, arrivals, 0, func(t *Traffic) { t.Summed = false })
		}
		traffic(f, "lb", int64(i+2), at(float64(i+1)), change)
		if got := sampled(t, f, float64(i+1)).Arrived; got < last {
			t.Errorf("after %d: %v, before %v", arrivals, got, last)
		} else {
			last = got
		}
	}
	if last != 10+15 {
		t.Errorf("%v arrived", last)
	}
	traffic(f, "lb", 1, at(9), summed(3, 0, 0), func(r *Report) { r.StartedAt = at(8) }) // it restarted
	traffic(f, "lb", 2, at(10), summed(5, 0, 0), func(r *Report) { r.StartedAt = at(8) })
	if got := sampled(t, f, 10).Arrived; got != last+2 && got != last+5 {
		t.Errorf("after a restart %v arrived, before %v", got, last)
	}
}

func TestSamples_OfWhatIsForgottenThereAreNone(t *testing.T) {
	f := leading(seen(1, pod("a")))
	f.Forget(key)
	f.Samples(at(1), func(s Sample) { t.Errorf("%+v", s) })
}

// spelled is a sample that is printed with all its fields.
func spelled(s Sample) any {
	type fields struct {
		waiting, replicas, ready, pods, maximum int32
		arrived                                 float64
	}
	return fields{s.Waiting, s.Replicas, s.Ready, s.Pods, s.Maximum, s.Arrived}
}
