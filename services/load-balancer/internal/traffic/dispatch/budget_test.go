package dispatch

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// end is how a wait ended, and after which time.
type end struct {
	err   error
	after time.Duration
}

// waits waits in the background, from now on.
func (w *world) waits(t *testing.T) (*Visit, <-chan end) {
	t.Helper()
	v, waits := w.arrive(t)
	if !waits {
		t.Fatal("it did not have to wait")
	}
	ended, began := make(chan end, 1), time.Now()
	go func() { ended <- end{v.Wait(nil), time.Since(began)} }()
	return v, ended
}

func one(r *routing.Route) { r.Concurrency, r.WakeUpTimeout = 1, 2*time.Minute }

func TestBudget_OfAnEmptyApplicationIsByItsLearnedStart(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*routing.Route)
		want   time.Duration
	}{
		"nothing was learned":       {nil, time.Minute},
		"learned":                   {func(r *routing.Route) { r.ExpectedStart = 10 * time.Second }, 35 * time.Second},
		"given":                     {func(r *routing.Route) { r.ExpectedStart, r.StartTimeout = 10*time.Second, 50*time.Second }, 50 * time.Second},
		"the busy one's is another": {func(r *routing.Route) { r.BusyTimeout = time.Second }, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(nil)
			w.follow(routing.Asleep, c.change)
			_, ended := w.waits(t)
			w.starts[0].Answered(Started{})
			if got := <-ended; !errors.Is(got.err, ErrTooLate) || got.after != c.want {
				t.Errorf("%s: %v after %v, want %v", name, got.err, got.after, c.want)
			}
		})
	}
}

func TestBudget_OfABusyApplicationIsShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, one, pod("a", nil))
		w.arrive(t)
		v, ended := w.waits(t)
		if got := <-ended; !errors.Is(got.err, ErrBusy) || got.after != 30*time.Second {
			t.Errorf("%v after %v", got.err, got.after)
		}
		if v.RetryAfter(time.Now()) != time.Second {
			t.Errorf("retry after %v", v.RetryAfter(time.Now()))
		}
		if len(w.starts) != 0 {
			t.Error("a start was asked for")
		}
	})
}

func TestBudget_WhoWaitedForAStartIsNotSentAwayWhenTheFirstPodIsFull(t *testing.T) {
	for name, c := range map[string]struct {
		given, want time.Duration // want: of the second request, from its arrival
	}{
		"nothing is said of full pods": {0, 2 * time.Minute},
		"something is":                 {30 * time.Second, 70 * time.Second},
		"more than wakeUpTimeout is":   {time.Hour, 2 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			limited := func(r *routing.Route) { one(r); r.BusyTimeout = c.given }
			w := newWorld(nil)
			w.follow(routing.Asleep, limited)
			_, first := w.waits(t)
			synctest.Wait()
			_, second := w.waits(t)
			time.Sleep(40 * time.Second)
			w.follow(routing.Awake, limited, pod("a", nil))
			if got := <-first; got.err != nil || got.after != 40*time.Second {
				t.Errorf("%s: the first: %v after %v", name, got.err, got.after)
			}
			if got := <-second; !errors.Is(got.err, ErrBusy) || got.after != c.want {
				t.Errorf("%s: the second: %v after %v, want %v", name, got.err, got.after, c.want)
			}
		})
	}
}

// Whoever comes while others still wait for what was started waits behind them: nobody is sent away before who came first.
func TestBudget_WhoComesBehindThoseThatWaitedForAStartIsNotSentAwayBeforeThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, one)
		_, first := w.waits(t)
		synctest.Wait()
		_, second := w.waits(t)
		time.Sleep(10 * time.Second)
		w.follow(routing.Awake, one, pod("a", nil))
		if got := <-first; got.err != nil {
			t.Fatal(got.err)
		}
		time.Sleep(5 * time.Second)
		_, third := w.waits(t)
		if got := <-second; !errors.Is(got.err, ErrBusy) || got.after != 2*time.Minute {
			t.Errorf("the second: %v after %v", got.err, got.after)
		}
		// The one who woke it has gone: its time is over by its own budget, which began as it came.
		if got := <-third; !errors.Is(got.err, ErrBusy) || got.after != 105*time.Second {
			t.Errorf("the third: %v after %v", got.err, got.after)
		}
	})
}

func TestBudget_TurnsBackWhenTheOnlyPodGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, one, pod("a", nil))
		w.arrive(t)
		_, ended := w.waits(t)
		time.Sleep(20 * time.Second)
		w.follow(routing.Waking, one)
		if got := <-ended; !errors.Is(got.err, ErrTooLate) || got.after != 2*time.Minute {
			t.Errorf("%v after %v, want wakeUpTimeout over all", got.err, got.after)
		}
	})
}

func TestBudget_FollowsWhatAStartCallTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, one)
		_, ended := w.waits(t)
		time.Sleep(time.Second)
		w.starts[0].Answered(Started{ExpectedStart: 6 * time.Second})
		if got := <-ended; !errors.Is(got.err, ErrTooLate) || got.after != 22*time.Second {
			t.Errorf("%v after %v, want 3.5 times as long as a start from the controller's answer on", got.err, got.after)
		}
	})
}

func TestBudget_WhatWasLearnedDoesNotCountWhileTheControllerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		learned := func(r *routing.Route) { r.ExpectedStart = 2 * time.Second }
		w.follow(routing.Asleep, learned)
		_, ended := w.waits(t)
		w.starts[0].Failed(errors.New("connection refused"))
		time.Sleep(20 * time.Second)
		w.starts[0].Answered(Started{})
		time.Sleep(2 * time.Second)
		w.starts[0].Answered(Started{}) // it is asked again and again
		w.follow(routing.Waking, learned)
		if got := <-ended; !errors.Is(got.err, ErrTooLate) || got.after != 35*time.Second {
			t.Errorf("%v after %v", got.err, got.after)
		}
		_, ended = w.waits(t)
		if got := <-ended; !errors.Is(got.err, ErrTooLate) || got.after != time.Minute {
			t.Errorf("never answered: %v after %v", got.err, got.after)
		}
	})
}

func TestBudget_EachGoesAtItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		var all []<-chan end
		for range 5 {
			_, ended := w.waits(t)
			all = append(all, ended)
			time.Sleep(time.Second)
		}
		for i, ended := range all {
			if got := <-ended; !errors.Is(got.err, ErrTooLate) || got.after != time.Minute {
				t.Errorf("number %d: %v after %v", i, got.err, got.after)
			}
		}
		if s := w.Snapshots()[0]; s.Waiting != 0 || s.WaitingBytes != 0 {
			t.Errorf("left behind: %+v", s)
		}
	})
}

var noImage = routing.Blocked{Reason: "ImagePullBackOff", Message: "no such image"}

func blocked(r *routing.Route) { r.Blocked = noImage }

func TestBlocked_IsToldAfterAShortGrace(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(*world)
		later func(*world)
		want  time.Duration
	}{
		"known before":             {func(w *world) { w.follow(routing.Waking, blocked) }, nil, 2 * time.Second},
		"said by the route later":  {func(w *world) { w.follow(routing.Asleep, nil) }, func(w *world) { w.follow(routing.Waking, blocked) }, 12 * time.Second},
		"said to the start call":   {func(w *world) { w.follow(routing.Asleep, nil) }, func(w *world) { w.starts[0].Answered(Started{Blocked: noImage}) }, 12 * time.Second},
		"said again does not help": {func(w *world) { w.follow(routing.Waking, blocked) }, func(w *world) { w.follow(routing.Waking, blocked) }, 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(nil)
			c.begin(w)
			v, ended := w.waits(t)
			time.Sleep(10 * time.Second)
			if c.later != nil {
				c.later(w)
			}
			got := <-ended
			stopped, ok := errors.AsType[*BlockedError](got.err)
			if !ok || stopped.Blocked != noImage || got.after != c.want {
				t.Errorf("%s: %v after %v, want %v", name, got.err, got.after, c.want)
			}
			if v.RetryAfter(time.Now()) != 30*time.Second {
				t.Errorf("%s: retry after %v", name, v.RetryAfter(time.Now()))
			}
		})
	}
}

func TestBlocked_WhatSomebodyWantsSoIsToldAtOnce(t *testing.T) {
	for _, reason := range []string{"Paused", "Contested"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(nil)
			w.follow(routing.Asleep, func(r *routing.Route) { r.Blocked = routing.Blocked{Reason: reason, Message: "by the user"} })
			_, ended := w.waits(t)
			got := <-ended
			if stopped, ok := errors.AsType[*BlockedError](got.err); !ok || stopped.Blocked.Reason != reason || got.after != 0 {
				t.Errorf("%s: %v after %v", reason, got.err, got.after)
			}
		})
	}
}

func TestBlocked_ThatEndsInTimeIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Waking, blocked)
		_, ended := w.waits(t)
		time.Sleep(time.Second)
		w.follow(routing.Waking, nil)
		time.Sleep(10 * time.Second)
		w.follow(routing.Awake, nil, pod("a", nil))
		if got := <-ended; got.err != nil {
			t.Errorf("%v after %v", got.err, got.after)
		}
	})
}

func TestBlocked_IsOfNoAccountWhilePodsServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, func(r *routing.Route) { one(r); blocked(r) }, pod("a", nil))
		w.arrive(t)
		_, ended := w.waits(t)
		if got := <-ended; !errors.Is(got.err, ErrBusy) {
			t.Errorf("%v after %v", got.err, got.after)
		}
	})
}

func TestBlocked_AStartThatIsRefusedIsBlockedAndTheNextOneAsksAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, nil)
		_, ended := w.waits(t)
		w.starts[0].Failed(errors.New("connection refused"))
		time.Sleep(10 * time.Second)
		w.starts[0].Failed(&RefusedStartError{Detail: "the Deployment default/fib does not exist"})
		got := <-ended
		stopped, ok := errors.AsType[*BlockedError](got.err)
		if !ok || stopped.Blocked.Reason != "StartRefused" || stopped.Blocked.Message != "the Deployment default/fib does not exist" || got.after != 12*time.Second {
			t.Errorf("%v after %v", got.err, got.after)
		}
		v, ended := w.waits(t)
		if len(w.starts) != 2 {
			t.Fatalf("%d start requests, want another one", len(w.starts))
		}
		w.starts[0].Failed(&RefusedStartError{Detail: "a late answer to the one before"})
		w.starts[1].Answered(Started{})
		time.Sleep(10 * time.Second)
		w.follow(routing.Awake, nil, pod("a", nil))
		if got := <-ended; got.err != nil || v.Pod.Name != "a" {
			t.Errorf("%v after %v", got.err, got.after)
		}
	})
}

func TestRetryAfter_IsWhatIsLeftOfTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(func(o *Options) { o.RoomRequests = 1 })
		expected := func(s time.Duration) func(*routing.Route) {
			return func(r *routing.Route) { r.ExpectedStart, r.StartTimeout, r.WakeUpTimeout = s, time.Hour, time.Hour }
		}
		w.follow(routing.Asleep, expected(40*time.Second))
		late := &Visit{App: w.app()}
		if got := late.RetryAfter(time.Now()); got != 40*time.Second {
			t.Errorf("before a start: %v", got)
		}
		w.waits(t)
		time.Sleep(12 * time.Second)
		if got := late.RetryAfter(time.Now()); got != 28*time.Second {
			t.Errorf("after 12 of 40 s: %v", got)
		}
		want := Progress{UnderWay: true, Elapsed: 12 * time.Second, Expected: 40 * time.Second}
		if got := w.app().Progress(time.Now()); got != want {
			t.Errorf("progress %+v, want %+v", got, want)
		}
		w.starts[0].Answered(Started{Elapsed: 20 * time.Second}) // another load balancer was asked before
		if got := late.RetryAfter(time.Now()); got != 20*time.Second {
			t.Errorf("after 20 of 40 s: %v", got)
		}
		time.Sleep(time.Minute)
		if got := late.RetryAfter(time.Now()); got != time.Second {
			t.Errorf("overdue: %v", got)
		}
		w.follow(routing.Waking, expected(10*time.Minute))
		if got := late.RetryAfter(time.Now()); got != 2*time.Minute {
			t.Errorf("a very long one: %v", got)
		}
		w.follow(routing.Waking, func(r *routing.Route) { expected(time.Minute)(r); blocked(r) })
		if got := late.RetryAfter(time.Now()); got != 30*time.Second {
			t.Errorf("a hopeless one: %v", got)
		}
		w.follow(routing.Awake, expected(time.Minute), pod("a", nil))
		if got := late.RetryAfter(time.Now()); got != time.Second {
			t.Errorf("with a pod: %v", got)
		}
	})
}

func TestRetryAfter_CountsFromTheFirstOfAllWhoCameInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Asleep, func(r *routing.Route) { r.ExpectedStart, r.StartTimeout = 40*time.Second, 10*time.Second })
		v, ended := w.waits(t)
		w.follow(routing.Waking, func(r *routing.Route) { r.ExpectedStart, r.StartTimeout = 40*time.Second, 10*time.Second })
		<-ended
		v.End(Outcome{Status: 503}, time.Now())
		time.Sleep(5 * time.Second)
		second, ended := w.waits(t)
		<-ended
		if got := second.RetryAfter(time.Now()); got != 15*time.Second {
			t.Errorf("25 s after the first one came: %v", got)
		}
		w.follow(routing.Asleep, func(r *routing.Route) { r.ExpectedStart = 40 * time.Second })
		if got := second.RetryAfter(time.Now()); got != 40*time.Second {
			t.Errorf("asleep again: %v", got)
		}
	})
}
