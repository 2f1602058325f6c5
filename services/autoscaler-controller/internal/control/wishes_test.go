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

func TestSleep_SleepsLongBeforeTheDeadline(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		go w.heartbeat(ctx, nil)
		time.Sleep(10 * time.Second)
		got, err := w.loop.Sleep(ctx, key, "jane")
		if err != nil || got.Replicas != 1 || !strings.Contains(got.Message, "jane asked for it") || got.DecisionID == "" {
			t.Fatalf("got %+v, %v", got, err)
		}
		time.Sleep(2 * time.Second)
		w.expect(t, "when all load balancers have answered", 0)
		if got, err := w.loop.Sleep(ctx, key, "jane"); err != nil || got.State != fleet.Asleep || got.Replicas != 0 {
			t.Errorf("once more: %+v, %v", got, err)
		}
	})
}

func TestSleep_IsForgottenWhenTrafficComes(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.report(nil)
		time.Sleep(10 * time.Second)
		w.report(nil) // which answers nothing: it goes on falling asleep
		if _, err := w.loop.Sleep(ctx, key, "jane"); err != nil {
			t.Fatal(err)
		}
		if got, err := w.loop.Start(ctx, key, scaling.Call{Waiting: 1}); err != nil || got.State != fleet.Awake {
			t.Errorf("got %+v, %v", got, err)
		}
		go w.heartbeat(ctx, nil)
		time.Sleep(29 * time.Second)
		w.expect(t, "29 s after the request")
		time.Sleep(2 * time.Second)
		w.expect(t, "31 s after it", 0)
	})
}

func TestSleep_Refusals(t *testing.T) {
	for name, c := range map[string]struct {
		replicas int32
		spec     func(*scaling.Spec)
		report   func(*fleet.Report)
		said     string
	}{
		"in flight":    {replicas: 1, report: func(r *fleet.Report) { r.Applications[0].InFlight = 2 }, said: "in use, 2 in flight"},
		"waiting":      {replicas: 1, report: func(r *fleet.Report) { r.Applications[0].Waiting = 3 }, said: "3 waiting"},
		"minReplicas":  {replicas: 1, spec: func(s *scaling.Spec) { s.MinReplicas = 1 }, said: "minReplicas is 1"},
		"paused":       {replicas: 1, spec: func(s *scaling.Spec) { s.Mode = scaling.Paused }, said: "its mode is Paused"},
		"only watched": {replicas: 1, spec: func(s *scaling.Spec) { s.Mode = scaling.Observe }, said: "its mode is Observe"},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, c.replicas, func(ctx context.Context, w *world) {
				w.spec = c.spec
				w.observeReady()
				w.report(c.report)
				synctest.Wait()
				_, err := w.loop.Sleep(ctx, key, "jane")
				if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.From(err).Detail, c.said) {
					t.Errorf("got %v", err)
				}
				w.expect(t, "refused")
			})
		})
	}
	within(t, 1, func(ctx context.Context, w *world) {
		if _, err := w.loop.Sleep(ctx, fleet.Key{Namespace: "default", Deployment: "other"}, "jane"); !fault.Is(err, fault.NotFound) {
			t.Errorf("of one that is not known: %v", err)
		}
		w.miss("the pods")
		if _, err := w.loop.Sleep(ctx, fleet.Key{Namespace: "default", Deployment: "other"}, "jane"); !fault.Is(err, fault.Unavailable) {
			t.Errorf("before all is known: %v", err)
		}
		w.lead()
		synctest.Wait()
		if _, err := w.loop.Sleep(ctx, key, "jane"); !fault.Is(err, fault.Unavailable) {
			t.Errorf("of one that does not lead: %v", err)
		}
	})
}

func TestStart_ByAPersonSaysWho(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		got, err := w.loop.Start(ctx, key, scaling.Call{By: "jane"})
		if err != nil || !got.Scaled || got.Message != "0 → 1: jane asks for a start" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestPreview_DecidesByAnotherSpecAndDoesNothing(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		go w.heartbeat(ctx, nil)
		time.Sleep(10 * time.Second)
		before := len(w.loop.Decisions(fleet.Filter{Key: key}, 100))
		spec := scaling.Spec{MaxReplicas: 3, IdleTime: 5 * time.Second, WakeUpTimeout: time.Minute}
		got, err := w.loop.Preview(ctx, key, spec)
		if err != nil || got.To != 0 || got.From != 1 || got.Applied || got.ID != "" || got.Key != key || !strings.Contains(got.Summary, "no traffic for 5 s") {
			t.Errorf("got %+v, %v", got, err)
		}
		spec.IdleTime, spec.MinReplicas = time.Hour, 2
		if got, err = w.loop.Preview(ctx, key, spec); err != nil || got.To != 2 {
			t.Errorf("got %+v, %v", got, err)
		}
		w.expect(t, "nothing is done")
		if after := len(w.loop.Decisions(fleet.Filter{Key: key}, 100)); after != before {
			t.Errorf("%d decisions were recorded", after-before)
		}
		time.Sleep(19 * time.Second)
		w.expect(t, "29 s after the last traffic")
		time.Sleep(2 * time.Second)
		w.expect(t, "31 s after it: nothing was forgotten either", 0)
		if _, err := w.loop.Preview(ctx, fleet.Key{Namespace: "default", Deployment: "other"}, spec); !fault.Is(err, fault.NotFound) {
			t.Errorf("of one that is not known: %v", err)
		}
	})
}
