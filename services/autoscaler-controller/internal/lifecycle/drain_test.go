package lifecycle

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// lowered is a world of so many pods where maxReplicas is so much.
func lowered(t *testing.T, pods int, to int32, change ...func(*world)) *world {
	t.Helper()
	return newWorld(t, pods, append([]func(*world){func(w *world) { w.spec.MaxReplicas = to }}, change...)...)
}

// said is whether a recorded decision says so in a reason, an event's text included.
func (w *world) said(text string) bool {
	return slices.ContainsFunc(w.reports, func(r Report) bool {
		return slices.ContainsFunc(r.Decision.Reasons, func(reason scaling.Reason) bool { return strings.Contains(reason.Message, text) })
	})
}

func TestWayDown_TheIdlePodGoesAndTheNewestStreamStays(t *testing.T) { // K1
	w := lowered(t, 3, 2, func(w *world) { w.busy("web-2", 0, 1); w.busy("web-0", 3, 0) })
	w.look()
	if got := w.draining(); !slices.Equal(got, []string{"web-1"}) {
		t.Fatalf("draining %v", got)
	}
	w.expect("before the load balancers have answered", nil, nil)
	w.run(2)
	w.expect("when they have", []string{"web-1"}, nil)
	if !w.said("web-1 goes (idle, 1 of 3 pods)") {
		t.Errorf("the decisions do not say who, and why: %+v", w.reports)
	}
	w.run(3)
	if len(w.settled) != 1 || w.settled[0].Mistaken || !strings.Contains(w.settled[0].Text, "web-1 went, as chosen") || w.settled[0].Record.Trigger != scaling.ByDrain {
		t.Errorf("the end: %+v", w.settled)
	}
}

func TestWayDown_NobodyIsCutWhileAllStream(t *testing.T) { // K2
	w := lowered(t, 3, 1, func(w *world) { w.busy("web-0", 0, 2); w.busy("web-1", 0, 1); w.busy("web-2", 0, 1) })
	w.run(100)
	w.expect("while they stream", nil, nil)
	if got := w.draining(); !slices.Equal(got, []string{"web-1", "web-2"}) {
		t.Errorf("draining %v", got)
	}
	w.busy("web-1", 0, 0)
	w.run(2)
	w.expect("the first stream has ended", []string{"web-1"}, nil)
	if w.want != 2 {
		t.Errorf("%d pods are asked for", w.want)
	}
	w.busy("web-2", 0, 0)
	w.run(3)
	w.expect("the other one too", []string{"web-1", "web-2"}, nil)
	if !w.said("and 1 stream") {
		t.Error("no decision says how many streams were waited for")
	}
}

func TestWayDown_EndsWhenTheTimeIsOver(t *testing.T) {
	minute := time.Minute
	for name, c := range map[string]struct {
		limit   *time.Duration
		streams int32
		after   int // seconds
	}{
		"a stream, by default":     {nil, 1, 900},
		"a request, by default":    {nil, 0, 60},
		"a stream, and a minute":   {&minute, 1, 60},
		"a stream, and no time":    {new(time.Duration), 1, 0},
		"a request and no time":    {new(time.Duration), 0, 0},
		"a request and one minute": {&minute, 0, 60},
	} {
		t.Run(name, func(t *testing.T) {
			w := lowered(t, 2, 1, func(w *world) {
				w.spec.DrainTimeout = c.limit
				w.busy("web-0", 9, 3)
				w.busy("web-1", 1-c.streams, c.streams)
			})
			w.look()
			w.run(c.after - 1)
			if c.after > 0 {
				w.expect("before", nil, nil)
			}
			w.run(1)
			w.expect("after", []string{"web-1"}, []string{"web-1"})
			if !w.said("is over") {
				t.Errorf("the decision does not say that the time is over: %+v", w.reports[len(w.reports)-1].Decision.Reasons)
			}
		})
	}
}

func TestWayDown_IsCalledOffWhenDemandRises(t *testing.T) {
	w := lowered(t, 3, 1, func(w *world) { w.busy("web-1", 0, 1); w.busy("web-2", 0, 1) })
	w.pod("web-2").Cost = 7
	w.observe()
	w.run(3)
	if got := w.marked(); !slices.Equal(got, []string{"web-0", "web-2"}) && !slices.Equal(got, []string{"web-2"}) && !slices.Equal(got, []string{"web-1"}) {
		t.Logf("marked: %v", got)
	}
	w.spec.MaxReplicas = 10
	w.observe()
	w.run(1)
	if got := w.draining(); got != nil {
		t.Errorf("still draining %v", got)
	}
	if got := w.marked(); got != nil {
		t.Errorf("still marked %v", got)
	}
	for _, p := range w.pods {
		if want := map[string]int32{"web-2": 7}[p.Name]; p.Cost != want {
			t.Errorf("%s costs %d, want %d as before", p.Name, p.Cost, want)
		}
	}
	if len(w.cut) > 0 || !strings.Contains(w.reports[len(w.reports)-1].Decision.Summary, "the way down is called off") {
		t.Errorf("cut %v; said %q", w.cut, w.reports[len(w.reports)-1].Decision.Summary)
	}
}

func TestWayDown_PartOfItIsCalledOff(t *testing.T) {
	w := lowered(t, 4, 1, func(w *world) {
		for i, name := range []string{"web-0", "web-1", "web-2", "web-3"} {
			w.busy(name, 0, int32(4-i))
		}
	})
	w.run(3)
	w.spec.MaxReplicas = 3
	w.observe()
	w.run(1)
	if got := w.draining(); !slices.Equal(got, []string{"web-3"}) || !slices.Equal(w.marked(), got) {
		t.Errorf("draining %v, marked %v: want the one with the least on it", got, w.marked())
	}
}

func TestWayDown_ABalancerThatDiesIsWaitedForUntilItIsForgotten(t *testing.T) {
	w := lowered(t, 3, 2)
	w.balancers["lb-b"].behind = true
	w.run(5)
	w.expect("one has not taken up the routes", nil, nil)
	w.balancers["lb-b"].dead = true
	w.run(30)
	w.expect("it is silent", nil, nil)
	if got := w.draining(); len(got) != 1 {
		t.Errorf("the choice is lost meanwhile: %v", got)
	}
	w.run(31)
	w.expect("it counts as gone", []string{"web-2"}, nil)
}

func TestWayDown_ABalancerThatDoesNotSayWhichPodsAreBusyIsWaitedFor(t *testing.T) {
	w := lowered(t, 2, 1)
	w.fleet.Report(fleet.Report{Balancer: "old", StartedAt: start, Sequence: 1, Applications: []fleet.Traffic{{Key: key, InFlight: 1}}}, w.now)
	w.look()
	s, _ := w.fleet.Snapshot(key, "", w.now)
	for _, l := range s.Loads {
		if !slices.Contains(l.Pending, "old") {
			t.Errorf("%s is taken for empty: %+v", l.Name, l)
		}
	}
}

func TestWayDown_TheNextLeaderTakesItUp(t *testing.T) {
	w := lowered(t, 3, 1, func(w *world) { w.busy("web-0", 5, 5); w.busy("web-1", 0, 1); w.busy("web-2", 0, 1) })
	w.run(100)
	before, since := w.draining(), w.pod("web-1").Mark.Since
	w.fleet.Follow()
	if got := w.draining(); !slices.Equal(got, before) {
		t.Errorf("without a leader %v drain, want %v until the lease is over", got, before)
	}
	// Another process: nothing is remembered but what stands on the pods.
	w.memory, w.fleet = &Memory{}, fleet.New("f")
	w.fleet.Lead(w.now, []string{"lb-a", "lb-b"})
	w.observe()
	w.look()
	if got := w.draining(); !slices.Equal(got, before) {
		t.Errorf("the next leader drains %v, want %v although it has heard nobody yet", got, before)
	}
	w.run(30)
	w.expect("while they stream", nil, nil)
	if got := w.pod("web-1").Mark.Since; !got.Equal(since) {
		t.Errorf("the time begins anew: %v, want %v", got, since)
	}
	w.run(900)
	w.expect("the time of both leaders counts", []string{"web-2", "web-1"}, []string{"web-2", "web-1"})
}

func TestWayDown_AnotherTermBeginsAnew(t *testing.T) {
	w := lowered(t, 2, 1, func(w *world) { w.busy("web-0", 20, 0); w.busy("web-1", 0, 1) })
	w.run(3)
	w.term = 0 // it follows now
	snapshot, _ := w.fleet.Snapshot(key, "it does not lead", w.now)
	p := w.memory.Look(Look{Snapshot: snapshot, Now: w.now})
	if p.Acts() || p.Quiesce != nil {
		t.Errorf("a follower acts: %+v", p)
	}
	w.term = 2
	w.run(1)
	if got := w.draining(); !slices.Equal(got, []string{"web-1"}) {
		t.Errorf("draining %v", got)
	}
}

func TestWayDown_APodThatIsReadyNoMoreIsTheOneToGo(t *testing.T) {
	w := lowered(t, 3, 2, func(w *world) { w.busy("web-0", 0, 1); w.busy("web-1", 0, 1); w.busy("web-2", 0, 1) })
	w.run(3)
	if got := w.draining(); !slices.Equal(got, []string{"web-2"}) {
		t.Fatalf("draining %v", got)
	}
	w.pod("web-0").Ready = false // Kubernetes would take it now, whatever it costs
	w.observe()
	w.run(2)
	if got := w.draining(); !slices.Equal(got, []string{"web-0"}) || !slices.Equal(w.marked(), got) {
		t.Errorf("draining %v, marked %v", got, w.marked())
	}
	w.busy("web-2", 0, 0)
	w.run(5)
	w.expect("its stream goes on", nil, nil)
	w.busy("web-0", 0, 0)
	w.run(2)
	w.expect("its stream has ended", []string{"web-0"}, nil)
}

func TestWayDown_ABetterPodIsChosenWhenOneHasBecomeIdle(t *testing.T) {
	w := lowered(t, 3, 2, func(w *world) { w.busy("web-0", 0, 2); w.busy("web-1", 0, 2); w.busy("web-2", 0, 1) })
	w.run(2)
	w.busy("web-1", 0, 0)
	w.run(10)
	w.expect("web-1 has become idle", []string{"web-1"}, nil)
}

func TestWayDown_SaysWhenKubernetesTookAnotherOne(t *testing.T) {
	w := lowered(t, 3, 2)
	w.lie = func(ranked []fleet.Pod) string { return ranked[len(ranked)-1].Name }
	w.run(5)
	if len(w.settled) != 1 || !w.settled[0].Mistaken || !strings.Contains(w.settled[0].Text, "Kubernetes took web-0, and not web-2") {
		t.Errorf("the end: %+v", w.settled)
	}
	if got := w.marked(); got != nil {
		t.Errorf("%v stays marked", got)
	}
	if got := w.draining(); got != nil {
		t.Errorf("%v stays without requests", got)
	}
}

func TestWayDown_WithoutMarksNothingGoes(t *testing.T) {
	w := lowered(t, 3, 2)
	w.refuse = "the controller may not mark the pod"
	w.run(120)
	w.expect("marks are refused", nil, nil)
	failures := 0
	for _, r := range w.reports {
		if r.Failed {
			failures++
		}
	}
	if w.memory.Failure != w.refuse || failures != 1 {
		t.Errorf("failure %q, told %d times", w.memory.Failure, failures)
	}
	w.refuse = ""
	w.run(31)
	w.expect("they are allowed", []string{"web-2"}, nil)
	if w.memory.Failure != "" {
		t.Errorf("the failure stays: %q", w.memory.Failure)
	}
}

func TestWayDown_ARolloutIsWaitedForAndNotForEver(t *testing.T) {
	w := lowered(t, 3, 2)
	w.pod("web-0").Revision = "2"
	w.observe()
	w.run(590)
	w.expect("pods of two templates", nil, nil)
	if !w.said("a rollout is under way") {
		t.Errorf("the decisions do not say so: %+v", w.reports)
	}
	w.run(15)
	w.expect("it takes for ever", []string{"web-2"}, nil)
}

func TestWayDown_TheLeaseIsToldAgainBeforeItIsOver(t *testing.T) {
	w := lowered(t, 2, 1, func(w *world) { w.busy("web-0", 20, 0); w.busy("web-1", 0, 1) })
	w.look()
	for range 120 {
		w.run(1)
		u, _ := w.fleet.Routes("")
		for _, e := range u.Routes[0].Endpoints {
			if left := e.DrainsUntil.Sub(w.now); e.Pod == "web-1" && (left < Lease-renewal-time.Second || left > Lease) {
				t.Fatalf("%v of the lease is left", left)
			}
		}
	}
}

func TestWayDown_ALoadBalancerWhoseLeaseRunsOutIsNotBelieved(t *testing.T) {
	w := lowered(t, 2, 1, func(w *world) { w.busy("web-0", 20, 0); w.busy("web-1", 1, 0) })
	w.run(2)
	w.balancers["lb-b"].behind = true // it goes on reporting, and takes up no routes
	w.run(40)
	w.busy("web-1", 0, 0)
	w.run(3)
	w.expect("lb-b may send to it again", nil, nil)
	w.balancers["lb-b"].behind = false
	w.run(2)
	w.expect("it follows again", []string{"web-1"}, nil)
}

func TestWayDown_ByDemandIsTakenUpByTheNextLeaderToo(t *testing.T) {
	w := newWorld(t, 2, func(w *world) {
		w.spec.TargetConcurrency, w.spec.Behavior.Down.Stabilization = 10, -1
		w.busy("web-0", 0, 2)
		w.busy("web-1", 0, 1)
	})
	w.run(100)
	if got := w.draining(); !slices.Equal(got, []string{"web-1"}) {
		t.Fatalf("draining %v", got)
	}
	w.memory, w.fleet = &Memory{}, fleet.New("f")
	w.fleet.Lead(w.now, []string{"lb-a", "lb-b"})
	w.observe()
	w.look()
	w.run(10)
	if got := w.draining(); !slices.Equal(got, []string{"web-1"}) || !slices.Equal(w.marked(), []string{"web-1"}) {
		t.Errorf("the next leader drains %v, marked are %v", got, w.marked())
	}
	w.busy("web-1", 0, 0)
	w.run(2)
	w.expect("when the stream has ended", []string{"web-1"}, nil)
}
