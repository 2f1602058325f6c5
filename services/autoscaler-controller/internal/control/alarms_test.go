package control

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// news are the news of the events so far, of one kind.
func (w *world) news(kind fleet.Happening) (found []fleet.News) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.News.Kind == kind {
			found = append(found, e.News)
		}
	}
	return found
}

// told expects one piece of news of a kind, whose message has these words.
func (w *world) told(t *testing.T, kind fleet.Happening, words string) fleet.News {
	t.Helper()
	synctest.Wait()
	list := w.news(kind)
	if len(list) != 1 || !strings.Contains(list[0].Message, words) || list[0].Deployment != "fib" {
		t.Fatalf("%s: %+v, want one with %q", kind, list, words)
	}
	return list[0]
}

func (w *world) untold(t *testing.T, kinds ...fleet.Happening) {
	t.Helper()
	synctest.Wait()
	for _, kind := range kinds {
		if list := w.news(kind); len(list) > 0 {
			t.Errorf("told without reason: %+v", list)
		}
	}
}

func called(ctx context.Context, t *testing.T, w *world) {
	t.Helper()
	if _, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil {
		t.Fatal(err)
	}
}

func TestAlarm_TellsThatItWoke_WhenTheFirstPodIsReady(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		called(ctx, t, w)
		w.observe(fleet.Pod{Name: "a"})
		w.untold(t, fleet.Woken)
		time.Sleep(3 * time.Second)
		w.observeReady()
		if n := w.told(t, fleet.Woken, "the first of 1 pod is ready after 3 s"); n.Took != 3*time.Second {
			t.Errorf("it took %v", n.Took)
		}
		w.observeReady()
		w.told(t, fleet.Woken, "")
		w.untold(t, fleet.StartSlow, fleet.WakeUpFailed, fleet.ScaleFailed)
	})
}

func TestAlarm_TellsOnceThatAStartTakesTooLong_AndCountsIt(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		called(ctx, t, w)
		w.observe(fleet.Pod{Name: "a"})
		time.Sleep(59 * time.Second)
		w.untold(t, fleet.StartSlow)
		time.Sleep(2 * time.Second) // nothing is heard: the moment itself has it looked at
		w.told(t, fleet.StartSlow, "1 pod was asked for 60 s ago, none has been ready")
		if n := w.loop.Stats().Slow; n != 1 {
			t.Errorf("%d are counted", n)
		}
		for range 5 {
			time.Sleep(time.Minute)
			w.observe(fleet.Pod{Name: "a"})
		}
		w.told(t, fleet.StartSlow, "")
		w.observeReady()
		synctest.Wait()
		if n := w.loop.Stats().Slow; n != 0 {
			t.Errorf("%d are counted though it runs", n)
		}
	})
}

func TestAlarm_WhatIsForgottenOrLedByAnotherIsNotCounted(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"forgotten": func(w *world) { w.loop.Forget(key) },
		"not led":   func(w *world) { w.lead() },
	} {
		within(t, 0, func(ctx context.Context, w *world) {
			called(ctx, t, w)
			w.observe(fleet.Pod{Name: "a"})
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			before := w.loop.Stats().Slow
			end(w)
			synctest.Wait()
			if after := w.loop.Stats().Slow; before != 1 || after != 0 {
				t.Errorf("%s: %d before, %d after", name, before, after)
			}
		})
	}
}

func TestAlarm_TellsOnceThatThoseWhoWaitedWereRefused(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		called(ctx, t, w)
		w.observe(fleet.Pod{Name: "a"})
		failed := func(id string) {
			w.report(func(r *fleet.Report) {
				r.Applications = []fleet.Traffic{{Key: key, Waiting: 0, WakeUps: []fleet.WakeReport{{ID: id, ArrivedAt: time.Now(), Waited: 3, Outcome: fleet.Failed}}}}
			})
			w.observe(fleet.Pod{Name: "a"})
			synctest.Wait()
		}
		failed("w1")
		failed("w1")
		w.told(t, fleet.WakeUpFailed, "3 requests were refused that waited")
		time.Sleep(time.Second)
		failed("w2")
		if n := len(w.news(fleet.WakeUpFailed)); n != 2 {
			t.Errorf("told %d times of two", n)
		}
	})
}

func TestAlarm_TellsThatItCannotBeScaled(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		w.mu.Lock()
		w.fail = errors.New("quota exceeded")
		w.mu.Unlock()
		if _, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1}); err == nil {
			t.Fatal("it was started")
		}
		w.told(t, fleet.ScaleFailed, "0 → 1: ")
		w.untold(t, fleet.Woken)
	})
}

func TestAlarm_TellsThatItSleeps(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		go w.heartbeat(ctx, nil)
		time.Sleep(45 * time.Second)
		w.expect(t, "idle", 0)
		w.untold(t, fleet.Slept)
		w.observe()
		w.told(t, fleet.Slept, "1 pod has gone, after ")
	})
}

func TestAlarm_TellsThatItWasScaled_ButNotOfWakingOrFallingAsleep(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		called(ctx, t, w)
		w.observeReady()
		w.untold(t, fleet.Scaled)
		w.spec = func(s *scaling.Spec) { s.MinReplicas = 2 }
		w.observeReady()
		w.expect(t, "more are wanted", 1, 2)
		if n := w.told(t, fleet.Scaled, "1 → 2: "); n.From != 1 || n.To != 2 || n.Took != 0 {
			t.Errorf("%+v", n)
		}
		w.mu.Lock()
		w.fail = errors.New("quota exceeded")
		w.mu.Unlock()
		w.spec = func(s *scaling.Spec) { s.MinReplicas = 3 }
		w.observeReady()
		w.told(t, fleet.ScaleFailed, "2 → 3: ")
		w.told(t, fleet.Scaled, "1 → 2: ") // what could not be done was not
	})
	within(t, 1, func(ctx context.Context, w *world) {
		go w.heartbeat(ctx, nil)
		time.Sleep(45 * time.Second)
		w.expect(t, "idle", 0)
		w.observe()
		w.told(t, fleet.Slept, "")
		w.untold(t, fleet.Scaled)
	})
}

func TestAlarm_CountsWhatIsContested(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		for range 4 {
			if _, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil {
				break
			}
			w.set(0, "argocd")
			synctest.Wait()
		}
		if n := w.loop.Stats().Contested; n != 1 {
			t.Errorf("%d are counted", n)
		}
	})
}
