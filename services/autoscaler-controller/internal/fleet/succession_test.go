package fleet

import (
	"slices"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// succeeding is a fleet that leads since now, after one that heard these load balancers, with one
// application that has a pod and has been idle for long, as far as "a" knows.
func succeeding(awaited ...string) *Fleet {
	f := New("e")
	f.Observe(seen(1, pod("p")), at(-5))
	f.Lead(now, awaited)
	traffic(f, "a", 1, at(1))
	return f
}

func holds(t *testing.T, f *Fleet, moment time.Time) bool {
	t.Helper()
	spec, s, _ := f.State(key, "", moment)
	d := scaling.Decide(spec, s, moment)
	return slices.ContainsFunc(d.Reasons, func(r scaling.Reason) bool { return r.Rule == "StaleReport" && r.Effect == scaling.Hold })
}

func TestLead_AwaitsWhomTheLeaderBeforeHeard(t *testing.T) {
	f := succeeding("a", "b")
	s := state(t, f, at(2))
	if !slices.Equal(s.Traffic.Live, []string{"a"}) || len(s.Traffic.Stale) != 1 || s.Traffic.Stale[0].Name != "b" || !s.Traffic.Stale[0].Awaited ||
		!s.Traffic.NextAge.Equal(now.Add(ForgetFor)) {
		t.Fatalf("got %+v", s.Traffic)
	}
	if !holds(t, f, at(2)) {
		t.Error("it would go down although b may have requests in flight")
	}
	if live, stale, _ := f.Reporting(at(2)); live != 1 || stale != 1 {
		t.Errorf("%d live, %d stale", live, stale)
	}
	stream := func(r *Report) { r.Applications[0].InFlight, r.Applications[0].Streaming = 1, 1 }
	if touched := traffic(f, "b", 40, at(3), stream); !slices.Contains(touched, key) {
		t.Errorf("its first report touches %v", touched)
	}
	if s = state(t, f, at(3)); len(s.Traffic.Stale) != 0 || s.Traffic.Streaming != 1 || !s.Traffic.IdleSince.Equal(at(3)) {
		t.Errorf("with its report %+v", s.Traffic)
	}
	traffic(f, "b", 41, at(4))
	traffic(f, "a", 2, at(94))
	traffic(f, "b", 42, at(94))
	if holds(t, f, at(94)) {
		t.Error("it is held although everyone was heard")
	}
}

func TestLead_AnApplicationThatNobodySpeaksOfIsTouchedByTheFirstReport(t *testing.T) {
	f := succeeding("a", "b")
	if touched := traffic(f, "b", 1, at(3), func(r *Report) { r.Applications = nil }); !slices.Contains(touched, key) {
		t.Errorf("touched %v: the hold would stay until something else happens", touched)
	}
}

func TestLead_WhoIsAwaitedInVainIsForgottenAndCountsAsTrafficUntilThen(t *testing.T) {
	f := succeeding("a", "b")
	for second := 2.0; second < 60; second++ {
		traffic(f, "a", int64(second), at(second))
		if !holds(t, f, at(second)) {
			t.Fatalf("not held after %v s", second)
		}
	}
	traffic(f, "a", 60, at(60))
	if s := state(t, f, at(60)); len(s.Traffic.Stale) != 0 || !s.Traffic.IdleSince.Equal(now) {
		t.Errorf("got %+v; want idle since the moment when it was awaited", s.Traffic)
	}
}

func TestLead_WhoLeavesIsAwaitedNoMore(t *testing.T) {
	f := succeeding("a", "b")
	traffic(f, "b", 9, at(2), func(r *Report) { r.Leaving = true })
	if s := state(t, f, at(2)); len(s.Traffic.Stale) != 0 {
		t.Errorf("got %+v", s.Traffic)
	}
}

func TestLead_AReportFromBeforeTheTermCountsWhileItIsFresh(t *testing.T) {
	f := New("e")
	f.Observe(seen(1, pod("p")), at(-90))
	traffic(f, "silent", 1, at(-30)) // the leader did not answer for a while, so it came here
	traffic(f, "fresh", 1, at(-3))
	f.Lead(now, []string{"fresh", "silent"})
	s := state(t, f, at(1))
	if !slices.Equal(s.Traffic.Live, []string{"fresh"}) || len(s.Traffic.Stale) != 1 || !s.Traffic.Stale[0].Awaited || !s.Traffic.NextAge.Equal(now.Add(ForgetFor)) {
		t.Errorf("got %+v", s.Traffic)
	}
}

func TestBalancers_AreTheLeadersWordAlone(t *testing.T) {
	f := New("e")
	traffic(f, "b", 1, at(-3))
	if names, leads := f.Balancers(); leads {
		t.Errorf("a follower says %v", names)
	}
	f.Lead(now, []string{"c", "a"})
	if names, leads := f.Balancers(); !leads || !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("got %v, %v: whom it awaits the next one must await too", names, leads)
	}
	f.Follow()
	if _, leads := f.Balancers(); leads {
		t.Error("it still speaks after its term")
	}
}

func TestLead_IsBounded(t *testing.T) {
	f := New("e")
	many := make([]string, 2*MaxBalancers)
	for i := range many {
		many[i] = time.Duration(i).String()
	}
	f.Lead(now, many)
	if names, _ := f.Balancers(); len(names) != MaxBalancers {
		t.Errorf("%d are awaited", len(names))
	}
}

func TestLead_ANewLeaderThatKnowsNoDemandYetTakesNothingAway(t *testing.T) {
	o := seen(10, pod("a"), pod("b"))
	o.Spec.MaxReplicas, o.Spec.ContainerConcurrency = 10, 1
	f := leading(o)
	for sequence, n := range []int64{1_000, 1_007, 1_014} {
		traffic(f, "lb", int64(sequence+1), at(float64(sequence)), summed(n, n, float64(n), func(t *Traffic) { t.InFlight = 7 }))
		spec, s, _ := f.State(key, "", at(float64(sequence)))
		if d := scaling.Decide(spec, s, at(float64(sequence))); d.To < 10 { // without any stabilization
			t.Errorf("after %d reports of 7 requests on 1-slot pods: %s", sequence+1, d.Summary)
		}
	}
}
