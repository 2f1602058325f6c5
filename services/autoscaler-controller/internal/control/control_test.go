package control

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/lifecycle"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func TestStart_ScalesInTheCall(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		w.slow = 3 * time.Millisecond
		began := time.Now()
		got, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1})
		if err != nil || !got.Scaled || got.Replicas != 1 || got.State != fleet.Waking || got.DecisionID == "" {
			t.Fatalf("got %+v, %v", got, err)
		}
		if took := time.Since(began); took != w.slow {
			t.Errorf("took %v, want only the patch (%v)", took, w.slow)
		}
		if !slices.Equal(w.worked, []time.Duration{0}) {
			t.Errorf("of its own it took %v, want nothing beside the patch", w.worked)
		}
		again, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 2})
		if err != nil || again.Scaled || again.Replicas != 1 {
			t.Errorf("the second call: %+v, %v", again, err)
		}
		w.expect(t, "two calls", 1)
		d := w.loop.Decisions(fleet.Filter{Key: key}, 10)
		if len(d) == 0 || d[0].ID != got.DecisionID || !d[0].Applied || d[0].TraceID != "trace" || d[0].Trigger != scaling.StartCall {
			t.Errorf("the journal says %+v", d)
		}
	})
}

func TestStart_SaysHowLongItGoesOnAndWhatBlocksIt(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		if first, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil || first.Elapsed != 0 || first.Blocked.Reason != "" {
			t.Fatalf("the first call: %+v, %v", first, err)
		}
		time.Sleep(12 * time.Second)
		w.observe(fleet.Pod{Name: "a", Stuck: "ImagePullBackOff", Message: "server: ImagePullBackOff"})
		got, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "other", Waiting: 1})
		if err != nil || got.Elapsed != 12*time.Second || got.Blocked.Reason != "ImagePullBackOff" || got.Blocked.Message != "a: server: ImagePullBackOff" {
			t.Errorf("12 s later: %+v, %v", got, err)
		}
		w.observeReady()
		if got, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil || got.Elapsed != 0 || got.Blocked.Reason != "" {
			t.Errorf("with a pod: %+v, %v", got, err)
		}
	})
}

func TestStart_ManyAtOnceScaleOnce(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		w.slow = 10 * time.Millisecond
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() {
				if got, err := w.loop.Start(ctx, key, scaling.Call{Balancer: "lb", Waiting: 1}); err != nil || got.Replicas != 1 {
					t.Errorf("got %+v, %v", got, err)
				}
			})
		}
		calls.Wait()
		w.expect(t, "fifty calls", 1)
		if !slices.Equal(w.worked, []time.Duration{0}) {
			t.Errorf("of its own the one that scaled took %v, and no other did", w.worked)
		}
	})
}

func TestStart_Refusals(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		unknown := fleet.Key{Namespace: "default", Deployment: "other"}
		if _, err := w.loop.Start(ctx, unknown, scaling.Call{}); !fault.Is(err, fault.NotFound) {
			t.Errorf("unknown: %v", err)
		}
		w.miss("the first list of pods")
		if _, err := w.loop.Start(ctx, unknown, scaling.Call{}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("unknown while the picture is not whole: %v", err)
		}
		w.miss("")
		w.loop.Observe(fleet.Observation{Key: unknown, Autoscaler: "fib"})
		if _, err := w.loop.Start(ctx, unknown, scaling.Call{}); !fault.Is(err, fault.Conflict) {
			t.Errorf("no Deployment: %v", err)
		}
		w.mu.Lock()
		w.fail = fault.New(fault.Unavailable, "the controller may not scale")
		w.mu.Unlock()
		if _, err := w.loop.Start(ctx, key, scaling.Call{}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("not permitted: %v", err)
		}
	})
}

func TestStart_SomebodyElseWasFaster(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		w.mu.Lock()
		w.scale = fleet.Scale{Replicas: 2, Version: 20}
		w.mu.Unlock()
		got, err := w.loop.Start(ctx, key, scaling.Call{Waiting: 1})
		if err != nil || got.Scaled || got.Replicas != 2 {
			t.Errorf("got %+v, %v", got, err)
		}
		w.expect(t, "scaled by hand meanwhile")
	})
}

func TestIdle_SleepsAtTheDeadlineAndNotBefore(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		go w.heartbeat(ctx, nil)
		time.Sleep(29 * time.Second)
		w.expect(t, "after 29 s")
		time.Sleep(time.Second)
		w.expect(t, "after 30 s", 0)
		view, _ := w.loop.Fleet.View(key, time.Now())
		if view.State != fleet.Asleep {
			t.Errorf("the route says %s", view.State)
		}
	})
}

func TestIdle_NoLoadBalancerNoSleep(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		time.Sleep(time.Hour)
		w.expect(t, "after an hour without a report")
		if d := w.loop.Decisions(fleet.Filter{Key: key}, 1); len(d) != 1 || !strings.Contains(d[0].Summary, "no load balancer reports") {
			t.Errorf("the journal says %+v", d)
		}
		go w.heartbeat(ctx, nil)
		time.Sleep(29 * time.Second)
		w.expect(t, "nobody has looked before")
		time.Sleep(2 * time.Second)
		w.expect(t, "when one has looked for idleTime", 0)
	})
}

func TestIdle_AStreamKeepsItAwake(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		streaming, stop := context.WithCancel(ctx)
		go w.heartbeat(streaming, func(r *fleet.Report) { r.Applications[0].InFlight, r.Applications[0].Streaming = 1, 1 })
		time.Sleep(10 * time.Minute)
		w.expect(t, "while it streams")
		stop()
		synctest.Wait()
		go w.heartbeat(ctx, nil)
		time.Sleep(29 * time.Second)
		w.expect(t, "29 s after the stream")
		time.Sleep(2 * time.Second)
		w.expect(t, "31 s after the stream", 0)
	})
}

func TestSleep_IsCalledOffByAStartCall(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.report(nil)
		time.Sleep(9 * time.Second)
		for range 3 { // reports that do not answer
			w.report(nil)
			time.Sleep(7 * time.Second)
		}
		synctest.Wait()
		view, _ := w.loop.Fleet.View(key, time.Now())
		if view.State != fleet.FallingAsleep {
			t.Fatalf("state %s, want FallingAsleep", view.State)
		}
		got, err := w.loop.Start(ctx, key, scaling.Call{Waiting: 1})
		if err != nil || got.State != fleet.Awake || got.Scaled {
			t.Errorf("got %+v, %v", got, err)
		}
		w.expect(t, "called off")
	})
}

func TestSleep_IsCalledOffWithoutAnswerAndTriedAgain(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		outdated, update := context.WithCancel(ctx)
		go func() { // reports, but never of a newer version
			for outdated.Err() == nil {
				w.report(func(r *fleet.Report) { r.RoutesVersion = "e.0" })
				select {
				case <-outdated.Done():
				case <-time.After(time.Second):
				}
			}
		}()
		time.Sleep(34 * time.Second)
		synctest.Wait()
		state := func() fleet.State { v, _ := w.loop.Fleet.View(key, time.Now()); return v.State }
		if got := state(); got != fleet.FallingAsleep {
			t.Fatalf("after 34 s: %s", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := state(); got != fleet.Awake {
			t.Fatalf("after 36 s: %s, want Awake again", got)
		}
		w.expect(t, "nobody answered")
		update()
		synctest.Wait()
		go w.heartbeat(ctx, nil)
		time.Sleep(10 * time.Second)
		w.expect(t, "the next attempt", 0)
	})
}

func TestLeadership_OnlyTheLeaderScalesByItself(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		w.lead()
		synctest.Wait()
		go w.heartbeat(ctx, nil)
		time.Sleep(time.Hour)
		w.expect(t, "a follower")
		w.mu.Lock()
		w.scale.Replicas = 0
		w.scale.Version++
		w.mu.Unlock()
		w.observe()
		if got, err := w.loop.Start(ctx, key, scaling.Call{Waiting: 1}); err != nil || !got.Scaled {
			t.Errorf("a follower starts too: %+v, %v", got, err)
		}
		w.expect(t, "a start on a follower", 1)
	})
}

func TestLeadership_ANewLeaderWaitsForReports(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		go w.heartbeat(ctx, func(r *fleet.Report) { r.StartedAt = time.Date(2000, 1, 1, 0, 0, 5, 0, time.UTC) })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		// The load balancer has been there for longer than idleTime by then, and saw nothing.
		time.Sleep(40 * time.Second)
		w.expect(t, "idle", 0)
	})
}

func TestFailure_IsToldOnceAndTriedAgain(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		w.mu.Lock()
		w.fail = fault.New(fault.Unavailable, "the controller may not scale")
		w.mu.Unlock()
		go w.heartbeat(ctx, func(r *fleet.Report) { r.Applications[0].Waiting = 1 })
		time.Sleep(20 * time.Second)
		synctest.Wait()
		w.mu.Lock()
		warnings := 0
		for _, e := range w.events {
			if e.Warning && e.Reason == "ScaleFailed" {
				warnings++
			}
		}
		w.fail = nil
		w.mu.Unlock()
		if warnings != 1 {
			t.Errorf("%d warnings, want the same failure told once", warnings)
		}
		if _, conditions := w.loop.Insight(key); !slices.ContainsFunc(conditions, func(c fleet.Condition) bool {
			return c.Type == AbleToScale && !c.OK && c.Message == "the controller may not scale"
		}) {
			t.Errorf("the conditions do not say why: %+v", conditions)
		}
		time.Sleep(lifecycle.LastPause)
		w.expect(t, "when it is allowed", 1)
		if _, conditions := w.loop.Insight(key); slices.ContainsFunc(conditions, func(c fleet.Condition) bool { return c.Type == AbleToScale && !c.OK }) {
			t.Errorf("the failure stays: %+v", conditions)
		}
	})
}

func TestStatus_IsWrittenSoonAfterAChange(t *testing.T) {
	within(t, 0, func(ctx context.Context, w *world) {
		time.Sleep(time.Second)
		synctest.Wait()
		w.mu.Lock()
		before := len(w.status)
		w.mu.Unlock()
		if _, err := w.loop.Start(ctx, key, scaling.Call{Waiting: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * statusDelay)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.status) != before+1 {
			t.Fatalf("%d writes, want one", len(w.status)-before)
		}
		last := w.status[len(w.status)-1]
		if len(last) != 1 || last[0].Replicas != 1 || last[0].State != fleet.Waking || last[0].Last == nil || last[0].Last.To != 1 {
			t.Errorf("got %+v", last)
		}
	})
}

func TestForget_EndsEverything(t *testing.T) {
	within(t, 1, func(ctx context.Context, w *world) {
		go w.heartbeat(ctx, nil)
		time.Sleep(time.Second)
		w.loop.Forget(key)
		time.Sleep(time.Hour)
		w.expect(t, "an application that is no longer named")
		if _, err := w.loop.Start(ctx, key, scaling.Call{}); !fault.Is(err, fault.NotFound) {
			t.Errorf("got %v", err)
		}
	})
}
