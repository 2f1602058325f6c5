package dispatch

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func named(name string) routing.Application {
	return routing.Application{Namespace: "default", Deployment: name}
}

// randomRoute is one of few addresses, so that many claim the same.
func randomRoute(r *rand.Rand, name string) routing.Route {
	address := func() (string, []string) {
		hosts := [][]string{nil, {"a.example"}, {"A.example", "b.example"}}[r.IntN(3)]
		return []string{"/", "/x", "/x/y", "/z"}[r.IntN(4)], hosts
	}
	route := routing.Route{Application: named(name), State: routing.Awake, WakeUpTimeout: time.Minute, Endpoints: []routing.Endpoint{pod("p-"+name, nil)}}
	route.Prefix, route.Hosts = address()
	if r.IntN(3) == 0 {
		also := routing.Place{}
		also.Prefix, also.Hosts = address()
		route.AlsoAt = append(route.AlsoAt, also)
	}
	return route
}

func matches(d *Dispatcher) map[string]string {
	found := map[string]string{}
	for _, host := range []string{"a.example", "b.example", "other"} {
		for _, path := range []string{"/", "/x", "/x/y/q", "/z", "/zz"} {
			if m, err := d.Match(host, path); err == nil {
				found[host+path] = m.Target.ID.Deployment + m.Path
			}
		}
	}
	return found
}

func TestApply_ChangesOneByOneComeToTheSameAsAllAtOnce(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 5))
		w, routes := newWorld(nil), map[string]routing.Route{}
		w.Apply(routing.Update{Version: "e.0", Complete: true})
		for step := range 60 {
			name := fmt.Sprint("a", r.IntN(10))
			u := routing.Update{Version: fmt.Sprint("e.", step+1)}
			if _, there := routes[name]; there && r.IntN(3) == 0 {
				delete(routes, name)
				u.Removed = []routing.Application{named(name)}
			} else {
				routes[name] = randomRoute(r, name)
				u.Routes = []routing.Route{routes[name]}
			}
			w.Apply(u)
			fresh := newWorld(nil)
			fresh.Apply(routing.Update{Version: "f.1", Complete: true, Routes: slices.Collect(maps.Values(routes))})
			if got, want := matches(w.Dispatcher), matches(fresh.Dispatcher); !maps.Equal(got, want) {
				t.Fatalf("seed %d, step %d: %v, want %v", seed, step, got, want)
			}
			if len(w.Applications()) != len(routes) || int(w.routes.Load()) != len(routes) || len(w.ending) != 0 {
				t.Fatalf("seed %d, step %d: %d applications, %d routes, want %d", seed, step, len(w.Applications()), w.routes.Load(), len(routes))
			}
		}
	}
}

func TestApply_WhoLosesAnAddressIsNamedOnce(t *testing.T) {
	w := newWorld(nil)
	claim := func(name string) routing.Update {
		return routing.Update{Version: name, Routes: []routing.Route{{Application: named(name), Prefix: "/fib"}}}
	}
	if lost := w.Apply(claim("b")); len(lost) != 0 {
		t.Errorf("alone: %v", lost)
	}
	if lost := w.Apply(claim("c")); !slices.Equal(lost, []routing.Application{named("c")}) {
		t.Errorf("behind another one: %v", lost)
	}
	if lost := w.Apply(claim("c")); len(lost) != 0 {
		t.Errorf("once more: %v", lost)
	}
	if lost := w.Apply(claim("a")); !slices.Equal(lost, []routing.Application{named("b")}) {
		t.Errorf("before another one: %v", lost)
	}
	w.Apply(routing.Update{Version: "x", Removed: []routing.Application{named("a")}})
	if m, err := w.Match("x", "/fib"); err != nil || m.Target.ID != named("b") {
		t.Errorf("the next one has it: %v, %v", m.Target, err)
	}
}

func TestApply_ANewLeaderThatSaysNothingNewDisturbsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil), pod("b", starting))
		v, _ := w.arrive(t)
		app, table, pods, probes, reports := w.app(), w.table.Load(), slices.Clone(w.app().pods), len(w.probes), w.reports
		if lost := w.Apply(routing.Update{Version: "f.7", Anew: true, Balancers: []routing.Balancer{}}); len(lost) != 0 {
			t.Errorf("lost %v", lost)
		}
		if w.Version() != "f.7" || w.app() != app || w.table.Load() != table || !slices.Equal(app.pods, pods) || len(w.probes) != probes || w.reports != reports || len(w.gone) != 0 {
			t.Errorf("version %s, %d probes, %d reports", w.Version(), len(w.probes), w.reports)
		}
		v.End(Outcome{Status: 200}, time.Now())
	})
}

func TestApply_WhoHasNoRouteIsForgottenWithItsLastRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil))
		v, _ := w.arrive(t)
		w.retireFib("x.2")
		time.Sleep(removedGrace)
		synctest.Wait()
		if _, err := w.Match("x", "/fib"); err == nil || len(w.gone) != 0 || len(w.ending) != 1 {
			t.Errorf("matched: %v, forgotten %v, ending %d", err, w.gone, len(w.ending))
		}
		v.End(Outcome{Status: 200}, time.Now())
		w.Apply(routing.Update{Version: "x.3"})
		if len(w.gone) != 1 || len(w.ending) != 0 || len(w.Applications()) != 0 {
			t.Errorf("forgotten %v, ending %d, known %d", w.gone, len(w.ending), len(w.Applications()))
		}
	})
}

// An application that is made again under the name of one that was forgotten is not taken for it when the
// time is over for which the other's route was kept.
func TestApply_TheGraceOfOneThatIsForgottenIsNotThatOfItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(nil)
		w.follow(routing.Awake, nil, pod("a", nil))
		v, _ := w.arrive(t)
		v.End(Outcome{Status: 200}, time.Now())
		w.retireFib("x.2") // it was in use a moment ago: kept
		time.Sleep(time.Second)
		w.follow(routing.Awake, nil, pod("a", nil))
		w.app().activity.Store(0)
		w.retireFib("x.3") // not in use: gone at once
		w.follow(routing.Awake, nil, pod("a", nil))
		time.Sleep(2 * removedGrace)
		synctest.Wait()
		if m, err := w.Match("x", "/fib"); err != nil || m.Target != w.app() || len(w.Applications()) != 1 {
			t.Errorf("%v, %v, %d known", m.Target, err, len(w.Applications()))
		}
	})
}

// benchRoutes are so many applications with a pod each, in two states.
func benchRoutes(n int) (w *world, routes [2][]routing.Route) {
	w = newWorld(nil)
	for i := range n {
		name := fmt.Sprint("app-", i)
		r := routing.Route{Application: named(name), Prefix: "/" + name, State: routing.Awake, WakeUpTimeout: time.Minute, Endpoints: []routing.Endpoint{pod(name, nil)}}
		routes[0] = append(routes[0], r)
		r.Endpoints = []routing.Endpoint{pod(name, nil), pod(name+"-2", nil)}
		routes[1] = append(routes[1], r)
	}
	w.Apply(routing.Update{Version: "e.1", Complete: true, Routes: routes[0]})
	return w, routes
}

func BenchmarkApply_OneRouteChanges(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, routes := benchRoutes(n)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				k := i % n
				w.Apply(routing.Update{Version: "e.2", Routes: routes[(i/n+1)%2][k : k+1]})
			}
		})
	}
}
