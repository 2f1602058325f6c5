package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

var measuredAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// measuredFleet has one application with two ready pods, a and b, and one that starts.
func measuredFleet() (*Fleet, Key) {
	k := Key{Namespace: "ns", Deployment: "app"}
	f := New("e")
	f.Observe(Observation{
		Key: k, Deployment: Deployment{Found: true, Replicas: 3},
		Pods: []Pod{{Name: "a", Ready: true, Started: true}, {Name: "b", Ready: true, Started: true}, {Name: "c"}},
	}, measuredAt)
	return f, k
}

func measured(pod string, s Source, at time.Time, values map[Gauge]float64) Measurement {
	return Measurement{Pod: PodName{"ns", pod}, Source: s, At: at, Values: values}
}

func (f *Fleet) mean(t *testing.T, k Key, m scaling.Metric, now time.Time) scaling.Mean {
	t.Helper()
	_, s, ok := f.State(k, "", now)
	if !ok {
		t.Fatal("the application is not known")
	}
	for _, mean := range s.Means {
		if mean.Metric == m {
			return mean
		}
	}
	t.Fatalf("%s is not listed", m)
	return scaling.Mean{}
}

func TestMeasure_TheMeanIsOverReadyPodsWithFreshValues(t *testing.T) {
	f, k := measuredFleet()
	touched := f.Measure([]Measurement{
		measured("a", Sidecar, measuredAt, map[Gauge]float64{CPUUsage: 100, ResponseTime: 50}),
		measured("c", Sidecar, measuredAt, map[Gauge]float64{CPUUsage: 9000}), // not ready: a load of a model is no load
		measured("stranger", Sidecar, measuredAt, map[Gauge]float64{CPUUsage: 1}),
	}, measuredAt)
	if len(touched) != 1 || touched[0] != k {
		t.Fatalf("touched %v", touched)
	}
	now := measuredAt.Add(time.Second)
	if diff := cmp.Diff(scaling.Mean{Metric: scaling.CPU, Value: 100, Pods: 1, Missing: 1, Age: time.Second}, f.mean(t, k, scaling.CPU, now)); diff != "" {
		t.Error(diff)
	}
	// A pod that answers nobody has no response time, and misses nothing.
	if diff := cmp.Diff(scaling.Mean{Metric: scaling.ResponseTime, Value: 50, Pods: 1, Age: time.Second}, f.mean(t, k, scaling.ResponseTime, now)); diff != "" {
		t.Error(diff)
	}
	f.Measure([]Measurement{measured("b", Kubernetes, measuredAt, map[Gauge]float64{CPUUsage: 300})}, now)
	if m := f.mean(t, k, scaling.CPU, now); m.Value != 200 || m.Pods != 2 || m.Missing != 0 {
		t.Errorf("got %+v", m)
	}
	later := measuredAt.Add(SidecarFreshFor + time.Second)
	if m := f.mean(t, k, scaling.CPU, later); m.Value != 300 || m.Pods != 1 || m.Missing != 1 {
		t.Errorf("a stale value counts: %+v", m)
	}
}

func TestMeasure_PrefersTheSidecarWhileItIsFresh(t *testing.T) {
	f, k := measuredFleet()
	f.Measure([]Measurement{
		measured("a", Kubernetes, measuredAt, map[Gauge]float64{CPUUsage: 1, MemoryUsage: 7}),
		measured("a", Sidecar, measuredAt, map[Gauge]float64{CPUUsage: 2}),
	}, measuredAt)
	source := func(now time.Time) Source {
		v, _ := f.View(k, now)
		return v.Pods[0].Use.Source
	}
	if got := source(measuredAt); got != Sidecar {
		t.Errorf("got %s", got)
	}
	if m := f.mean(t, k, scaling.Memory, measuredAt); m.Value != 7 || m.Pods != 1 {
		t.Errorf("what the sidecar does not measure is taken from Kubernetes: %+v", m)
	}
	if got := source(measuredAt.Add(SidecarFreshFor + time.Second)); got != Kubernetes {
		t.Errorf("after the sidecar fell silent: %s", got)
	}
}

func TestMeasure_AnOlderOneThatComesLateIsIgnored(t *testing.T) {
	f, k := measuredFleet()
	f.Measure([]Measurement{measured("a", Sidecar, measuredAt, map[Gauge]float64{CPUUsage: 100})}, measuredAt)
	touched := f.Measure([]Measurement{measured("a", Sidecar, measuredAt.Add(-time.Second), map[Gauge]float64{CPUUsage: 5})}, measuredAt)
	if m := f.mean(t, k, scaling.CPU, measuredAt); len(touched) != 0 || m.Value != 100 {
		t.Errorf("touched %v, mean %+v", touched, m)
	}
	// One from the future is one of now: a clock that is ahead does not keep later ones out.
	f.Measure([]Measurement{measured("a", Sidecar, measuredAt.Add(time.Hour), map[Gauge]float64{CPUUsage: 6})}, measuredAt.Add(time.Second))
	f.Measure([]Measurement{measured("a", Sidecar, measuredAt.Add(2*time.Second), map[Gauge]float64{CPUUsage: 7})}, measuredAt.Add(2*time.Second))
	if m := f.mean(t, k, scaling.CPU, measuredAt.Add(2*time.Second)); m.Value != 7 {
		t.Errorf("got %+v", m)
	}
}

func TestMeasure_RemembersTheLastStrangersAndForgetsPodsThatHaveGone(t *testing.T) {
	f, k := measuredFleet()
	for i := range 3 * keptStrangers {
		f.Measure([]Measurement{measured(fmt.Sprintf("p%d", i), Sidecar, measuredAt, map[Gauge]float64{CPUUsage: float64(i)})}, measuredAt)
	}
	if n, kept := len(f.strangers.last), len(f.strangers.ring); n != keptStrangers || kept != keptStrangers {
		t.Errorf("%d strangers are kept, %d in the ring, want %d", n, kept, keptStrangers)
	}
	last := fmt.Sprintf("p%d", 3*keptStrangers-1)
	f.Observe(Observation{
		Key: k, Deployment: Deployment{Found: true, Replicas: 3},
		Pods: []Pod{{Name: last, Ready: true, Started: true}, {Name: "p0", Ready: true, Started: true}},
	}, measuredAt)
	if m := f.mean(t, k, scaling.CPU, measuredAt); m.Value != 3*keptStrangers-1 || m.Missing != 1 {
		t.Errorf("what the last one said a moment before it was seen, and not what the first one said, counts: %+v", m)
	}
	if f.owner(PodName{"ns", "a"}) != nil || f.owner(PodName{"ns", last}) == nil {
		t.Error("it is not known whose pods they are")
	}
	f.Forget(k)
	if len(f.owners) != 0 {
		t.Errorf("after its application has gone %d owners are kept", len(f.owners))
	}
}

func TestMeans_TheLoadBalancersMeasureResponseTimesWhereNoSidecarDoes(t *testing.T) {
	f, k := measuredFleet()
	if m := f.mean(t, k, scaling.ResponseTime, measuredAt); m.Pods != 0 || m.Missing != 0 {
		t.Errorf("without answers: %+v", m)
	}
	answers := Sketch{Count: 4, SumMs: 100, Buckets: map[int32]int64{38: 4}}
	f.Report(Report{Balancer: "lb", StartedAt: measuredAt, Sequence: 1, Applications: []Traffic{{Key: k, Latency: answers}}}, measuredAt.Add(-time.Second))
	if m := f.mean(t, k, scaling.ResponseTime, measuredAt); m.Pods != 0 {
		t.Errorf("of a first report nobody knows since when it counts: %+v", m)
	}
	f.Report(Report{Balancer: "lb", StartedAt: measuredAt, Sequence: 2, Applications: []Traffic{{Key: k, Latency: answers}}}, measuredAt)
	if m := f.mean(t, k, scaling.ResponseTime, measuredAt); m.Value != 25 || m.Pods == 0 {
		t.Errorf("got %+v", m)
	}
	if m := f.mean(t, k, scaling.ResponseTime, measuredAt.Add(9*time.Second)); m.Value != 25 || m.Age != 9*time.Second {
		t.Errorf("nine seconds later: %+v", m)
	}
	if m := f.mean(t, k, scaling.ResponseTime, measuredAt.Add(30*time.Second)); m.Pods != 0 {
		t.Errorf("half a minute later: %+v", m)
	}
}

func TestUnmeasured_NamesNamespacesWithoutASidecarsWord(t *testing.T) {
	f, _ := measuredFleet()
	if diff := cmp.Diff([]string{"ns"}, f.Unmeasured(measuredAt)); diff != "" {
		t.Error(diff)
	}
	for _, pod := range []string{"a", "b"} {
		f.Measure([]Measurement{measured(pod, Sidecar, measuredAt, map[Gauge]float64{CPUUsage: 1})}, measuredAt)
	}
	if got := f.Unmeasured(measuredAt); len(got) != 0 {
		t.Errorf("all have sidecars, and got %v", got)
	}
}

// A sidecar that cannot see what the pod uses tells what the application's page shows; the rest is the
// Kubernetes metrics API's, again and again.
func TestUnmeasured_NamesThoseOfWhichASidecarOnlyKnowsThePage(t *testing.T) {
	f, _ := measuredFleet()
	for _, pod := range []string{"a", "b"} {
		f.Measure([]Measurement{measured(pod, Sidecar, measuredAt, map[Gauge]float64{InFlight: 1})}, measuredAt)
		f.Measure([]Measurement{measured(pod, Kubernetes, measuredAt, map[Gauge]float64{CPUUsage: 1})}, measuredAt)
	}
	if diff := cmp.Diff([]string{"ns"}, f.Unmeasured(measuredAt)); diff != "" {
		t.Error(diff)
	}
}
