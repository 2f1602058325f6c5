package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// asleep lets an application of three pods sleep.
func (w *world) asleep(ctx context.Context, t *testing.T) {
	t.Helper()
	w.set(3, "kubectl", fleet.Pod{Name: "a", Ready: true, Address: "10.0.0.1:80"})
	go w.heartbeat(ctx, nil)
	time.Sleep(time.Minute)
	w.expect(t, "idle", 0)
	w.observe()
}

func (w *world) events1(t *testing.T, reason, part string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.restored) != 1 || w.restored[0].Reason != reason || !strings.Contains(w.restored[0].Message, part) {
		t.Errorf("told %+v, want one %s with %q", w.restored, reason, part)
	}
}

func TestRestore_WhatSleepsGetsBackWhatItHad(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.asleep(ctx, t)
		w.loop.Forget(key)
		time.Sleep(restoreGrace - time.Millisecond)
		w.expect(t, "within the grace of a rename", 0)
		time.Sleep(time.Millisecond)
		w.expect(t, "after it", 0, 3)
		w.events1(t, "Restored", "0 → 3")
		time.Sleep(time.Hour)
		w.expect(t, "and that was it", 0, 3)
	})
}

func TestRestore_ARenameWakesNothing(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.asleep(ctx, t)
		w.loop.Forget(key)
		time.Sleep(time.Second)
		w.observe()
		time.Sleep(time.Hour)
		w.expect(t, "named again", 0)
	})
}

func TestRestore_LeavesAloneWhatIsNotItsToWake(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"the user wants it kept":            func(w *world) { w.keep = true },
		"somebody else has put it to sleep": func(w *world) { w.manager = "kubectl" },
		"nobody is known to have":           func(w *world) { w.manager = "" },
		"it runs":                           func(w *world) { w.scale.Replicas = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			within(t, 1, func(ctx context.Context, w *world) {
				w.asleep(ctx, t)
				w.mu.Lock()
				change(w)
				w.scale.Version++
				w.mu.Unlock()
				w.observe()
				w.loop.Forget(key)
				time.Sleep(time.Hour)
				w.expect(t, name, 0)
			})
		})
	}
}

func TestRestore_WhoScalesItMeanwhileHasHisWay(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.asleep(ctx, t)
		w.loop.Forget(key)
		w.mu.Lock()
		w.scale = fleet.Scale{Replicas: 7, Version: w.scale.Version + 1}
		w.mu.Unlock()
		time.Sleep(time.Hour)
		w.expect(t, "scaled by hand", 0)
		if len(w.restored) != 0 {
			t.Errorf("told %+v", w.restored)
		}
	})
}

func TestRestore_OnlyTheLeaderDoes(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.asleep(ctx, t)
		w.lead()
		synctest.Wait()
		w.loop.Forget(key)
		time.Sleep(time.Hour)
		w.expect(t, "a follower", 0)
	})
}

func TestRestore_IsTriedAgainAndThenSaysThatItFailed(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.asleep(ctx, t)
		w.mu.Lock()
		w.fail = fault.New(fault.Unavailable, "a quota")
		w.mu.Unlock()
		w.loop.Forget(key)
		time.Sleep(20 * time.Second)
		w.mu.Lock()
		w.fail = nil
		w.mu.Unlock()
		time.Sleep(time.Minute)
		w.expect(t, "the quota has gone", 0, 3)

		w.set(0, fleet.FieldManager)
		w.mu.Lock()
		w.fail, w.restored = fault.New(fault.Unavailable, "a quota"), nil
		w.mu.Unlock()
		w.loop.Forget(key)
		time.Sleep(time.Hour)
		w.expect(t, "it fails for ever", 0, 3)
		w.events1(t, "RestoreFailed", "a quota")
	})
}

func TestRestore_WhoLeadsNextDoesWhatTheLeaderCouldNotDo(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.asleep(ctx, t)
		w.lead()
		synctest.Wait()
		w.loop.Forget(key) // while nobody leads
		time.Sleep(20 * time.Second)
		w.expect(t, "nobody leads", 0)
		go w.loop.Lead(ctx)
		time.Sleep(restoreGrace)
		w.expect(t, "somebody does", 0, 3)
		w.events1(t, "Restored", "0 → 3")
	})
}

func TestRestore_ARenameForgetsNothing(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.asleep(ctx, t)
		w.loop.Forget(key)
		time.Sleep(time.Second)
		w.observe() // under another name
		time.Sleep(time.Minute)
		w.loop.Forget(key)
		time.Sleep(restoreGrace)
		w.expect(t, "named once more, and then no more", 0, 3)
	})
}

func TestForget_OnTheWayDownTakesTheMarksOff(t *testing.T) {
	within(t, 2, func(_ context.Context, w *world) {
		since := time.Now().Add(-time.Minute)
		w.set(2, "kubectl",
			fleet.Pod{Name: "a", Ready: true, Address: "10.0.0.1:80", Cost: -10, Mark: fleet.Mark{Since: since, Before: "7"}},
			fleet.Pod{Name: "b", Ready: true, Address: "10.0.0.2:80"},
			fleet.Pod{Name: "c", Address: "10.0.0.3:80", Cost: -10, Mark: fleet.Mark{Since: since}, Terminating: true})
		w.mu.Lock()
		w.marks, w.refuse = nil, fault.New(fault.Unavailable, "not now")
		w.mu.Unlock()
		w.loop.Forget(key)
		time.Sleep(restoreGrace)
		w.mu.Lock()
		w.refuse = nil
		w.mu.Unlock()
		time.Sleep(time.Minute)
		w.expect(t, "nothing is scaled")
		w.mu.Lock()
		defer w.mu.Unlock()
		if m, ok := w.marks["a"]; len(w.marks) != 1 || !ok || m.Cost != 7 || m.Mark.Before != "7" || !m.Mark.Since.IsZero() {
			t.Errorf("%+v", w.marks)
		}
	})
}

func TestRestore_WhatFallsAsleepAsItsRuleIsDeleted(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.set(3, "kubectl", fleet.Pod{Name: "a", Ready: true, Address: "10.0.0.1:80"})
		w.mu.Lock()
		w.slow = time.Second
		w.mu.Unlock()
		go w.heartbeat(ctx, nil)
		time.Sleep(30*time.Second + 500*time.Millisecond) // the patch is on its way
		w.loop.Forget(key)
		time.Sleep(time.Minute)
		w.expect(t, "it slept, and nobody named it any more", 0, 3)
	})
}
