package control

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// A load balancer whose process has ended holds nothing up: what it had last is over, and nobody has to
// wait until something else is heard.
func TestBalancerEnded_IsDecidedOnAtOnce(t *testing.T) {
	within(t, 0, func(_ context.Context, w *world) {
		w.report(func(r *fleet.Report) { r.Applications[0].Waiting = 1 })
		synctest.Wait()
		w.loop.BalancerEnded("lb", time.Now())
		synctest.Wait()
		time.Sleep(2 * time.Second) // in which a report alone would have acted
		w.expect(t, "who waited has gone")
	})
}

func TestExpire_ComesByItself(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(w *world)
		before time.Duration // in which it is still there
		after  time.Duration
	}{
		"a silent one":         {func(*world) {}, 59 * time.Second, 61 * time.Second},
		"one that was deleted": {func(w *world) { w.loop.BalancerDeleted("lb") }, time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, 1, func(_ context.Context, w *world) {
				w.report(nil)
				c.do(w)
				began := time.Now()
				known := func() int {
					synctest.Wait()
					names, _ := w.loop.Fleet.Balancers()
					return len(names)
				}
				time.Sleep(c.before)
				if known() != 1 {
					t.Errorf("forgotten after %v", time.Since(began))
				}
				time.Sleep(c.after - c.before)
				if known() != 0 {
					t.Errorf("still there after %v", time.Since(began))
				}
			})
		})
	}
}

func TestExpiry_WaitsForTheLastMomentItWasGivenAndForNoneInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e expiry
		fired := make(chan time.Time, 9)
		fire := func() { fired <- time.Now() }
		began := time.Now()
		in := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
		e.set(in(time.Minute), fire)
		e.set(in(time.Second), fire)
		if !e.waits() {
			t.Error("it waits for nothing")
		}
		if at := <-fired; at.Sub(began) != time.Second {
			t.Errorf("after %v", at.Sub(began))
		}
		e.set(in(time.Second), fire)
		e.end()
		e.set(in(time.Second), fire)
		time.Sleep(time.Hour)
		if len(fired) > 0 || e.waits() {
			t.Error("it goes on after the end")
		}
	})
}

// Who asks later knows of more: what another one was told before does not replace it.
func TestExpiry_WhoAskedLaterIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e expiry
		fired := make(chan time.Time, 1)
		fire := func() { fired <- time.Now() }
		began := time.Now()
		e.set(func() time.Time {
			go e.set(func() time.Time { return began.Add(2 * time.Second) }, fire) // somebody is deleted meanwhile
			runtime.Gosched()
			return began.Add(time.Minute)
		}, fire)
		if at := <-fired; at.Sub(began) != 2*time.Second {
			t.Errorf("after %v", at.Sub(began))
		}
		e.end()
	})
}
