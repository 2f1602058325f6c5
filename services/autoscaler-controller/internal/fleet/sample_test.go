package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contest"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

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
		arrived, failures, rejected             float64
		contested                               bool
		woken                                   *WakesEnded
	}
	return fields{s.Waiting, s.Replicas, s.Ready, s.Pods, s.Maximum, s.Arrived, s.Failures, s.Rejected, s.Contested, s.Woken}
}

func TestSamples_CountWhatWasNotAnsweredSinceSomebodyLooks(t *testing.T) {
	f := leading(seen(1, pod("a")))
	counted := func(requests, failures, rejected int64) func(*Report) {
		return summed(requests, requests, 0, func(t *Traffic) { t.Failures, t.Rejected = failures, rejected })
	}
	traffic(f, "lb", 1, at(1), counted(100, 50, 20)) // of the time before nobody knows
	traffic(f, "lb", 2, at(2), counted(110, 53, 21))
	traffic(f, "other", 1, at(2), func(r *Report) { r.Applications = nil })
	traffic(f, "other", 2, at(3), counted(9, 4, 2)) // its last report did not name it: all is new
	if s := sampled(t, f, 3); s.Failures != 7 || s.Rejected != 3 || s.Arrived != 19 {
		t.Errorf("%+v", spelled(s))
	}
	traffic(f, "lb", 1, at(4), counted(1, 1, 1), func(r *Report) { r.StartedAt = at(3.5) }) // it restarted
	if s := sampled(t, f, 4); s.Failures < 7 || s.Rejected < 3 {
		t.Errorf("it is fewer after a restart: %+v", spelled(s))
	}
}

func TestSamples_AreContestedWhileSomebodyElseHasTheCount(t *testing.T) {
	o := seen(1, pod("a"))
	f := leading(o)
	if s := sampled(t, f, 1); s.Contested {
		t.Error("contested by nobody")
	}
	o.Owner = "the HorizontalPodAutoscaler fib"
	o.Spec.CPUThreshold, o.Spec.Rules = 700, []scaling.Rule{{Name: "night"}}
	f.Observe(o, at(2))
	if s := sampled(t, f, 3); !s.Contested {
		t.Error("not contested by another scaler")
	}
	want := Terms{[]string{"CPUThreshold", "Rule:night"}, "the HorizontalPodAutoscaler fib scales it too"}
	if got, known := f.Terms(key, at(3)); !known || !cmp.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	if _, known := f.Terms(Key{"other", "x"}, at(3)); known {
		t.Error("terms of an application that is not known")
	}
	o.Owner = ""
	f.Observe(o, at(4))
	for i := range 3 {
		f.Owned(key, 1, 2, at(float64(5+2*i)))
		o.Deployment.Replicas, o.Deployment.Manager = 1, "argocd"
		o.Deployment.Version++
		f.Observe(o, at(float64(6+2*i)))
	}
	if got, _ := f.Terms(key, at(11)); !strings.Contains(got.Contest, "argocd") || !sampled(t, f, 11).Contested {
		t.Errorf("%+v", got)
	}
	if s := sampled(t, f, 11+2*contest.Peace.Seconds()); s.Contested {
		t.Error("it is contested for ever")
	}
}

func TestSamples_WakeUpsCountOnceWhenTheyHaveEnded(t *testing.T) {
	f := leading(seen(0))
	f.apps[key].starts.add(2 * time.Second)
	told := func(second float64, id string, arrived, answered float64, outcome Outcome) {
		r := WakeReport{ID: id, ArrivedAt: at(arrived), Outcome: outcome}
		if outcome == Answered {
			r.FirstByte = at(answered)
		}
		wake(f, at(second), r)
	}
	told(1, "a", 1, 0, Pending)
	if s := sampled(t, f, 2); s.Woken != nil {
		t.Errorf("one that goes on has ended: %+v", s.Woken)
	}
	told(4, "a", 1, 3.9, Answered)
	told(5, "a", 1, 3.9, Answered) // the report came twice
	told(10, "b", 6, 9.5, Answered)
	told(20, "c", 11, 0, Failed)
	want := WakesEnded{3, []WakeEnded{{Took: 2900 * time.Millisecond}, {Took: 3500 * time.Millisecond, Late: true}, {Failed: true}}}
	s := sampled(t, f, 21)
	if diff := cmp.Diff(want, *s.Woken); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range 20 {
		told(float64(30+2*i), string(rune('d'+i)), float64(29+2*i), float64(30+2*i), Answered)
	}
	if now := sampled(t, f, 99); now.Woken.Total != 23 || len(now.Woken.Last) != keptEnded || !cmp.Equal(want, *s.Woken) {
		t.Errorf("%d in all, %d are held; what was given before is %+v", now.Woken.Total, len(now.Woken.Last), s.Woken)
	}
}

func TestSamples_AWakeUpForWhichNobodyWaitedIsNone(t *testing.T) {
	f := leading(seen(0))
	f.Called(key, 0, at(1))
	f.Scaled(key, 1, 2, at(1))
	o := seen(1, pod("a"))
	o.Deployment.Version = 2
	f.Observe(o, at(3))
	if s := sampled(t, f, 4); s.Woken != nil {
		t.Errorf("%+v", s.Woken)
	}
}
