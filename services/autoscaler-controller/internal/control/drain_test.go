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
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/lifecycle"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// streams are what is on the pods, by name.
type streams map[string]int32

func (s streams) report(r *fleet.Report) {
	t := &r.Applications[0]
	t.PodsSaid, t.Pods, t.InFlight, t.Streaming = true, nil, 0, 0
	for pod, n := range s {
		t.Pods = append(t.Pods, fleet.PodTraffic{Pod: pod, InFlight: n, Streaming: n})
		t.InFlight += n
		t.Streaming += n
	}
}

// three is a world of three pods, each with a stream, and a load balancer that reports of them.
func three(t *testing.T, test func(ctx context.Context, w *world, on streams)) {
	t.Helper()
	within(t, 3, func(ctx context.Context, w *world) {
		on := streams{"a": 1, "b": 1, "c": 1}
		w.spec = func(s *scaling.Spec) { s.MaxReplicas = 3 }
		w.observe(ready("a"), ready("b"), ready("c"))
		go w.heartbeat(ctx, func(r *fleet.Report) {
			w.mu.Lock()
			defer w.mu.Unlock()
			on.report(r)
		})
		time.Sleep(3 * time.Second)
		test(ctx, w, on)
	})
}

func (w *world) lower(to int32) {
	w.mu.Lock()
	w.spec = func(s *scaling.Spec) { s.MaxReplicas = to }
	w.mu.Unlock()
	w.observe(ready("a"), ready("b"), ready("c"))
}

func (w *world) ends(on streams, pod string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(on, pod)
}

func TestDrain_FromTheReportToThePatch(t *testing.T) {
	three(t, func(_ context.Context, w *world, on streams) {
		w.lower(1)
		time.Sleep(2 * time.Minute)
		w.expect(t, "while all stream")
		w.mu.Lock()
		marked := len(w.marks)
		w.mu.Unlock()
		if marked != 2 {
			t.Errorf("%d pods are marked, want 2", marked)
		}
		w.published(t, "Draining", "get nothing new, and go when they are empty")
		w.ends(on, "a")
		time.Sleep(2 * time.Second)
		w.expect(t, "one of the chosen is empty", 2)
		d := w.loop.Decisions(fleet.Filter{Result: fleet.ResultApplied}, 1)
		if len(d) != 1 || !slices.ContainsFunc(d[0].Reasons, func(r scaling.Reason) bool {
			return strings.Contains(r.Message, "a goes") && strings.Contains(r.Message, "and 1 stream")
		}) {
			t.Errorf("the decision does not say who went, and for what it was waited: %+v", d)
		}
	})
}

func TestDrain_IsCalledOffAndTheMarksAreTakenBack(t *testing.T) {
	three(t, func(_ context.Context, w *world, _ streams) {
		w.lower(1)
		time.Sleep(10 * time.Second)
		w.lower(3)
		time.Sleep(2 * time.Second)
		w.expect(t, "called off")
		w.mu.Lock()
		defer w.mu.Unlock()
		for pod, m := range w.marks {
			if !m.Mark.Since.IsZero() {
				t.Errorf("%s is still marked: %+v", pod, m)
			}
		}
	})
}

func TestBackoff_NewsDoesNotOverruleIt(t *testing.T) {
	three(t, func(_ context.Context, w *world, on streams) {
		w.mu.Lock()
		w.refuse = fault.New(fault.Unavailable, "the controller may not mark the pod")
		w.mu.Unlock()
		w.lower(1)
		for range 600 { // a report each second, and an observation
			time.Sleep(time.Second)
			w.lower(1)
		}
		w.mu.Lock()
		tried := w.tried
		w.mu.Unlock()
		if tried < 20 || tried > 40 {
			t.Errorf("tried %d times within ten minutes, want about one in 30 s", tried)
		}
		w.mu.Lock()
		w.refuse = nil
		w.mu.Unlock()
		w.ends(on, "a")
		w.ends(on, "b")
		time.Sleep(lifecycle.LastPause + 2*time.Second)
		if replicas, _ := w.get(); replicas != 1 {
			t.Errorf("%d pods are asked for", replicas)
		}
	})
}

func TestTerm_EndsWhenItsWorkHasEnded(t *testing.T) {
	three(t, func(ctx context.Context, w *world, on streams) {
		w.mu.Lock()
		w.slow = time.Hour // the API server hangs
		w.mu.Unlock()
		w.ends(on, "a")
		w.ends(on, "b")
		w.lower(1)
		time.Sleep(2 * time.Second)
		began := time.Now()
		w.lead() // the Lease is lost in the middle of a patch
		synctest.Wait()
		if w.loop.Leading() {
			t.Error("it still leads")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("what was under way ended %v after the term", took)
		}
		w.mu.Lock()
		w.slow = 0
		w.mu.Unlock()
		time.Sleep(time.Minute)
		w.expect(t, "after the term")
		again, lose := context.WithCancel(ctx)
		defer lose()
		go w.loop.Lead(again)
		time.Sleep(2 * time.Minute)
		if replicas, _ := w.get(); replicas != 1 {
			t.Errorf("%d pods are asked for in the next term", replicas)
		}
		lose()
		synctest.Wait()
	})
}
