package lifecycle

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func paused(w *world) { w.spec.Mode, w.spec.PausedReplicas = scaling.Paused, new(int32(0)) }

func (w *world) route() fleet.Route {
	u, _ := w.fleet.Routes("")
	return *u.Routes[0]
}

func TestPaused_AtZeroComesToItWhateverIsOnThePods(t *testing.T) {
	w := newWorld(t, 2, paused, func(w *world) { w.busy("web-0", 2, 0) })
	w.run(1)
	if r := w.route(); r.State != fleet.FallingAsleep || r.Blocked.Reason != "Paused" || !r.Blocked.Since.Equal(start.Add(time.Second)) {
		t.Errorf("on the way requests are not refused: %s, %+v", r.State, r.Blocked)
	}
	w.run(int(PlainTimeout/time.Second) - 1)
	w.expect("within its time", nil, nil)
	w.run(2)
	if w.want != 0 || !w.said("the time of 60 s is over for what is still on it") {
		t.Errorf("%d pods are asked for after %v: %+v", w.want, PlainTimeout, w.reports[len(w.reports)-1].Decision.Summary)
	}
	if r := w.route(); r.State != fleet.Asleep || r.Blocked.Reason != "Paused" {
		t.Errorf("down: %s, %+v", r.State, r.Blocked)
	}
}

func TestPaused_AtZeroWaitsForAStream(t *testing.T) {
	w := newWorld(t, 1, paused, func(w *world) { w.busy("web-0", 0, 1) })
	w.run(300)
	w.expect("while it streams", nil, nil)
	w.busy("web-0", 0, 0)
	w.run(2)
	w.expect("when it has ended", []string{"web-0"}, nil)
}

func TestPaused_AtZeroIsCalledOffByTheUserAlone(t *testing.T) {
	w := newWorld(t, 1, paused, func(w *world) { w.busy("web-0", 1, 0) })
	w.run(30)
	w.spec.Mode = scaling.Active
	w.observe()
	w.run(2)
	if r := w.route(); r.State != fleet.Awake || r.Blocked.Reason != "" {
		t.Errorf("active again: %s, %+v", r.State, r.Blocked)
	}
	w.expect("active again", nil, nil)
}

func TestPaused_AtZeroTakesTheTimeThatIsGiven(t *testing.T) {
	w := newWorld(t, 1, paused, func(w *world) {
		w.busy("web-0", 0, 1)
		w.spec.DrainTimeout = new(10 * time.Second)
	})
	w.run(10)
	w.expect("within it", nil, nil)
	w.run(2)
	w.expect("after it", []string{"web-0"}, []string{"web-0"})
}

func TestPaused_OnTheWayDownKeepsWhatIsThereAndLeavesNoMark(t *testing.T) {
	for _, mode := range []scaling.Mode{scaling.Paused, scaling.Observe} {
		w := lowered(t, 3, 1, func(w *world) { w.busy("web-1", 0, 1); w.busy("web-2", 0, 1) })
		w.run(5)
		w.spec.Mode = mode
		w.observe()
		w.run(30)
		if len(w.draining()) > 0 || len(w.marked()) > 0 || w.want != 2 { // web-0 was idle, and went
			t.Errorf("%s: %v drain, %v are marked, %d pods are asked for", mode, w.draining(), w.marked(), w.want)
		}
	}
}

func TestWayDown_ByHandMeanwhileGoesOnFromThere(t *testing.T) {
	w := lowered(t, 4, 1, func(w *world) {
		for _, name := range []string{"web-0", "web-1", "web-2", "web-3"} {
			w.busy(name, 0, 1)
		}
	})
	w.run(5)
	w.scale(3) // somebody else: Kubernetes takes one of those that are marked
	if kept := w.draining(); len(kept) != 3 {
		t.Fatalf("draining %v", kept)
	}
	w.observe()
	w.run(20)
	if w.want != 3 || len(w.draining()) != 2 || len(w.marked()) != 2 {
		t.Errorf("%d pods are asked for, %v drain, %v are marked", w.want, w.draining(), w.marked())
	}
	for name := range w.on {
		w.busy(name, 0, 0)
	}
	w.run(5)
	if w.want != 1 || len(w.marked()) != 0 {
		t.Errorf("at the end: %d pods, %v are marked", w.want, w.marked())
	}
}

func TestWayDown_ByAScheduleThatGoesBelowTheMinimum(t *testing.T) {
	one := int32(1)
	w := newWorld(t, 3, func(w *world) {
		w.spec.MinReplicas = 3
		w.spec.Schedules = []scaling.Schedule{{Name: "night", Start: never{}, End: tomorrow{}, Max: &one}}
		w.busy("web-0", 0, 1)
		w.busy("web-2", 0, 1)
	})
	w.run(30)
	w.expect("while two stream", []string{"web-1"}, nil)
	w.spec.Schedules = nil // the night is over: the minimum binds again
	w.observe()
	w.run(5)
	if w.want != 3 || len(w.draining()) > 0 || len(w.marked()) > 0 {
		t.Errorf("%d pods are asked for, %v drain, %v are marked", w.want, w.draining(), w.marked())
	}
}

type (
	never    struct{}
	tomorrow struct{}
)

func (never) Next(time.Time) time.Time      { return time.Time{} }
func (tomorrow) Next(t time.Time) time.Time { return t.Add(24 * time.Hour) }
