package dispatch

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func (w *world) retireFib(version string) {
	w.Apply(routing.Update{Version: version, Removed: []routing.Application{fib}})
}

func (w *world) known() bool {
	_, err := w.Match("x", "/fib")
	return err == nil
}

func TestRetire_WhoWaitsIsSentAwayAfterAGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		app, began := w.app(), time.Now()
		v, _ := w.arrive(t)
		w.retireFib("x.2")
		if !w.known() || w.Version() != "x.2" {
			t.Errorf("within the grace it is known: %v; version %s", w.known(), w.Version())
		}
		if err := v.Wait(t.Context().Done()); !errors.Is(err, ErrNoRoute) || time.Since(began) != removedGrace {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		v.End(Outcome{Status: 503}, time.Now())
		synctest.Wait()
		if w.known() {
			t.Error("the table still has it")
		}
		late := &Visit{}
		if _, err := late.Arrive(app, Arrival{}, time.Now()); !errors.Is(err, ErrNoRoute) {
			t.Errorf("a request that had matched just before: %v", err)
		}
		w.follow(routing.Awake, func(r *routing.Route) { r.Application.Deployment, r.Prefix = "other", "/other" })
		if len(w.gone) != 1 {
			t.Errorf("forgotten %v", w.gone)
		}
	})
}

func TestRetire_WhatNobodyUsesGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil))
		v, _ := w.arrive(t)
		v.End(Outcome{Status: 200}, time.Now())
		time.Sleep(removedGrace) // of virtual time
		w.retireFib("x.2")
		if w.known() || len(w.gone) != 1 {
			t.Errorf("known %v, forgotten %v", w.known(), w.gone)
		}
	})
}

func TestRetire_WhoeverUsedItAMomentAgoFindsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil))
		v, _ := w.arrive(t)
		v.End(Outcome{Status: 200}, time.Now())
		time.Sleep(time.Second)
		w.retireFib("x.2")
		again, waits := w.arrive(t)
		if waits || again.Pod.Name != "a" {
			t.Errorf("it waits: %v", waits)
		}
		again.End(Outcome{Status: 200}, time.Now())
		time.Sleep(removedGrace)
		synctest.Wait()
		if w.known() {
			t.Error("the grace has no end")
		}
	})
}

// K19: twenty wait, the object is deleted and made again under another name a second later.
func TestRetire_ClaimedAgainEverybodyGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		let := make(chan *Visit, 40)
		for range 20 {
			w.waiter(t, t.Context(), let)
		}
		w.retireFib("x.2")
		for range 20 { // nothing new is refused within it either
			w.waiter(t, t.Context(), let)
		}
		w.starts[0].Failed(&RefusedStartError{Detail: "no CustomAutoscaler names it"})
		time.Sleep(time.Second)
		w.follow(routing.Waking, nil)
		time.Sleep(2 * removedGrace)
		w.follow(routing.Awake, nil, pod("a", nil))
		for range 40 {
			select {
			case v := <-let:
				v.End(Outcome{Status: 200}, time.Now())
			case <-time.After(time.Second):
				t.Fatal("somebody was lost")
			}
		}
		if !w.known() || len(w.gone) != 0 {
			t.Errorf("known %v, forgotten %v", w.known(), w.gone)
		}
	})
}

func TestRetire_RemovedAgainAndAgainTheGraceBeginsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		began := time.Now()
		v, _ := w.arrive(t)
		for range 4 {
			w.Apply(routing.Update{Version: "x", Complete: true}) // as after the controller's restart
			time.Sleep(time.Second)
		}
		if err := v.Wait(nil); !errors.Is(err, ErrNoRoute) || time.Since(began) != removedGrace {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		v.End(Outcome{Status: 503}, time.Now())
	})
}

func TestRetire_AnotherOneMayHaveItsAddressAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		v, _ := w.arrive(t)
		successor := routing.Application{Namespace: "default", Deployment: "zeta"}
		lost := w.Apply(routing.Update{Version: "x.2", Complete: true, Routes: []routing.Route{{Application: successor, Prefix: "/fib", State: routing.Awake, WakeUpTimeout: time.Minute}}})
		match, err := w.Match("x", "/fib")
		if err != nil || match.Target.ID != successor || len(lost) != 0 {
			t.Errorf("%v, %v; lost %v", match.Target, err, lost)
		}
		if err := v.Wait(nil); !errors.Is(err, ErrNoRoute) {
			t.Errorf("who waited: %v", err)
		}
		v.End(Outcome{Status: 503}, time.Now())
	})
}

func TestRetire_AtTheEndOfTheProcessNobodyIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil))
		v, _ := w.arrive(t)
		w.Close()
		w.retireFib("x.2")
		if w.known() {
			t.Error("it is kept")
		}
		v.End(Outcome{Status: 200}, time.Now())
	})
}
