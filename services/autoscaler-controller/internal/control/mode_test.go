package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func TestMode_PausedKeepsItDownAndSaysSo(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		w.spec = func(s *scaling.Spec) { s.Mode = scaling.Paused }
		w.observe()
		synctest.Wait()
		if _, err := w.loop.Start(ctx, key, scaling.Call{Waiting: 1}); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.From(err).Detail, "spec.mode") {
			t.Errorf("got %v", err)
		}
		go w.heartbeat(ctx, func(r *fleet.Report) { r.Applications[0].Waiting = 3 })
		time.Sleep(10 * time.Minute)
		w.expect(t, "with requests")
		if c := w.condition(AbleToScale); c.OK || c.Reason != "ModePaused" {
			t.Errorf("%+v", c)
		}
		w.mu.Lock()
		w.spec = nil
		w.mu.Unlock()
		w.observe()
		time.Sleep(2 * time.Second)
		w.expect(t, "active again", 1)
	})
}

func TestMode_ObserveRecordsWhatItWouldDo(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.spec = func(s *scaling.Spec) { s.Mode = scaling.Observe }
		w.observeReady()
		go w.heartbeat(ctx, nil)
		time.Sleep(10 * time.Minute)
		w.expect(t, "idle for long")
		d := w.loop.Decisions(fleet.Filter{Key: key, Result: fleet.ResultHeld}, 10)
		if len(d) == 0 || d[0].Wished != 0 || !strings.Contains(d[0].Summary, "mode is Observe: 0 would be asked for") {
			t.Errorf("recorded %+v", d)
		}
		if len(d) > 3 {
			t.Errorf("the same is recorded %d times", len(d))
		}
	})
}

// hour is active within the first half of each hour.
type minuteOf int

func (m minuteOf) Next(t time.Time) time.Time {
	next := t.Truncate(time.Hour).Add(time.Duration(m) * time.Minute)
	if !next.After(t) {
		next = next.Add(time.Hour)
	}
	return next
}

func TestSchedule_BeginsAndEndsByTheClockAlone(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		two := int32(2)
		w.spec = func(s *scaling.Spec) {
			s.Schedules = []scaling.Schedule{{Name: "half", Start: minuteOf(10), End: minuteOf(30), Min: &two}}
		}
		w.observe()
		go w.heartbeat(ctx, nil)
		time.Sleep(10*time.Minute - time.Second)
		w.expect(t, "before it")
		time.Sleep(2 * time.Second)
		w.expect(t, "when it begins", 2)
		w.observe(ready("a"), ready("b"))
		time.Sleep(19 * time.Minute)
		w.expect(t, "while it lasts, though idle", 2)
		time.Sleep(2 * time.Minute)
		w.expect(t, "when it has ended", 2, 0)
	})
}

func TestSchedule_WhatItBlocksAtZeroIsBlockedNoLongerThanIt(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		w.spec = func(s *scaling.Spec) {
			s.Schedules = []scaling.Schedule{{Name: "night", Start: minuteOf(10), End: minuteOf(30), Mode: scaling.Paused}}
		}
		w.observe()
		go w.heartbeat(ctx, nil)
		blocked := func() string { v, _ := w.loop.Fleet.View(key, time.Now()); return v.Blocked.Reason }
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{9 * time.Minute, ""}, {2 * time.Minute, "Paused"}, {18 * time.Minute, "Paused"}, {2 * time.Minute, ""}, {40 * time.Minute, "Paused"}} {
			time.Sleep(step.after)
			synctest.Wait()
			if got := blocked(); got != step.want {
				t.Errorf("%v later the route says %q, want %q", step.after, got, step.want)
			}
		}
	})
}

func TestTogether_ARequestOfOneStartsAll(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		w.spec = func(s *scaling.Spec) { s.Together = true }
		w.observe()
		mate := fleet.Key{Namespace: key.Namespace, Deployment: "mate"}
		w.loop.Observe(fleet.Observation{
			Key: mate, Autoscaler: "fib", Spec: scaling.Spec{MaxReplicas: 3, IdleTime: 30 * time.Second, WakeUpTimeout: time.Minute, Together: true},
			Deployment: fleet.Deployment{Found: true, UID: "m", Version: w.scale.Version},
		})
		go w.heartbeat(ctx, nil)
		time.Sleep(10 * time.Second)
		w.expect(t, "nobody asks")
		if _, err := w.loop.Start(ctx, mate, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil {
			t.Fatal(err)
		}
		// The world has one Deployment for both, so the second one finds what it would have asked for.
		synctest.Wait()
		w.expect(t, "a request of one", 1)
		if v, _ := w.loop.Fleet.View(key, time.Now()); v.Deployment.Replicas != 1 {
			t.Errorf("the other one was not looked at: %+v", v.Deployment)
		}
	})
}
