package dispatch

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// algorithm is the policy that fib follows.
func (w *world) algorithm() string { return w.Snapshots()[0].Algorithm }

func TestPrefer_IsForWhoNamesNoAlgorithmAndGoesOnWhereItIs(t *testing.T) {
	w := newWorld(nil)
	none := func(r *routing.Route) { r.Algorithm = "" }
	w.follow(routing.Awake, none, pod("a", nil), pod("b", nil), pod("c", nil))
	if w.algorithm() != "RoundRobin" {
		t.Errorf("at first %s is followed", w.algorithm())
	}
	next := func() string {
		v, _ := w.arrive(t)
		defer v.End(Outcome{Status: 200}, time.Now())
		return v.Pod.Name
	}
	order := next()
	w.Prefer("RoundRobin") // no change
	order += next()
	w.follow(routing.Awake, none, pod("a", nil), pod("b", nil), pod("c", nil))
	if order += next(); order != "abc" {
		t.Errorf("the pods were chosen in the order %s: it began anew", order)
	}
	w.Prefer("Random")
	if w.algorithm() != "Random" {
		t.Errorf("after the change %s is followed", w.algorithm())
	}
	w.follow(routing.Awake, func(r *routing.Route) { r.Algorithm = "LeastConnections" }, pod("a", nil))
	w.Prefer("RoundRobin")
	if w.algorithm() != "LeastConnections" {
		t.Errorf("an application that names its own follows %s", w.algorithm())
	}
	w.follow(routing.Awake, none, pod("a", nil))
	if w.algorithm() != "RoundRobin" {
		t.Errorf("one that names none any more follows %s", w.algorithm())
	}
}

func TestFind_OnlyWithARoute(t *testing.T) {
	w := newWorld(nil)
	if _, ok := w.Find(fib); ok {
		t.Error("found before its route came")
	}
	w.follow(routing.Awake, nil, pod("a", nil))
	if app, ok := w.Find(fib); !ok || app.ID != fib {
		t.Errorf("%v, %v", app, ok)
	}
	v, _ := w.arrive(t) // keeps it known
	w.Apply(routing.Update{Version: "2", Complete: true})
	if _, ok := w.Find(fib); ok {
		t.Error("found after its route went")
	}
	v.End(Outcome{Status: 200}, time.Now())
}
