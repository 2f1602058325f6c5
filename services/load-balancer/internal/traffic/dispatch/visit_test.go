package dispatch

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func TestWait_EndsWhenTheClientGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Waking, nil, pod("a", starting))
		v, waits := w.arrive(t)
		gone := make(chan struct{})
		time.AfterFunc(3*time.Second, func() { close(gone) })
		if err := v.Wait(gone); !waits || !errors.Is(err, ErrGone) || v.Waited != 3*time.Second {
			t.Errorf("%v after %v", err, v.Waited)
		}
		if s := w.Snapshots()[0]; s.Waiting != 0 {
			t.Errorf("%d wait", s.Waiting)
		}
		select {
		case <-w.starts[0].Ended():
		default:
			t.Error("the start is wanted although nobody waits")
		}
	})
}

func TestArrive_WithoutATraceTheWakeUpGetsAnIdOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(o *Options) { o.NewID = func() [16]byte { return [16]byte{0xcd, 15: 1} } })
		w.follow(routing.Asleep, nil)
		v := &Visit{}
		if waits, err := v.Arrive(w.app(), Arrival{}, time.Now()); !waits || err != nil {
			t.Fatal(waits, err)
		}
		if v.WakeUp != "cd000000000000000000000000000001" || w.starts[0].Trace == nil || w.starts[0].Trace.Err() != nil {
			t.Errorf("wake-up %s, trace %v", v.WakeUp, w.starts[0].Trace)
		}
	})
}

func uncountedArrival(app *Application) (*Visit, error) {
	v := &Visit{}
	_, err := v.Arrive(app, Arrival{Uncounted: true}, time.Now())
	return v, err
}

func TestUncounted_NeitherWakesNorKeepsAwake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		v, err := uncountedArrival(w.app())
		if !errors.Is(err, ErrAsleep) || len(w.starts) != 0 {
			t.Errorf("asleep: %v, %d start requests", err, len(w.starts))
		}
		v.End(Outcome{Status: 200}, time.Now())
		w.follow(routing.Awake, one, pod("a", nil))
		v, err = uncountedArrival(w.app())
		if err != nil || v.Pod.Name != "a" {
			t.Fatalf("awake: %v", err)
		}
		if _, err := uncountedArrival(w.app()); !errors.Is(err, ErrBusy) {
			t.Errorf("beyond the pod's limit: %v", err)
		}
		v.Touch(time.Now())
		v.Answered(200, time.Now())
		if _, traffic := w.Report(); len(traffic) != 0 {
			t.Errorf("reported %+v", traffic)
		}
		v.End(Outcome{Status: 200}, time.Now())
		if _, traffic := w.Report(); len(traffic) != 0 {
			t.Errorf("reported at the end %+v", traffic)
		}
		busy, _ := w.arrive(t)
		w.waits(t)
		if _, err := uncountedArrival(w.app()); !errors.Is(err, ErrBusy) {
			t.Errorf("before those who wait: %v", err)
		}
		busy.End(Outcome{Status: 200}, time.Now())
		if s := w.Snapshots()[0]; s.InFlight != 1 || s.Pods[0].InFlight != 1 || s.Streaming != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestUncounted_TriesAnotherPodAndThenNone(t *testing.T) {
	w := newWorld(nil)
	w.follow(routing.Awake, nil, pod("a", nil), pod("b", nil))
	v, err := uncountedArrival(w.app())
	if err != nil {
		t.Fatal(err)
	}
	first := v.Pod.Name
	if waits, err := v.Retry(true, time.Now()); waits || err != nil || v.Pod.Name == first {
		t.Fatalf("the second pod: %v, %v", waits, err)
	}
	if waits, err := v.Retry(true, time.Now()); waits || !errors.Is(err, ErrAsleep) || len(w.starts) != 0 {
		t.Errorf("no pod is left: %v, %v", waits, err)
	}
	v.End(Outcome{Status: 503}, time.Now())
	if _, err := uncountedArrival(w.app()); !errors.Is(err, ErrAsleep) {
		t.Errorf("the next one: %v", err)
	}
	w.Apply(routing.Update{Version: "2", Complete: true})
	if _, err := uncountedArrival(v.App); !errors.Is(err, ErrNoRoute) {
		t.Errorf("without a route: %v", err)
	}
}

func TestDetach_TheStartGoesOnUntilTheControllerHasHeardOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		v, waits := w.arrive(t)
		if !waits || !v.Detach(time.Now()) {
			t.Fatal("it could not leave")
		}
		v.End(Outcome{Status: 202}, time.Now())
		ended := func() bool {
			select {
			case <-w.starts[0].Ended():
				return true
			default:
				return false
			}
		}
		if ended() || len(w.woken) != 0 {
			t.Fatalf("the start was given up; ended: %+v", w.woken)
		}
		w.starts[0].Failed(errors.New("connection refused"))
		if ended() {
			t.Fatal("it was given up because the controller was away")
		}
		time.Sleep(time.Second)
		w.starts[0].Answered(Started{Scaled: true})
		if !ended() {
			t.Error("the controller is asked again although nobody waits")
		}
		w.follow(routing.Waking, nil, pod("a", starting))
		time.Sleep(time.Second)
		if p := w.app().Progress(time.Now()); p.Elapsed != 2*time.Second || p.Serving {
			t.Errorf("progress %+v", p)
		}
		w.probes[0].Proven()
		next, waits := w.arrive(t)
		if waits {
			t.Fatal("the pod is there")
		}
		next.Answered(200, time.Now())
		if len(w.woken) != 1 || w.woken[0].Outcome != WakeAnswered || w.woken[0].Pod != "a" {
			t.Errorf("wake-ups %+v", w.woken)
		}
	})
}

func TestDetach_IsOverWithTheBudgetAndFailsWithTheSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		v, _ := w.arrive(t)
		v.Detach(time.Now())
		v.End(Outcome{Status: 503}, time.Now())
		began := time.Now()
		<-w.starts[0].Ended()
		if took := time.Since(began); took != time.Minute {
			t.Errorf("the start was wanted for %v", took)
		}
		w.follow(routing.Asleep, nil)
		if len(w.woken) != 1 || w.woken[0].Outcome != WakeFailed {
			t.Errorf("wake-ups %+v", w.woken)
		}
	})
}

func TestDetach_WithAPodChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		v, _ := w.arrive(t)
		w.follow(routing.Awake, nil, pod("a", nil))
		if v.Detach(time.Now()) || v.Pod == nil {
			t.Error("a request that was let in has left")
		}
		if err := v.Wait(nil); err != nil {
			t.Error(err)
		}
	})
}

func TestRetry_WithoutBlameTriesTheSamePodAgain(t *testing.T) {
	w := newWorld(nil)
	w.follow(routing.Awake, nil, pod("a", nil))
	v, _ := w.arrive(t)
	if waits, err := v.Retry(false, time.Now()); waits || err != nil || v.Pod.Name != "a" || len(w.probes) != 0 {
		t.Errorf("waits %v, %v; %d checks", waits, err, len(w.probes))
	}
	if s := w.Snapshots()[0]; s.InFlight != 1 || s.Pods[0].InFlight != 1 {
		t.Errorf("counted %+v", s)
	}
}

func TestRetry_IsBoundedByNumberAndByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		var pods []routing.Endpoint
		for i := range 20 {
			pods = append(pods, pod(fmt.Sprintf("p%02d", i), nil))
		}
		w.follow(routing.Awake, nil, pods...)
		v, _ := w.arrive(t)
		var err error
		for err == nil {
			_, err = v.Retry(true, time.Now())
		}
		if !errors.Is(err, ErrTries) || v.Tries != maxTries {
			t.Errorf("%v after %d tries", err, v.Tries)
		}
		v.End(Outcome{Status: 503}, time.Now())
		v, _ = w.arrive(t)
		time.Sleep(time.Minute)
		if v.Left(time.Now()) != 0 {
			t.Errorf("%v are left", v.Left(time.Now()))
		}
		if _, err := v.Retry(true, time.Now()); !errors.Is(err, ErrTooLate) || v.Tries != 1 {
			t.Errorf("when its time is over: %v after %d tries", err, v.Tries)
		}
		v.End(Outcome{Status: 503}, time.Now())
		if _, traffic := w.Report(); traffic[0].InFlight != 0 || traffic[0].Rejected != 2 {
			t.Errorf("traffic %+v", traffic[0])
		}
	})
}

func TestEnd_AFaultOfOurOwnIsNotHeldAgainstThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil), pod("b", nil))
		for range 20 {
			v, _ := w.arrive(t)
			v.End(Outcome{Status: 503, Broken: true, Ours: true}, time.Now())
		}
		for _, p := range w.Snapshots()[0].Pods {
			if !p.Usable || p.InFlight != 0 {
				t.Errorf("pod %+v", p)
			}
		}
		if _, traffic := w.Report(); traffic[0].Times.Response() != nil || traffic[0].Rejected != 20 || traffic[0].Failures != 20 {
			t.Errorf("traffic %+v", traffic[0])
		}
	})
}

func TestChecks_OfAReadyPodThatRefusedAreAConnectionAlone(t *testing.T) {
	w := newWorld(nil)
	probe := routing.Probe{Port: 9, Path: "/ready", Timeout: time.Second}
	with := func(e *routing.Endpoint) { e.Probeable, e.Probes = true, []routing.Probe{probe} }
	w.follow(routing.Awake, nil, pod("a", with))
	v, _ := w.arrive(t)
	if waits, err := v.Retry(true, time.Now()); !waits || err != nil {
		t.Fatal(waits, err)
	}
	if probes, _, needed := w.probes[0].Checks(); len(probes) != 0 || !needed || !w.probes[0].MustConnect() {
		t.Errorf("checks %v, needed %v, connection %v", probes, needed, w.probes[0].MustConnect())
	}
	w.probes[0].Proven()
	if err := v.Wait(nil); err != nil || v.Pod.Name != "a" {
		t.Errorf("it does not come back: %v", err)
	}
	w.follow(routing.Waking, nil, pod("b", func(e *routing.Endpoint) { starting(e); with(e) }))
	if probes, _, needed := w.probes[1].Checks(); len(probes) != 1 || !needed {
		t.Errorf("a pod that starts: checks %v, needed %v", probes, needed)
	}
}

func TestRoute_IsReadWithoutTheLock(t *testing.T) {
	if r := (&Application{}).Route(); r == nil || r.Prefix != "" {
		t.Errorf("before the first route: %+v", r)
	}
	w := newWorld(nil)
	w.follow(routing.Awake, func(r *routing.Route) { r.StripPrefix = true }, pod("a", nil))
	w.app().mu.Lock()
	defer w.app().mu.Unlock()
	if r := w.app().Route(); !r.StripPrefix || r.Endpoints != nil {
		t.Errorf("%+v", r)
	}
}

func TestVisit_ToAFreePodAllocatesNothing(t *testing.T) {
	w := newWorld(nil)
	w.follow(routing.Awake, nil, pod("a", nil), pod("b", nil), pod("c", nil))
	app, now := w.app(), time.Now()
	var v Visit
	if n := testing.AllocsPerRun(100, func() { exchange(&v, app, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// exchange is a whole visit to a free pod.
func exchange(v *Visit, app *Application, now time.Time) {
	*v = Visit{}
	if waits, err := v.Arrive(app, Arrival{Bytes: 100}, now); waits || err != nil {
		panic(fmt.Sprint(waits, err))
	}
	v.Answered(200, now)
	v.End(Outcome{Status: 200}, now)
}

func BenchmarkVisit(b *testing.B) {
	for _, pods := range []int{1, 3, 50} {
		b.Run(fmt.Sprintf("%d pods", pods), func(b *testing.B) {
			w := newWorld(nil)
			endpoints := make([]routing.Endpoint, pods)
			for i := range endpoints {
				endpoints[i] = pod(fmt.Sprintf("p%02d", i), nil)
			}
			w.follow(routing.Awake, nil, endpoints...)
			app, now := w.app(), time.Now()
			var v Visit
			b.ReportAllocs()
			for b.Loop() {
				exchange(&v, app, now)
			}
		})
	}
}
