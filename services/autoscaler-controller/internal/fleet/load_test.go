package fleet

import (
	"testing"
	"time"
)

// modelServers is a fleet of one application whose pods are chosen by their load.
func modelServers(algorithm string, pods ...string) (*Fleet, Key) {
	f, k := New("e"), Key{"ns", "llm"}
	o := Observation{Key: k, Deployment: Deployment{Found: true, Replicas: 1}, Address: Address{Prefix: "/llm", Algorithm: algorithm}}
	for _, name := range pods {
		o.Pods = append(o.Pods, Pod{Name: name, Address: name + ":80", Ready: true, Started: true})
	}
	f.Observe(o, measuredAt)
	return f, k
}

// say has a pod's sidecar say how many requests run.
func (f *Fleet) say(pod string, running float64, now time.Time) {
	f.Measure([]Measurement{measured(pod, Sidecar, now, map[Gauge]float64{InFlight: running, Queued: 1, CacheUsage: .5})}, now)
}

// running is what the route says of the pods, -1 of one that it says nothing of.
func (f *Fleet) running() []float64 {
	u, _ := f.Routes("")
	var all []float64
	for _, e := range u.Routes[0].Endpoints {
		if e.Load == nil {
			all = append(all, -1)
			continue
		}
		all = append(all, *e.Load.Running)
	}
	return all
}

func equal(a []float64, b ...float64) bool {
	for i := range a {
		if len(a) != len(b) || a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestLoads_StandInTheRouteBesideThePod(t *testing.T) {
	f, _ := modelServers("ModelAware", "a", "b")
	f.say("a", 3, measuredAt)
	if got := f.running(); !equal(got, 3, -1) {
		t.Errorf("the route says %v", got)
	}
	u, _ := f.Routes("")
	load := u.Routes[0].Endpoints[0].Load
	if *load.Waiting != 1 || *load.CacheUsage != .5 || !load.At.Equal(measuredAt) {
		t.Errorf("load = %+v", load)
	}
	f.say("b", 4, measuredAt.Add(SidecarFreshFor+time.Second))
	if got := f.running(); !equal(got, -1, 4) {
		t.Errorf("what a says is old, and the route says %v", got)
	}
}

func TestLoads_AreToldToWhoGoesByThemAlone(t *testing.T) {
	for algorithm, told := range map[string]bool{"RoundRobin": false, "": false, "ModelAware": true} {
		f, _ := modelServers(algorithm, "a")
		before, _ := f.Routes("")
		f.say("a", 3, measuredAt)
		after, _ := f.Routes(before.Version)
		if (len(after.Routes) > 0) != told {
			t.Errorf("%q: %+v", algorithm, after)
		}
	}
	f, _ := modelServers("", "a")
	f.Configure(BalancerSettings{Policy: "model_aware"})
	if f.say("a", 3, measuredAt); !equal(f.running(), 3) {
		t.Error("the settings name the algorithm, and nothing is told")
	}
	f.Configure(BalancerSettings{Policy: "random"})
	if f.say("a", 3, measuredAt.Add(time.Second)); !equal(f.running(), -1) {
		t.Error("nobody goes by it any more")
	}
}

func TestLoads_AreToldSomeFiveTimesASecondForAllPodsTogether(t *testing.T) {
	names := make([]string, 50)
	for i := range names {
		names[i] = "pod-" + string(rune('A'+i))
	}
	f, _ := modelServers("ModelAware", names...)
	versions, last := 0, ""
	for step := range 1000 { // each says something twice a second, for ten seconds
		now := measuredAt.Add(time.Duration(step) * 10 * time.Millisecond)
		f.say(names[step%50], float64(step), now)
		if u, _ := f.Routes(""); u.Version != last {
			versions, last = versions+1, u.Version
		}
	}
	if versions < 40 || versions > 60 {
		t.Errorf("told %d times in ten seconds", versions)
	}
	oldest := 1000.0
	for _, n := range f.running() {
		oldest = min(oldest, n)
	}
	if oldest < 900 {
		t.Errorf("the oldest word is of step %v", oldest)
	}
}

func TestLoads_OfAFewPodsAreToldAtOnce(t *testing.T) {
	f, _ := modelServers("ModelAware", "a", "b", "c")
	for round := range 20 {
		now := measuredAt.Add(time.Duration(round) * 5 * time.Second)
		for i, pod := range []string{"a", "b", "c"} {
			n := float64(10*round + i)
			if f.say(pod, n, now.Add(time.Duration(i)*time.Millisecond)); f.running()[i] != n {
				t.Fatalf("round %d: what %s says is not told", round, pod)
			}
		}
	}
}

func TestLoads_KubernetesKnowsNothingOfThem(t *testing.T) {
	f, _ := modelServers("ModelAware", "a")
	f.Measure([]Measurement{measured("a", Kubernetes, measuredAt, map[Gauge]float64{CPUUsage: 5})}, measuredAt)
	if got := f.running(); !equal(got, -1) {
		t.Errorf("the route says %v", got)
	}
	f.Measure([]Measurement{measured("a", Sidecar, measuredAt, map[Gauge]float64{CPUUsage: 5})}, measuredAt)
	if got := f.running(); !equal(got, -1) {
		t.Errorf("a sidecar that sees no model server: the route says %v", got)
	}
}
