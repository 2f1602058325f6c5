package control

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// own tells the loop that somebody else scales the application, or that nobody does any more.
func (w *world) own(owner string) {
	w.mu.Lock()
	o := fleet.Observation{
		Key: key, Autoscaler: "fib", Since: time.Now().Add(-time.Hour), Owner: owner,
		Spec:       scaling.Spec{MaxReplicas: 3, IdleTime: 30 * time.Second, WakeUpTimeout: time.Minute},
		Deployment: fleet.Deployment{Found: true, UID: "u", Version: w.scale.Version, Created: time.Now().Add(-time.Hour), Replicas: w.scale.Replicas},
	}
	if w.scale.Replicas > 0 {
		o.Pods = []fleet.Pod{{Name: "a", Ready: true, Address: "10.0.0.1:80"}}
	}
	w.mu.Unlock()
	w.loop.Observe(o)
}

func (w *world) condition(kind string) fleet.Condition {
	_, conditions := w.loop.Insight(key)
	i := slices.IndexFunc(conditions, func(c fleet.Condition) bool { return c.Type == kind })
	return conditions[i]
}

func TestConflict_NothingIsPutToSleepUntilTheOtherOneLetsGo(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.own("the HorizontalPodAutoscaler default/other")
		go w.heartbeat(ctx, nil)
		time.Sleep(10 * time.Minute)
		w.expect(t, "idle for minutes, and owned")
		if c := w.condition(AbleToScale); c.OK || c.Reason != fleet.ConflictReason || !strings.Contains(c.Message, "default/other") || !strings.Contains(c.Message, "delete") {
			t.Errorf("the condition is %+v", c)
		}
		held := w.loop.Decisions(fleet.Filter{Key: key}, 100)
		if n := len(slices.DeleteFunc(slices.Clone(held), func(r fleet.Record) bool { return !strings.Contains(r.Summary, "default/other") })); n != 1 {
			t.Errorf("recorded %d times: %+v", n, held)
		}
		w.own("")
		time.Sleep(time.Second)
		w.expect(t, "the other one has let go", 0)
		if c := w.condition(AbleToScale); !c.OK {
			t.Errorf("the condition stays %+v", c)
		}
	})
}

func TestConflict_AWayToZeroIsCalledOff(t *testing.T) {
	within(t, 1, func(_ context.Context, w *world) {
		for range 31 {
			w.report(nil) // follows no routes: it never agrees
			time.Sleep(time.Second)
		}
		w.report(nil)
		synctest.Wait()
		if v, _ := w.loop.Fleet.View(key, time.Now()); v.State != fleet.FallingAsleep {
			t.Fatalf("it is %s", v.State)
		}
		w.own("the ScaledObject default/other")
		synctest.Wait()
		if v, _ := w.loop.Fleet.View(key, time.Now()); v.State != fleet.Awake {
			t.Errorf("it is %s", v.State)
		}
	})
}

func TestConflict_AStartCallWakesItAndTheRestIsTheOthers(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		w.own("the HorizontalPodAutoscaler default/other")
		synctest.Wait()
		w.expect(t, "nothing waits")
		got, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 30})
		if err != nil || !got.Scaled || got.Replicas != 1 {
			t.Errorf("got %+v, %v", got, err)
		}
		w.own("the HorizontalPodAutoscaler default/other")
		go w.heartbeat(ctx, func(r *fleet.Report) { r.Applications[0].Waiting = 30 })
		time.Sleep(10 * time.Minute)
		w.expect(t, "above zero", 1)
		if d := w.loop.Decisions(fleet.Filter{Key: key, Result: fleet.ResultApplied}, 1); len(d) != 1 || !strings.Contains(d[0].Summary, "default/other") {
			t.Errorf("recorded %+v", d)
		}
	})
}

// selfHeal sets one pod again five seconds after each way to zero, as a GitOps tool does, until ctx ends.
func (w *world) selfHeal(ctx context.Context, manager string) {
	for ctx.Err() == nil {
		if replicas, _ := w.get(); replicas == 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(5 * time.Second):
			}
			w.set(1, manager, fleet.Pod{Name: "a", Ready: true, Address: "10.0.0.1:80"})
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func TestContested_WhoSetsTheCountBackIsSeenAfterTheThirdTimeAndNotFought(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		go w.heartbeat(ctx, nil)
		heal, stop := context.WithCancel(ctx)
		go w.selfHeal(heal, "argocd-controller")
		time.Sleep(20 * time.Minute)
		w.expect(t, "with a tool that heals", 0, 0, 0)
		c := w.condition(Contested)
		if able := w.condition(AbleToScale); !c.OK || able.OK || able.Reason != fleet.ContestedReason || !strings.Contains(c.Message, "argocd-controller") {
			t.Errorf("conditions %+v, %+v", c, able)
		}
		if d := w.loop.Decisions(fleet.Filter{Key: key, Result: fleet.ResultHeld}, 1); len(d) != 1 || !strings.Contains(d[0].Summary, "argocd-controller") {
			t.Errorf("recorded %+v", d)
		}
		stop()
		time.Sleep(time.Hour)
		w.expect(t, "an hour later it is tried again", 0, 0, 0, 0)
		if _, conditions := w.loop.Insight(key); slices.ContainsFunc(conditions, func(c fleet.Condition) bool { return c.Type == Contested }) {
			t.Errorf("the condition stays: %+v", conditions)
		}
	})
}

func TestContested_AChangeOfTheCustomAutoscalerBeginsAnew(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		go w.heartbeat(ctx, nil)
		heal, stop := context.WithCancel(ctx)
		go w.selfHeal(heal, "argocd-controller")
		time.Sleep(20 * time.Minute)
		stop()
		w.expect(t, "contested", 0, 0, 0)
		w.mu.Lock()
		w.spec = func(s *scaling.Spec) { s.IdleTime = 40 * time.Second }
		w.mu.Unlock()
		w.observeReady()
		time.Sleep(time.Minute)
		w.expect(t, "the user has changed something", 0, 0, 0, 0)
	})
}

func TestContested_AStartIsRefusedAndSaysWho(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		for range 3 {
			if got, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil || !got.Scaled {
				t.Fatalf("got %+v, %v", got, err)
			}
			time.Sleep(time.Second)
			w.set(0, "flux")
			synctest.Wait()
		}
		_, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1})
		if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.From(err).Detail, "flux") {
			t.Errorf("got %v", err)
		}
		if v, _ := w.loop.Fleet.View(key, time.Now()); v.Blocked.Reason != fleet.ContestedReason {
			t.Errorf("the route says %+v", v.Blocked)
		}
		w.expect(t, "no further starts", 1, 1, 1)
		time.Sleep(2 * time.Hour)
		if v, _ := w.loop.Fleet.View(key, time.Now()); v.Blocked.Reason != "" {
			t.Errorf("when its time is over the route says %+v", v.Blocked)
		}
	})
}
