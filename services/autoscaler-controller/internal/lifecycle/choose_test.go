package lifecycle

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// load is a pod with so many requests and streams on it, older the smaller its number.
func load(name string, requests, streams int32, change ...func(*fleet.PodLoad)) fleet.PodLoad {
	l := fleet.PodLoad{Pod: pod(name, start.Add(-time.Hour)), InFlight: requests + streams, Streaming: streams}
	for _, c := range change {
		c(&l)
	}
	return l
}

func young(l *fleet.PodLoad)       { l.CreatedAt = start }
func unready(l *fleet.PodLoad)     { l.Ready = false }
func unstarted(l *fleet.PodLoad)   { l.Ready, l.Started = false, false }
func homeless(l *fleet.PodLoad)    { l.Ready, l.Started, l.Scheduled = false, false, false }
func steadfast(fleet.PodLoad) bool { return false }

func TestChoose(t *testing.T) {
	for name, c := range map[string]struct {
		pods   []fleet.PodLoad
		n      int
		before []string
		want   []string
	}{
		"the idle one":                               {[]fleet.PodLoad{load("a", 1, 0), load("b", 0, 0), load("c", 0, 1)}, 1, nil, []string{"b"}},
		"of idle ones the youngest":                  {[]fleet.PodLoad{load("a", 0, 0), load("b", 0, 0, young), load("c", 0, 0)}, 1, nil, []string{"b"}},
		"else the one with the fewest":               {[]fleet.PodLoad{load("a", 5, 0, young), load("b", 2, 0), load("c", 3, 0)}, 1, nil, []string{"b"}},
		"a stream weighs more than a few requests":   {[]fleet.PodLoad{load("a", 0, 1, young), load("b", 9, 0)}, 1, nil, []string{"b"}},
		"many requests weigh more than a stream":     {[]fleet.PodLoad{load("a", 0, 1), load("b", 11, 0, young)}, 1, nil, []string{"a"}},
		"one that is not ready, whatever is on it":   {[]fleet.PodLoad{load("a", 0, 0, young), load("b", 0, 9, unready)}, 1, nil, []string{"b"}},
		"first without a node, then without a start": {[]fleet.PodLoad{load("a", 0, 0, unready), load("b", 0, 0, unstarted), load("c", 0, 0, homeless), load("d", 0, 0)}, 4, nil, []string{"c", "b", "a", "d"}},
		"who was chosen stays chosen":                {[]fleet.PodLoad{load("a", 1, 0), load("b", 0, 0, young)}, 1, []string{"a"}, []string{"a"}},
		"but not before one that is not ready":       {[]fleet.PodLoad{load("a", 1, 0), load("b", 0, 0, unready)}, 1, []string{"a"}, []string{"b"}},
		"of those chosen the idle one":               {[]fleet.PodLoad{load("a", 0, 1), load("b", 0, 0), load("c", 0, 0, young)}, 1, []string{"a", "b"}, []string{"b"}},
		"equal ones by name":                         {[]fleet.PodLoad{load("b", 0, 0), load("a", 0, 0)}, 1, nil, []string{"a"}},
	} {
		before := map[string]victim{}
		for _, name := range c.before {
			before[name] = victim{}
		}
		var got []string
		for _, l := range choose(c.pods, c.n, before, steadfast) {
			got = append(got, l.Name)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestWayDown_NobodyIsCutWhoseTimeIsNotOver drives a cluster through whatever may happen: requests and
// streams come and go, bounds and modes move, pods fall back and are made, load balancers lag and die, leaders
// change. Whatever Kubernetes takes has nothing on it, unless its time was over or it could not be helped.
func TestWayDown_NobodyIsCutWhoseTimeIsNotOver(t *testing.T) {
	downs := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t, 2+r.IntN(5))
		since := map[string]time.Time{} // when a pod was marked first, without a break
		for range 400 {
			happen(w, r)
			took, cut := len(w.took), len(w.cut)
			streams := map[string]int32{}
			for name, on := range w.on {
				streams[name] = on.Streaming
			}
			w.run(1)
			downs += len(w.took) - took
			for _, name := range w.cut[cut:] {
				limit := PlainTimeout
				if streams[name] > 0 {
					limit = StreamTimeout
				}
				if at, marked := since[name]; !marked || w.now.Sub(at) < limit-2*time.Second {
					t.Fatalf("seed %d: %s was cut, marked %v for %v", seed, name, marked, w.now.Sub(at))
				}
			}
			for _, p := range w.pods {
				if p.Mark.Since.IsZero() {
					delete(since, p.Name)
				} else if _, known := since[p.Name]; !known {
					since[p.Name] = p.Mark.Since
				}
			}
			if w.want < 1 {
				t.Fatalf("seed %d: %d pods are asked for", seed, w.want)
			}
		}
		// When nothing stands in the way any more, no mark and no drain is left over.
		w.spec.MaxReplicas, w.spec.Mode = max(w.want, 1), scaling.Active
		w.on = map[string]fleet.PodTraffic{}
		for _, b := range w.balancers {
			b.dead, b.behind = false, false
		}
		for i := range w.pods {
			w.pods[i].Ready = true
		}
		w.observe()
		w.run(120)
		if left := w.marked(); len(left) > 0 || len(w.draining()) > 0 {
			t.Fatalf("seed %d: %v is still marked, %v still drains", seed, left, w.draining())
		}
	}
	if downs < 100 {
		t.Errorf("only %d pods went: that proves little", downs)
	}
}

// happen lets one thing happen.
func happen(w *world, r *rand.Rand) {
	some := func() *fleet.Pod { return &w.pods[r.IntN(len(w.pods))] }
	switch r.IntN(16) {
	case 0, 1:
		w.spec.MaxReplicas = int32(1 + r.IntN(7))
	case 2, 3, 4, 5:
		// Load balancers send nothing new to pods that drain, as long as they follow.
		if p := some(); !slices.Contains(w.draining(), p.Name) && p.Ready {
			w.busy(p.Name, int32(r.IntN(3)), int32(r.IntN(2)))
		}
	case 6, 7, 8, 9:
		w.busy(some().Name, 0, 0)
	case 10:
		if len(w.on) == 0 { // one that falls back while it works is cut by whoever scales
			p := some()
			p.Ready = !p.Ready
		}
	case 11:
		if len(w.pods) < 8 {
			w.want++
			w.pods = append(w.pods, pod("new-"+strconv.Itoa(int(w.serial)), w.now))
		}
	case 12:
		w.balancers["lb-b"].behind = r.IntN(2) == 0
	case 13:
		w.balancers["lb-b"].dead = r.IntN(2) == 0
	case 14:
		if r.IntN(4) == 0 {
			w.term++ // another term: nothing is remembered
		}
	case 15:
		w.spec.Mode = []scaling.Mode{scaling.Active, scaling.Active, scaling.Observe, scaling.Paused}[r.IntN(4)]
	}
	w.observe()
}
