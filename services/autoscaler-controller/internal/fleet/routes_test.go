package fleet

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// summary is an update in short: its routes' deployments, and what is removed.
func summary(u Update) (complete bool, routes, removed []string) {
	for _, r := range u.Routes {
		routes = append(routes, r.Deployment)
	}
	for _, k := range u.Removed {
		removed = append(removed, k.Deployment)
	}
	return u.Complete, routes, removed
}

func observeApp(f *Fleet, name string, replicas int32) {
	o := seen(replicas)
	o.Key.Deployment = name
	f.Observe(o, now)
}

func TestRoutes_TellOnlyWhatChanged(t *testing.T) {
	f := New("e")
	observeApp(f, "a", 0)
	observeApp(f, "b", 0)
	check := func(what, after string, complete bool, routes, removed []string) string {
		t.Helper()
		u, _ := f.Routes(after)
		c, r, gone := summary(u)
		if diff := cmp.Diff([]any{complete, routes, removed}, []any{c, r, gone}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		return u.Version
	}
	both := []string{"a", "b"}
	v := check("no version", "", true, both, nil)
	check("the newest", v, false, nil, nil)
	check("another life", "f.1", true, both, nil)
	check("from the future", "e.99", true, both, nil)
	check("no version at all", "nonsense", true, both, nil)
	check("from the very beginning", "e.0", false, []string{"b", "a"}, nil)
	observeApp(f, "a", 0)
	check("nothing new was seen", v, false, nil, nil)
	observeApp(f, "a", 1)
	observeApp(f, "a", 2)
	w := check("one changed", v, false, []string{"a"}, nil)
	f.Forget(Key{Namespace: "default", Deployment: "b"})
	f.Forget(Key{Namespace: "default", Deployment: "never known"})
	check("one is gone", w, false, nil, []string{"b"})
	observeApp(f, "b", 0)
	check("it is back", w, false, []string{"b"}, nil)
}

func TestRoutes_ARouteIsToldOnceHoweverOftenItChanged(t *testing.T) {
	f := New("e")
	observeApp(f, "b", 0)
	for i := range 3 * keptRemovals {
		observeApp(f, "a", int32(i%2))
	}
	if u, _ := f.Routes("e.1"); u.Complete || len(u.Routes) != 1 || u.Routes[0].Deployment != "a" || u.Version != fmt.Sprintf("e.%d", 3*keptRemovals+1) {
		t.Errorf("got %+v", u)
	}
}

func TestRoutes_WhoHasNotHeardOfARemovalThatIsForgottenGetsEverything(t *testing.T) {
	f := New("e")
	observeApp(f, "stays", 0)
	for i := range keptRemovals + 2 {
		name := fmt.Sprint("a", i)
		observeApp(f, name, 0)
		f.Forget(Key{Namespace: "default", Deployment: name})
	}
	// The first one came with version 2 and went with version 3, the second one with 4 and 5.
	if u, _ := f.Routes("e.4"); !u.Complete || len(u.Routes) != 1 || len(u.Removed) != 0 {
		t.Errorf("who followed what is forgotten: complete %v, %d removed", u.Complete, len(u.Removed))
	}
	if u, _ := f.Routes("e.5"); u.Complete || len(u.Routes) != 0 || len(u.Removed) != keptRemovals {
		t.Errorf("who followed what is remembered: complete %v, %d removed", u.Complete, len(u.Removed))
	}
	if n := len(f.routes.places); n != keptRemovals+1 {
		t.Errorf("%d places are kept", n)
	}
}

// Whoever follows the changes, however many at a time, holds what there is.
func TestRoutes_TheChangesAddUpToEverything(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := New("e")
		held, version := map[Key]*Route{}, ""
		for range 2000 {
			name := fmt.Sprint("a", r.IntN(30))
			if r.IntN(3) == 0 {
				f.Forget(Key{Namespace: "default", Deployment: name})
			} else {
				observeApp(f, name, int32(r.IntN(3)))
			}
			if r.IntN(10) > 0 {
				continue
			}
			u, _ := f.Routes(version)
			told := map[Key]bool{}
			for _, route := range u.Routes {
				if told[route.Key] {
					t.Fatalf("seed %d: %s is told twice: %+v", seed, route.Key, u)
				}
				told[route.Key], held[route.Key] = true, route
			}
			for _, k := range u.Removed {
				if told[k] || held[k] == nil && version == "" {
					t.Fatalf("seed %d: %s is told and removed: %+v", seed, k, u)
				}
				told[k] = true
				delete(held, k)
			}
			version = u.Version
			all, _ := f.Routes("")
			if len(all.Routes) != len(held) {
				t.Fatalf("seed %d: %d are held of %d", seed, len(held), len(all.Routes))
			}
			for _, route := range all.Routes {
				if held[route.Key] != route {
					t.Fatalf("seed %d: of %s is held %+v, and there is %+v", seed, route.Key, held[route.Key], route)
				}
			}
		}
	}
}

func TestRoutes_AChangeWakesTheWaiting(t *testing.T) {
	f := New("e")
	_, changed := f.Routes("")
	select {
	case <-changed:
		t.Fatal("nothing has changed")
	default:
	}
	observeApp(f, "a", 0)
	select {
	case <-changed:
	default:
		t.Error("a change was not told")
	}
}

func TestRoutes_Endpoints(t *testing.T) {
	f := New("e")
	o := seen(3,
		pod("a"),
		pod("b", notReady),
		pod("c", notReady, func(p *Pod) { p.Address = "" }),
		pod("d", func(p *Pod) { p.Terminating = true }),
		pod("e", func(p *Pod) { p.Failed = true }),
		pod("f", notReady, func(p *Pod) { p.WasReady = true }),
		pod("g", notReady, func(p *Pod) { p.Probeable = false }))
	f.Observe(o, now)
	type short struct {
		Pod                           string
		Ready, Terminating, Probeable bool
	}
	list := func() []short {
		u, _ := f.Routes("")
		var l []short
		for _, e := range u.Routes[0].Endpoints {
			l = append(l, short{e.Pod, e.Ready, e.Terminating, e.Probeable})
		}
		return l
	}
	if diff := cmp.Diff([]short{
		{"a", true, false, true}, {"b", false, false, true}, {"d", true, true, true},
		{"f", false, false, false}, {"g", false, false, false},
	}, list()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	o.Pods = []Pod{pod("a", notReady)}
	f.Observe(o, now)
	if diff := cmp.Diff([]short{{"a", false, false, false}}, list()); diff != "" {
		t.Errorf("not ready after it was (-want +got):\n%s", diff)
	}
}

func TestRoutes_SettingsAreOneMoreThingThatChanges(t *testing.T) {
	f := New("e")
	observeApp(f, "a", 0)
	before, changed := f.Routes("")
	if before.Settings != nil {
		t.Errorf("told before they are known: %+v", before.Settings)
	}
	s := BalancerSettings{Policy: "random", MaxConnections: 3}
	f.Configure(s)
	select {
	case <-changed:
	default:
		t.Error("the waiting are not told")
	}
	u, _ := f.Routes(before.Version)
	if u.Complete || len(u.Routes) != 0 || u.Settings == nil || *u.Settings != s {
		t.Errorf("got %+v", u)
	}
	f.Configure(s)
	if again, _ := f.Routes(u.Version); again.Version != u.Version || again.Settings != nil {
		t.Errorf("the same settings are told as news: %+v", again)
	}
	newer := s
	newer.Version++ // it was changed, and set back, and this process saw the end alone
	f.Configure(newer)
	if u, _ = f.Routes(u.Version); u.Settings == nil || *u.Settings != newer {
		t.Errorf("a new version of the same is not published: %+v", u)
	}
	s = newer
	observeApp(f, "a", 1)
	if later, _ := f.Routes(u.Version); later.Settings != nil || len(later.Routes) != 1 {
		t.Errorf("a route changed, and the settings are told with it: %+v", later)
	}
	if whole, _ := f.Routes(""); !whole.Complete || whole.Settings == nil || *whole.Settings != s {
		t.Errorf("everything lacks them: %+v", whole)
	}
}
