package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// algorithm is the policy that fib follows.
func (w *world) algorithm() string { return w.Snapshots()[0].Algorithm }

func TestPrefer_IsForWhoNamesNoAlgorithmAndGoesOnWhereItIs(t *testing.T) {
	w := newWorld(nil)
	none := func(r *routing.Route) { r.Algorithm = "" }
	w.follow(routing.Awake, none, pod("a", nil), pod("b", nil), pod("c", nil))
	if w.algorithm() != "LeastConnections" {
		t.Errorf("at first %s is followed", w.algorithm())
	}
	w.Prefer("RoundRobin")
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
	synctest.Test(t, func(t *testing.T) {
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
		time.Sleep(removedGrace) // of virtual time
		synctest.Wait()
		if _, ok := w.Find(fib); ok {
			t.Error("found after its route went")
		}
		v.End(Outcome{Status: 200}, time.Now())
	})
}

func TestHashOn_IsWhatThePolicyGoesBy(t *testing.T) {
	w := newWorld(nil)
	header := routing.HashOn{Header: "X-User"}
	for _, c := range []struct {
		algorithm string
		said      routing.HashOn
		want      routing.HashOn
	}{
		{"LeastConnections", header, routing.HashOn{}},
		{"ConsistentHash", header, header},
		{"ConsistentHash", routing.HashOn{}, routing.HashOn{ClientAddress: true}},
		{"ModelAware", routing.HashOn{}, routing.HashOn{Prompt: true}},
		{"ModelAware", header, header},
	} {
		w.follow(routing.Awake, func(r *routing.Route) { r.Algorithm, r.HashOn = c.algorithm, c.said }, pod("a", nil))
		got := routing.HashOn{}
		if on := w.app().HashOn(); on != nil {
			got = *on
		}
		if got != c.want {
			t.Errorf("%s with %+v goes by %+v, want %+v", c.algorithm, c.said, got, c.want)
		}
	}
	w.follow(routing.Awake, func(r *routing.Route) { r.Algorithm = "" }, pod("a", nil))
	if w.Prefer("ConsistentHash"); w.app().HashOn() == nil {
		t.Error("the settings name the policy, and it goes by nothing")
	}
}

func TestLoad_OfAModelServerCountsWhenItIsNews(t *testing.T) {
	w := newWorld(nil)
	aware := func(r *routing.Route) { r.Algorithm = "ModelAware" }
	at := time.Unix(5, 0)
	says := func(running float64, at time.Time) func(*routing.Endpoint) {
		return func(e *routing.Endpoint) { e.Load = &routing.Load{Running: running, At: at} }
	}
	picked := func() string {
		v, _ := w.arrive(t)
		defer v.End(Outcome{Status: 200}, time.Now())
		return v.Pod.Name
	}
	w.follow(routing.Awake, aware, pod("a", says(5, at)), pod("b", says(1, at)))
	if got := picked(); got != "b" {
		t.Errorf("%s was chosen", got)
	}
	w.follow(routing.Awake, aware, pod("a", says(0, at)), pod("b", says(1, at))) // the same measurement
	if got := picked(); got != "b" {
		t.Errorf("after nothing new %s was chosen", got)
	}
	w.follow(routing.Awake, aware, pod("a", says(0, at.Add(time.Second))), pod("b", says(1, at)))
	if got := picked(); got != "a" {
		t.Errorf("after news of a %s was chosen", got)
	}
}
