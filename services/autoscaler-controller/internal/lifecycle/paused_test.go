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
	return u.Routes[0]
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
