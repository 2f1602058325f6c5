package dispatch

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// chosen is an endpoint that was chosen to go, for so long.
func chosen(lease time.Duration) func(*routing.Endpoint) {
	return func(e *routing.Endpoint) { e.Draining, e.DrainLease = true, lease }
}

// onPods is what is reported of the pods of the one application.
func (w *world) onPods() []PodTraffic {
	_, traffic := w.Report()
	return traffic[0].Pods
}

func TestDrain_WhatIsOnThePodGoesOnAndNothingNewComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil), pod("b", nil))
		on := map[string]*Visit{}
		for range 2 {
			v, _ := w.arrive(t)
			on[v.Pod.Name] = v
		}
		on["b"].Answer = Stream
		on["b"].Answered(200, time.Now())
		w.reports = 0
		w.follow(routing.Awake, nil, pod("a", nil), pod("b", chosen(30*time.Second)))
		if w.reports != 1 {
			t.Errorf("%d reports at once, want 1", w.reports)
		}
		for range 20 {
			v, _ := w.arrive(t)
			if v.Pod.Name != "a" {
				t.Fatal("a pod that drains got a request")
			}
			v.End(Outcome{Status: 200}, time.Now())
		}
		if diff := cmp.Diff([]PodTraffic{{"a", 1, 0}, {"b", 1, 1}}, w.onPods()); diff != "" {
			t.Errorf("while it streams (-want +got):\n%s", diff)
		}
		w.reports = 0
		on["b"].End(Outcome{Status: 200}, time.Now())
		if w.reports != 1 {
			t.Errorf("that it is empty is reported %d times at once", w.reports)
		}
		if diff := cmp.Diff([]PodTraffic{{"a", 1, 0}}, w.onPods()); diff != "" {
			t.Errorf("after the stream (-want +got):\n%s", diff)
		}
		on["a"].End(Outcome{Status: 200}, time.Now())
		if got := w.onPods(); got == nil || len(got) != 0 {
			t.Errorf("nothing is on them: %#v", got)
		}
	})
}

func TestDrain_TheLastPodThatServesGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", func(e *routing.Endpoint) { e.Ready = false }), pod("b", chosen(time.Minute)))
		v, waits := w.arrive(t)
		if waits || v.Pod.Name != "b" {
			t.Errorf("waits %v", waits)
		}
	})
}

func TestSleep_LapsesWhenNobodySaysItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		asleep := func(r *routing.Route) { r.AsleepFor = 5 * time.Second }
		w.follow(routing.FallingAsleep, asleep, pod("a", nil))
		let := make(chan *Visit, 1)
		began := time.Now()
		w.waiter(t, t.Context(), let)
		v := <-let
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("a request waited %v for the end of the lease", waited)
		}
		v.End(Outcome{Status: 200}, time.Now())
		if v, waits := w.arrive(t); waits || v.Pod.Name != "a" {
			t.Error("after the lease it is awake")
		}
	})
}

func TestReport_OfManyPodsNamesThoseThatDrainFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		endpoints := make([]routing.Endpoint, reportedPods+50)
		for i := range endpoints {
			endpoints[i] = pod("p"+strconv.Itoa(10_000+i), nil)
		}
		w.follow(routing.Awake, nil, endpoints...)
		for range endpoints {
			w.arrive(t)
		}
		last := len(endpoints) - 1
		chosen(time.Minute)(&endpoints[last])
		w.follow(routing.Awake, nil, endpoints...)
		if got := w.onPods(); len(got) != reportedPods || got[0].Pod != endpoints[last].Pod {
			t.Errorf("%d pods, the first is %+v", len(got), got[0])
		}
	})
}

func TestReport_OfASinglePodSaysNothingOfIt(t *testing.T) {
	w := newWorld(nil)
	w.follow(routing.Awake, nil, pod("a", nil))
	w.arrive(t)
	if got := w.onPods(); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestDrain_GetsNothingWhileTheOthersAreFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		limited := func(r *routing.Route) { r.Concurrency = 1 }
		w.follow(routing.Awake, limited, pod("a", nil), pod("b", nil))
		first, _ := w.arrive(t)
		second, _ := w.arrive(t)
		draining := second.Pod.Name
		endpoints := map[string]routing.Endpoint{"a": pod("a", nil), "b": pod("b", nil)}
		e := endpoints[draining]
		chosen(30 * time.Second)(&e)
		endpoints[draining] = e
		w.follow(routing.Awake, limited, endpoints["a"], endpoints["b"])
		let := make(chan *Visit, 1)
		w.waiter(t, t.Context(), let)
		second.End(Outcome{Status: 200}, time.Now()) // the controller hears that it is empty, and takes it
		synctest.Wait()
		select {
		case v := <-let:
			t.Fatalf("a request went to %s, which was chosen to go and has become empty", v.Pod.Name)
		default:
		}
		first.End(Outcome{Status: 200}, time.Now())
		if v := <-let; v.Pod.Name == draining {
			t.Error("it went to the pod that drains")
		} else {
			v.End(Outcome{Status: 200}, time.Now())
		}
	})
}
