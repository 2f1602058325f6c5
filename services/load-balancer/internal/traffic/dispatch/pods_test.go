package dispatch

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func TestPod_IsUsableOnlyWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		usable := func(want bool, what string) {
			t.Helper()
			got := false
			for _, p := range w.Snapshots()[0].Pods {
				got = got || p.Usable
			}
			if got != want {
				t.Errorf("%s: usable = %v", what, got)
			}
		}
		w.follow(routing.Waking, nil, pod("a", starting))
		usable(false, "starting")
		w.probes[0].Proven()
		usable(true, "its own checks are good")
		w.follow(routing.Waking, nil, pod("a", starting))
		usable(true, "Kubernetes has not seen it yet")
		w.follow(routing.Awake, nil, pod("a", nil))
		usable(true, "ready")
		w.follow(routing.Awake, nil, pod("a", func(e *routing.Endpoint) { e.Ready = false }))
		usable(false, "ready no more")
		w.probes[0].Proven()
		usable(false, "a late check counts for nothing")
		w.follow(routing.Awake, nil, pod("a", terminating))
		usable(false, "terminating")
		if len(w.probes) != 1 {
			t.Errorf("checked %d times, want only while it started", len(w.probes))
		}
	})
}

func TestEjection_OfTheOnlyPodIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		broken := func(name string) {
			t.Helper()
			for range 100 {
				v, _ := w.arrive(t)
				hit := v.Pod.Name == name
				v.End(Outcome{Status: 502, Broken: hit}, time.Now())
				if hit && w.Snapshots()[0].Pods[0].Usable == false {
					return
				}
			}
		}
		w.follow(routing.Awake, nil, pod("a", nil), pod("b", nil))
		broken("a")
		for range 10 {
			if v, _ := w.arrive(t); v.Pod.Name != "b" {
				t.Fatal("an ejected pod got a request")
			}
		}
		w.follow(routing.Awake, nil, pod("a", nil))
		if v, waits := w.arrive(t); waits || v.Pod.Name != "a" {
			t.Error("the only pod must be tried, ejected or not")
		}
	})
}

func TestRamp_FullRoomDoesNotFallOnAPodAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Waking, nil, pod("a", starting))
		let := make(chan *Visit, 1000)
		for range 1000 {
			w.waiter(t, t.Context(), let)
		}
		w.probes[0].Proven()
		for _, want := range []int{16, 32, 64, 128, 256, 512, 1000} {
			synctest.Wait()
			if len(let) != want {
				t.Fatalf("%d were let in, want %d", len(let), want)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

func TestService_IsTheLastHopeWhileTheControllerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, func(r *routing.Route) { r.ServiceAddress = "svc:80" })
		let := make(chan *Visit, 1)
		w.waiter(t, t.Context(), let)
		if len(w.probes) != 0 {
			t.Error("the Service is checked although the controller is there")
		}
		w.ControllerAway(true)
		if len(w.probes) != 1 || w.probes[0].Address != "svc:80" || !w.probes[0].MustConnect() {
			t.Fatalf("checked: %+v", w.probes)
		}
		w.probes[0].Proven()
		v := <-let
		if v.Pod.Address != "svc:80" {
			t.Errorf("sent to %s", v.Pod.Address)
		}
		w.ControllerAway(false)
		if _, waits := w.arrive(t); !waits {
			t.Error("the Service is used although the controller is back")
		}
	})
}

func TestRoute_RemovedSendsAwayWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		app := w.app()
		v, _ := w.arrive(t)
		w.Apply(routing.Update{Version: "x.2", Removed: []routing.Application{fib}})
		if err := v.Wait(t.Context().Done()); !errors.Is(err, ErrNoRoute) {
			t.Errorf("error = %v", err)
		}
		v.End(Outcome{Status: 503}, time.Now())
		if _, err := w.Match("x", "/fib"); !errors.Is(err, routing.ErrNoRoute) {
			t.Errorf("the table still has it: %v", err)
		}
		late := &Visit{}
		if _, err := late.Arrive(app, Arrival{}, time.Now()); !errors.Is(err, ErrNoRoute) {
			t.Errorf("a request that had matched just before: %v", err)
		}
		if len(w.gone) != 1 || w.Version() != "x.2" {
			t.Errorf("forgotten %v, version %s", w.gone, w.Version())
		}
	})
}

func TestClose_SendsAwayWhoWaitsAndKeepsWhoRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		v, _ := w.arrive(t)
		w.Close()
		if err := v.Wait(t.Context().Done()); !errors.Is(err, ErrClosing) {
			t.Errorf("error = %v", err)
		}
		v = &Visit{}
		if _, err := v.Arrive(w.app(), Arrival{}, time.Now()); !errors.Is(err, ErrClosing) {
			t.Errorf("one who comes later: %v", err)
		}
		w.follow(routing.Awake, nil, pod("a", nil))
		if _, waits := w.arrive(t); waits {
			t.Error("with a free pod nobody is sent away")
		}
	})
}

func TestSketch_MergesAndCounts(t *testing.T) {
	var a, b Sketch
	a.add(time.Millisecond)
	b.add(8 * time.Millisecond)
	b.add(0)
	b.add(1000 * time.Hour)
	a.merge(&b)
	if a.Count != 4 || a.Buckets[0-LowestBucket] != 1 || a.Buckets[24-LowestBucket] != 1 || a.Buckets[0] != 1 || a.Buckets[sketchBuckets-1] != 1 {
		t.Errorf("sketch = %+v", a)
	}
}
