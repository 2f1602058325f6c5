package dispatch

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
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
		for _, want := range []int{16, 32, 64, 128, 256, 504} { // of 1000 those that are left
			synctest.Wait()
			under := len(let)
			if under != want {
				t.Fatalf("%d are under way, want %d", under, want)
			}
			for range under {
				v := <-let
				v.Answered(200, time.Now())
				v.End(Outcome{Status: 200}, time.Now())
			}
		}
	})
}

func TestRamp_GoesOnWhenThePodAnswersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Waking, nil, pod("a", starting))
		let := make(chan *Visit, 100)
		for range 100 {
			w.waiter(t, t.Context(), let)
		}
		w.probes[0].Proven()
		for _, want := range []int{16, 32, 64, 100} {
			synctest.Wait()
			if len(let) != want {
				t.Fatalf("%d were let in, want %d", len(let), want)
			}
			time.Sleep(5 * time.Second)
		}
	})
}

func TestRamp_OneThatJoinsOthersGetsFewAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		least := func(r *routing.Route) { r.Algorithm = "LeastConnections" }
		w.follow(routing.Awake, least, pod("a", nil), pod("b", starting))
		for range 20 {
			w.arrive(t)
		}
		w.follow(routing.Awake, least, pod("a", nil), pod("b", nil), pod("c", nil))
		for range 20 {
			w.arrive(t)
		}
		for _, p := range w.Snapshots()[0].Pods {
			if p.Name != "a" && p.InFlight != 2 {
				t.Errorf("%s has come to a busy one, and got %d at once", p.Name, p.InFlight)
			}
			if want := map[bool]string{true: "Kubernetes calls it ready", false: "ramping up: at most 2 at a time, more with its answers"}[p.Name == "a"]; p.Why != want || !p.Usable {
				t.Errorf("%s: usable %v, %q, want %q", p.Name, p.Usable, p.Why, want)
			}
		}
	})
}

func TestEjection_FailingFastDoesNotAttract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, func(r *routing.Route) { r.Algorithm = "LeastConnections" }, pod("a", nil), pod("b", nil))
		failed, all := 0, 0
		for range 2000 { // b takes its time, a answers at once: 503
			v, _ := w.arrive(t)
			all++
			if v.Pod.Name == "a" {
				failed++
				v.Answered(503, time.Now())
				v.End(Outcome{Status: 503}, time.Now())
				continue
			}
			go func() {
				time.Sleep(20 * time.Millisecond)
				v.Answered(200, time.Now())
				v.End(Outcome{Status: 200}, time.Now())
			}()
			time.Sleep(10 * time.Millisecond)
		}
		if failed > all/50 {
			t.Errorf("%d of %d requests failed", failed, all)
		}
		time.Sleep(time.Minute)
	})
}

// Who waits for a pod that is full is let in as soon as one that has refused takes requests again.
func TestRest_RefusingFastDoesNotAttractAndWhoWaitsIsLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, func(r *routing.Route) { r.Algorithm = "LeastConnections" }, pod("a", nil), pod("b", nil))
		ends := func(v *Visit, status int) {
			v.Answered(status, time.Now())
			v.End(Outcome{Status: status}, time.Now())
		}
		refused, all := 0, 0
		for range 2000 { // b takes its time, a answers at once: 429
			v, _ := w.arrive(t)
			all++
			if v.Pod.Name == "a" {
				refused++
				ends(v, 429)
				if p := w.Snapshots()[0].Pods[0]; !p.Usable || !strings.HasPrefix(p.Why, "busy: it answered 429") {
					t.Fatalf("pod a: %+v", p)
				}
				continue
			}
			go func() {
				time.Sleep(20 * time.Millisecond)
				ends(v, 200)
			}()
			time.Sleep(10 * time.Millisecond)
		}
		if refused == 0 || refused > all/50 {
			t.Errorf("%d of %d requests were refused", refused, all)
		}
		time.Sleep(time.Minute)
	})
}

// Who waits because all others are full is let in when a pod that has refused is asked again.
func TestRest_WhoWaitsIsLetInWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, func(r *routing.Route) { r.Algorithm, r.Concurrency = "LeastConnections", 1 }, pod("a", nil), pod("b", nil))
		first, _ := w.arrive(t)
		second, waits := w.arrive(t)
		if waits || first.Pod == second.Pod {
			t.Fatal("there are two pods")
		}
		refuses := second.Pod
		second.Answered(429, time.Now())
		second.End(Outcome{Status: 429}, time.Now())
		let, began := make(chan *Visit, 1), time.Now()
		w.waiter(t, t.Context(), let)
		third := <-let
		if took := time.Since(began); third.Pod != refuses || took < 200*time.Millisecond || took > 300*time.Millisecond {
			t.Errorf("after %v it went to %s", took, third.Pod.Name)
		}
		for _, v := range []*Visit{first, third} {
			v.Answered(200, time.Now())
			v.End(Outcome{Status: 200}, time.Now())
		}
		time.Sleep(time.Minute)
	})
}

func TestEjection_HealthChecksProveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil), pod("b", nil))
		for range 40 {
			v, _ := w.arrive(t)
			status := 200
			if v.Pod.Name == "a" {
				status = 500
			}
			v.Answered(status, time.Now())
			v.End(Outcome{Status: status}, time.Now())
			check := &Visit{}
			if _, err := check.Arrive(w.app(), Arrival{Uncounted: true}, time.Now()); err != nil {
				t.Fatal(err)
			}
			check.Answered(200, time.Now())
			check.End(Outcome{Status: 200}, time.Now())
		}
		if p := w.Snapshots()[0].Pods[0]; p.Usable || p.Why != "ejected: it failed, and others did not; it is tried again soon" {
			t.Errorf("pod a: %+v", p)
		}
	})
}

func TestSession_WaitsForItsPodAndKeepsNobodyElseWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		one := func(r *routing.Route) { r.Algorithm, r.Concurrency = "ConsistentHash", 1 }
		w.follow(routing.Awake, one, pod("a", nil), pod("b", nil))
		pinned := func() (*Visit, bool) {
			v := &Visit{}
			waits, err := v.Arrive(w.app(), Arrival{Affinity: balance.Request{Pin: balance.Hash("a")}}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return v, waits
		}
		first, _ := pinned()
		second, waits := pinned()
		if first.Pod.Name != "a" || !waits {
			t.Fatalf("the first is at %s, the second waits %v", first.Pod.Name, waits)
		}
		other, waits := w.arrive(t)
		if waits {
			if err := other.Wait(nil); err != nil {
				t.Fatal(err)
			}
		}
		if other.Pod.Name != "b" {
			t.Errorf("the other one is at %s", other.Pod.Name)
		}
		first.End(Outcome{Status: 200}, time.Now())
		if err := second.Wait(nil); err != nil || second.Pod.Name != "a" {
			t.Errorf("the second is at %v: %v", second.Pod, err)
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

func TestDrain_HoldsForItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		drains := func(e *routing.Endpoint) { e.Draining, e.DrainLease = true, 10*time.Second }
		at := func() string {
			v, _ := w.arrive(t)
			defer v.End(Outcome{Status: 200}, time.Now())
			return v.Pod.Name
		}
		w.follow(routing.Awake, nil, pod("a", drains), pod("b", nil))
		for range 6 {
			if got := at(); got != "b" {
				t.Fatalf("sent to %s, which drains", got)
			}
		}
		if why := w.Snapshots()[0].Pods[0].Why; why != "draining: it gets nothing new while another pod serves" {
			t.Errorf("a: %s", why)
		}
		time.Sleep(9 * time.Second)
		w.follow(routing.Awake, nil, pod("a", drains), pod("b", nil)) // said again
		time.Sleep(9 * time.Second)
		if got := at() + at(); got != "bb" {
			t.Errorf("it was said again, and %s were chosen", got)
		}
		time.Sleep(time.Second)
		if got := at() + at(); got != "ab" && got != "ba" {
			t.Errorf("the lease is over, and %s were chosen", got)
		}
		w.follow(routing.Awake, nil, pod("a", nil), pod("b", drains))
		if got := at() + at(); got != "aa" {
			t.Errorf("now b drains, and %s were chosen", got)
		}
	})
}
