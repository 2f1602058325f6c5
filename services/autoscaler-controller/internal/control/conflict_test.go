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
		w.report(nil) // follows no routes: it never agrees
		time.Sleep(31 * time.Second)
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

func TestConflict_AStartCallIsToldWhoOwnsTheDeployment(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		w.own("the HorizontalPodAutoscaler default/other")
		synctest.Wait()
		_, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1})
		if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.From(err).Detail, "the HorizontalPodAutoscaler default/other") {
			t.Errorf("got %v", err)
		}
		w.expect(t, "a start call")
		if d := w.loop.Decisions(fleet.Filter{Key: key}, 1); len(d) != 1 || d[0].Trigger != scaling.StartCall || d[0].Applied {
			t.Errorf("recorded %+v", d)
		}
		// With pods, whoever asked for them, the call is answered: it runs.
		w.mu.Lock()
		w.scale = fleet.Scale{Replicas: 1, Version: 20}
		w.mu.Unlock()
		w.own("the HorizontalPodAutoscaler default/other")
		if got, err := w.loop.Start(ctx, key, scaling.Call{}); err != nil || got.Scaled || got.State != fleet.Awake {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
