package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/waitroom"
)

// world is a dispatcher whose ports are noted.
type world struct {
	*Dispatcher
	probes  []*Pod
	starts  []*StartRequest
	reports int
	woken   []WakeUp
	gone    []routing.Application
}

var fib = routing.Application{Namespace: "default", Deployment: "fib"}

func (w *world) Probe(p *Pod, _ <-chan struct{}) { w.probes = append(w.probes, p) }
func (w *world) Wake(n *StartRequest)            { w.starts = append(w.starts, n) }

func newWorld(change func(*Options)) *world {
	w := &world{}
	o := Options{
		RoomRequests: 1000, RoomBytes: 1 << 20, Now: time.Now, Intn: func(int) int { return 0 }, Chance: func() float64 { return .5 },
		Prober: w, Waker: w, ReportSoon: func() { w.reports++ },
		Woken:     func(_ routing.Application, wake WakeUp) { w.woken = append(w.woken, wake) },
		Forgotten: func(app routing.Application) { w.gone = append(w.gone, app) },
	}
	if change != nil {
		change(&o)
	}
	w.Dispatcher = New(o)
	return w
}

// follow applies a route of fib.
func (w *world) follow(state routing.State, change func(*routing.Route), endpoints ...routing.Endpoint) {
	r := routing.Route{Application: fib, Prefix: "/fib", Algorithm: "RoundRobin", State: state, WakeUpTimeout: time.Minute, Endpoints: endpoints}
	if change != nil {
		change(&r)
	}
	w.Apply(routing.Update{Version: fmt.Sprint(time.Now().UnixNano()), Complete: true, Routes: []routing.Route{r}})
}

func (w *world) app() *Application { return w.Applications()[0] }

func pod(name string, change func(*routing.Endpoint)) routing.Endpoint {
	e := routing.Endpoint{Pod: name, Address: name + ":1", Ready: true}
	if change != nil {
		change(&e)
	}
	return e
}

func starting(e *routing.Endpoint)    { e.Ready, e.Probeable = false, true }
func terminating(e *routing.Endpoint) { e.Terminating = true }

func (w *world) arrive(t *testing.T) (*Visit, bool) {
	t.Helper()
	v := &Visit{}
	waits, err := v.Arrive(w.app(), Arrival{Trace: t.Context(), TraceID: [16]byte{0xab}, Bytes: 100}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return v, waits
}

// waiter waits in the background, and says who was let in.
func (w *world) waiter(t *testing.T, ctx context.Context, let chan<- *Visit) *Visit { //nolint:revive // the test first
	t.Helper()
	v, waits := w.arrive(t)
	if !waits {
		t.Fatal("it did not have to wait")
	}
	go func() {
		if err := v.Wait(ctx.Done()); err == nil {
			let <- v
		}
	}()
	return v
}

func TestVisit_IsFIFOAndNobodyOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, func(r *routing.Route) { r.Concurrency = 1 }, pod("a", nil))
		busy, waits := w.arrive(t)
		if waits {
			t.Fatal("the only request waits")
		}
		let := make(chan *Visit, 10)
		order := make([]*Visit, 0, 10)
		for range 10 {
			order = append(order, w.waiter(t, t.Context(), let))
			synctest.Wait()
		}
		if len(w.starts) != 0 {
			t.Error("a start was called for although a pod runs")
		}
		for i, want := range order {
			busy.End(Outcome{Status: 200}, time.Now())
			if got := <-let; got != want {
				t.Fatalf("place %d: another one was let in", i)
			}
			if want.Pod.Name != "a" {
				t.Fatalf("pod = %v", want.Pod)
			}
			busy = want
		}
		busy.End(Outcome{Status: 200}, time.Now())
		if _, traffic := w.Report(); traffic[0].Requests != 11 || traffic[0].InFlight != 0 || traffic[0].Times.Response().Count != 11 {
			t.Errorf("traffic = %+v", traffic)
		}
	})
}

func TestVisit_WhoGivesUpLeavesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(o *Options) { o.RoomRequests = 2 })
		w.follow(routing.Asleep, nil)
		let := make(chan *Visit, 2)
		ctx, cancel := context.WithCancel(t.Context())
		w.waiter(t, ctx, let)
		second := w.waiter(t, t.Context(), let)
		third := &Visit{}
		if _, err := third.Arrive(w.app(), Arrival{}, time.Now()); !errors.Is(err, waitroom.ErrTooMany) {
			t.Fatalf("a third of two: %v", err)
		}
		third.End(Outcome{Status: 503}, time.Now())
		cancel()
		synctest.Wait()
		w.waiter(t, t.Context(), let)
		w.follow(routing.Awake, nil, pod("a", nil))
		if got := <-let; got != second && <-let != second {
			t.Error("who waited longest was not let in")
		}
		if _, traffic := w.Report(); traffic[0].Rejected != 1 || traffic[0].Failures != 1 {
			t.Errorf("traffic = %+v", traffic[0])
		}
	})
}

func TestVisit_InVainSaysWhatHinderedIt(t *testing.T) {
	for want, prepare := range map[string]func(*testing.T, *world){
		"": func(_ *testing.T, w *world) { w.follow(routing.Asleep, nil) },
		"its pod a: refused a connection: checked until it takes one": func(_ *testing.T, w *world) {
			w.follow(routing.Awake, nil, pod("a", nil))
			w.app().pods[0].refused()
		},
		"its pod a: starting: its readiness checks are repeated from here": func(_ *testing.T, w *world) { w.follow(routing.Waking, nil, pod("a", starting)) },
		"every pod works on as many requests as it may": func(t *testing.T, w *world) {
			t.Helper()
			w.follow(routing.Awake, func(r *routing.Route) { r.Concurrency = 1 }, pod("a", nil))
			w.arrive(t)
		},
		"the Deployment does not exist": func(_ *testing.T, w *world) {
			w.follow(routing.Waking, nil, pod("a", starting))
			w.app().trouble = plain("the Deployment does not exist")
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(nil)
			prepare(t, w)
			v, waits := w.arrive(t)
			if err := v.Wait(nil); !waits || !errors.Is(err, ErrTooLate) && !errors.Is(err, ErrBusy) || v.Trouble.Text != want || strings.Contains(v.Trouble.Nameless, "pod a") {
				t.Errorf("waits %v, %v: %q, want %q", waits, err, v.Trouble, want)
			}
		})
	}
}

func TestVisit_EndsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, func(r *routing.Route) { r.WakeUpTimeout, r.ExpectedStart = 30*time.Second, 12*time.Second })
		v, _ := w.arrive(t)
		began := time.Now()
		if err := v.Wait(t.Context().Done()); !errors.Is(err, ErrTooLate) || time.Since(began) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if v.RetryAfter(time.Now()) != time.Second || v.Waited != 30*time.Second {
			t.Errorf("retry after %v, waited %v", v.RetryAfter(time.Now()), v.Waited)
		}
		v.End(Outcome{Status: 504}, time.Now())
		if len(w.woken) != 1 || w.woken[0].Outcome != WakeFailed {
			t.Errorf("wake-ups = %+v, want one that failed", w.woken)
		}
		select {
		case <-w.starts[0].Ended():
		default:
			t.Error("a start is still called for when nobody waits")
		}
	})
}

func TestWake_IsToldPhaseByPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		let := make(chan *Visit, 2)
		first := w.waiter(t, t.Context(), let)
		arrived := time.Now()
		time.Sleep(time.Millisecond)
		w.waiter(t, t.Context(), let)
		if len(w.starts) != 1 || w.starts[0].Waiting() != 2 || w.reports != 1 {
			t.Fatalf("%d start requests, %d reports, want one of each", len(w.starts), w.reports)
		}
		w.starts[0].Called()
		time.Sleep(time.Millisecond)
		w.starts[0].Answered(Started{ExpectedStart: 9 * time.Second})
		w.follow(routing.Waking, nil, pod("a", starting))
		if len(w.probes) != 1 {
			t.Fatalf("%d pods are checked, want 1", len(w.probes))
		}
		time.Sleep(time.Second)
		w.probes[0].Proven()
		<-let
		<-let
		time.Sleep(time.Millisecond)
		first.Answered(200, time.Now())
		want := WakeUp{
			ID: "ab000000000000000000000000000000", ArrivedAt: arrived, StartCalledAt: arrived.Add(time.Millisecond),
			StartAnsweredAt: arrived.Add(2 * time.Millisecond), FirstProbeAt: arrived.Add(1002 * time.Millisecond),
			FirstByteAt: arrived.Add(1003 * time.Millisecond), Pod: "a", Waited: 2, Outcome: WakeAnswered, dirty: true, released: 2,
		}
		if len(w.woken) != 1 || w.woken[0] != want {
			t.Errorf("wake-up = %+v\nwant      %+v", w.woken, want)
		}
		_, traffic := w.Report()
		if len(traffic[0].WakeUps) != 1 {
			t.Fatalf("reported %+v", traffic[0].WakeUps)
		}
		w.Restore(traffic)
		if _, again := w.Report(); len(again[0].WakeUps) != 1 {
			t.Error("a report that was not delivered is lost")
		}
	})
}

func TestSleep_HoldsBackAndIsCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil))
		running, _ := w.arrive(t)
		w.reports = 0
		w.follow(routing.FallingAsleep, nil, pod("a", nil))
		if w.reports != 1 {
			t.Errorf("%d reports at once, want 1", w.reports)
		}
		let := make(chan *Visit, 1)
		w.waiter(t, t.Context(), let)
		if len(w.starts) != 1 || w.app().wake != nil {
			t.Error("a request calls the sleep off by a start call, and that is no wake-up")
		}
		running.End(Outcome{Status: 200}, time.Now())
		synctest.Wait()
		select {
		case <-let:
			t.Fatal("a request was sent to a pod of an application that falls asleep")
		default:
		}
		w.follow(routing.Awake, nil, pod("a", nil))
		v := <-let
		w.follow(routing.FallingAsleep, nil, pod("a", nil))
		w.reports = 0
		v.End(Outcome{Status: 200}, time.Now())
		if w.reports != 1 {
			t.Error("the last end of a quiet application is reported at once")
		}
	})
}

func TestRetry_GoesToAnotherPodBeforeAllWhoCameLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		one := func(r *routing.Route) { r.Concurrency = 1 }
		w.follow(routing.Awake, one, pod("a", nil))
		old, _ := w.arrive(t)
		let := make(chan *Visit, 2)
		w.waiter(t, t.Context(), let)
		synctest.Wait()
		waits, err := old.Retry(true, time.Now())
		if err != nil || !waits {
			t.Fatalf("waits %v, %v", waits, err)
		}
		if len(w.probes) != 1 || len(w.starts) != 1 {
			t.Fatalf("%d checks and %d start calls, want the pod in doubt and no other", len(w.probes), len(w.starts))
		}
		go func() {
			if old.Wait(t.Context().Done()) == nil {
				let <- old
			}
		}()
		w.follow(routing.Awake, one, pod("a", nil), pod("b", nil))
		if got := <-let; got != old || got.Pod.Name != "b" {
			t.Errorf("let in another one, or to pod %v", got.Pod.Name)
		}
		w.probes[0].Proven()
		if got := <-let; got.Pod.Name != "a" {
			t.Errorf("the other pod, once it takes connections, is not used: %v", got.Pod.Name)
		}
	})
}
