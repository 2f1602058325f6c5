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

// use tells the loop what a pod uses now, in millicores.
func (w *world) use(cpu float64, pods ...string) {
	list := make([]fleet.Measurement, 0, len(pods))
	for _, p := range pods {
		list = append(list, fleet.Measurement{
			Pod: fleet.PodName{Namespace: key.Namespace, Name: p}, Source: fleet.Sidecar, At: time.Now(), Values: map[fleet.Gauge]float64{fleet.CPUUsage: cpu},
		})
	}
	w.loop.Measure(list)
	synctest.Wait()
}

func ready(name string) fleet.Pod {
	return fleet.Pod{Name: name, Scheduled: true, Ready: true, Started: true, Address: "10.0.0.1:80"}
}

// busyWithin is a loaded world: one pod, cpuThreshold 700, a load balancer that reports every second, and
// one request more in flight each time.
func busyWithin(t *testing.T, test func(w *world)) {
	t.Helper()
	within(t, 1, func(ctx context.Context, w *world) {
		w.spec = func(s *scaling.Spec) { s.CPUThreshold, s.DownWindow = 700, 30*time.Second }
		load := int32(0)
		go w.heartbeat(ctx, func(r *fleet.Report) {
			load++
			r.Applications[0].InFlight, r.Applications[0].PodsSaid = load, true
			r.Applications[0].Pods = []fleet.PodTraffic{{Pod: "a", InFlight: load}}
		})
		w.observeReady()
		synctest.Wait()
		test(w)
	})
}

func TestLoad_OnePodMoreAndTheNextWhenItIsAlive(t *testing.T) {
	busyWithin(t, func(w *world) {
		w.use(900, "a")
		w.expect(t, "above the threshold", 2)
		w.observe(ready("a"), fleet.Pod{Name: "b"})
		time.Sleep(5 * time.Second)
		w.use(900, "a")
		w.expect(t, "while the second starts", 2)
		if d := w.loop.Decisions(fleet.Filter{Result: fleet.ResultHeld}, 1); len(d) != 1 || !strings.Contains(d[0].Summary, "1 pod is not alive yet") {
			t.Errorf("the journal says %+v", d)
		}
		w.observe(ready("a"), ready("b"))
		w.use(900, "a", "b")
		w.expect(t, "what the second used to start", 2)
		time.Sleep(5 * time.Second)
		w.use(900, "a", "b")
		w.expect(t, "both alive and busy", 2, 3)
		time.Sleep(time.Second)
		w.use(900, "a", "b")
		w.observe(ready("a"), ready("b"), ready("c"))
		time.Sleep(11 * time.Second)
		w.use(900, "a", "b", "c")
		w.expect(t, "at maxReplicas", 2, 3)
		d := w.loop.Decisions(fleet.Filter{Result: fleet.ResultHeld}, 1)
		if len(d) != 1 || !strings.Contains(d[0].Summary, "maxReplicas is 3") {
			t.Errorf("a wish that a clamp kept is not told: %+v", d)
		}
		w.published(t, "Settled", "1 → 2: all pods are alive")
		w.published(t, "Held", "maxReplicas is 3")
	})
}

func TestLoad_OnePodLessAndTheNextWhenItIsGone(t *testing.T) {
	busyWithin(t, func(w *world) {
		w.mu.Lock()
		w.scale.Replicas = 3
		w.mu.Unlock()
		w.observe(ready("a"), ready("b"), ready("c"))
		quiet := func(pods ...string) {
			for range 31 {
				w.use(50, pods...)
				time.Sleep(time.Second)
			}
		}
		quiet("a", "b", "c")
		w.expect(t, "far below for the window", 2)
		leaving := ready("b")
		leaving.Terminating, leaving.Failed = true, true // its containers have ended, and it is still there
		w.observe(ready("a"), leaving, ready("c"))
		quiet("a", "c")
		w.expect(t, "while the last one goes", 2)
		w.observe(ready("a"), ready("c"))
		w.use(50, "a", "c")
		w.expect(t, "when it has gone", 2, 1)
		w.published(t, "Settled", "3 → 2: b went, as chosen")
		w.published(t, "Draining", "b gets nothing new, and goes when it is empty")
	})
}

func TestLoad_NothingGoesWhenAPodSaysNothing(t *testing.T) {
	busyWithin(t, func(w *world) {
		w.mu.Lock()
		w.scale.Replicas = 2
		w.mu.Unlock()
		w.observe(ready("a"), ready("b"))
		for range 90 {
			w.use(50, "a")
			time.Sleep(time.Second)
		}
		w.expect(t, "with one pod silent")
		_, conditions := w.loop.Insight(key)
		for _, c := range conditions {
			if c.Type == ThresholdsActive && (c.OK || !strings.Contains(c.Message, "CPU_USAGE of 1 of 2 ready pods")) {
				t.Errorf("the condition says %+v", c)
			}
		}
		if d := w.loop.Decisions(fleet.Filter{Result: fleet.ResultHeld}, 1); len(d) != 1 || !strings.Contains(d[0].Summary, "no fresh CPU value of 1 ready pod") {
			t.Errorf("the journal says %+v", d)
		}
	})
}

func TestLoad_AnErrorIsTriedAgain(t *testing.T) {
	busyWithin(t, func(w *world) {
		w.mu.Lock()
		w.fail = fault.New(fault.Unavailable, "the API server is away")
		w.mu.Unlock()
		w.use(900, "a")
		w.expect(t, "while it fails")
		w.mu.Lock()
		w.fail = nil
		w.mu.Unlock()
		time.Sleep(lastRetry)
		w.use(900, "a")
		w.expect(t, "when it works again", 2)
	})
}

// published looks for an event.
func (w *world) published(t *testing.T, reason, text string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Reason == reason && strings.Contains(e.Message, text) {
			return
		}
	}
	t.Errorf("no event %s with %q among %+v", reason, text, w.events)
}
