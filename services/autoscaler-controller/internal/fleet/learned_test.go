package fleet

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// served is the throughput of a pod that takes so many at a time: it grows until then.
func served(concurrency, slots, each float64) float64 { return min(concurrency, slots) / each }

func TestKnee_IsWhereThroughputStopsToGrow(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for _, slots := range []float64{1, 2, 4, 8, 16, 100} {
		var k knee
		for range 5000 {
			c := math.Exp2(random.Float64() * math.Log2(slots*8))
			k.see(c, served(c, slots, .3)*(.95+.1*random.Float64()))
		}
		if got := k.concurrency(); got < slots/1.5 || got > slots*1.5 {
			t.Errorf("of %v slots it finds %v", slots, got)
		}
	}
}

func TestKnee_SaysNothingBeforeItHasSeenOne(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for name, see := range map[string]func(k *knee){
		"nothing":                  func(*knee) {},
		"one level":                func(k *knee) { k.see(4, 10) },
		"throughput that grows on": func(k *knee) { c := 1 + 30*random.Float64(); k.see(c, c) },
		"what is no number": func(k *knee) {
			k.see(math.NaN(), 1)
			k.see(1, math.NaN())
			k.see(math.Inf(1), 1)
			k.see(-1, -1)
			k.see(0, 0)
		},
		"what is beyond all": func(k *knee) { k.see(1e18, 1) },
	} {
		var k knee
		for range 1000 {
			see(&k)
		}
		if got := k.concurrency(); got != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestKnee_FollowsAnApplicationThatChanges(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	var k knee
	for _, slots := range []float64{16, 2} {
		for range 5000 {
			c := math.Exp2(random.Float64() * 6)
			k.see(c, served(c, slots, .3))
		}
		if got := k.concurrency(); got < slots/1.5 || got > slots*1.5 {
			t.Errorf("of %v slots it finds %v", slots, got)
		}
	}
}

func TestLearned_OfAPodThatIsFullIsToldAndTakenOver(t *testing.T) {
	f := leading(seen(1, pod("a")))
	var arrivals, finished int64
	busy := 0.0
	for second := range int64(400) { // the load grows to four times of what the pod's four slots take, 2/s each
		load := 1 + float64(second)/25
		arrivals += 10
		finished += int64(math.Round(served(load, 4, .5)))
		busy += load
		traffic(f, "lb", second+1, at(float64(second)), summed(arrivals, finished, busy))
	}
	s := state(t, f, at(400))
	if c := s.Demand.PodConcurrency; c < 2.5 || c > 6 {
		t.Errorf("a pod takes %v", c)
	}
	view, _ := f.View(key, at(400))
	told := view.Learned
	if told.PodConcurrency != figures(s.Demand.PodConcurrency) || told.ServiceTime <= 0 {
		t.Errorf("told %+v of %+v", told, s.Demand)
	}
	next := New("f")
	o := seen(1, pod("a"))
	o.Learned = told
	next.Observe(o, at(401))
	if d := state(t, next, at(401)).Demand; d.PodConcurrency != told.PodConcurrency || d.ServiceTime != told.ServiceTime {
		t.Errorf("the next leader has %+v", d)
	}
}

func TestLearned_StartsOutliveTheLeader(t *testing.T) {
	f := New("f")
	o := seen(0)
	o.Learned = Learned{Starts: []time.Duration{4 * time.Second, 6 * time.Second, 8 * time.Second}}
	f.Observe(o, now)
	if got := state(t, f, now).Start.Expected; got != 6*time.Second {
		t.Errorf("expected %v", got)
	}
	o.Learned.Starts = []time.Duration{time.Second} // the leader has learned more
	f.Observe(o, at(1))
	if got := state(t, f, at(1)).Start.Expected; got != time.Second {
		t.Errorf("while it follows: %v", got)
	}
	f.Lead(at(1), nil)
	f.Called(key, 1, at(2))
	f.Scaled(key, 1, 2, at(2))
	awake := seen(1, pod("a", func(p *Pod) { p.CreatedAt = at(2) }))
	awake.Deployment.Version, awake.Learned = 2, o.Learned
	f.Observe(awake, at(5))
	if got := state(t, f, at(5)).Start.Expected; got != 2*time.Second {
		t.Errorf("the median of 1 s and 3 s: %v", got)
	}
	awake.Learned.Starts = []time.Duration{time.Hour} // what was written is older than what is known here
	f.Observe(awake, at(6))
	view, _ := f.View(key, at(6))
	if diff := cmp.Diff([]time.Duration{time.Second, 3 * time.Second}, view.Learned.Starts); diff != "" {
		t.Error(diff)
	}
	f.Follow()
	f.Observe(awake, at(7))
	if got := state(t, f, at(7)).Start.Expected; got != time.Hour {
		t.Errorf("after the term the other's word counts: %v", got)
	}
}

func TestObserve_OfWhatWasLearnedAloneIsNoNews(t *testing.T) {
	f := leading(seen(1, pod("a")))
	o := seen(1, pod("a"))
	o.Learned = Learned{ServiceTime: time.Second}
	if changed, _ := f.Observe(o, now); changed {
		t.Error("a status that was written asks for a decision")
	}
}

func TestStarts_AreBoundedAndInOrder(t *testing.T) {
	var s starts
	want := []time.Duration{}
	for i := range time.Duration(3*keptStarts + 1) {
		s.add(i)
		want = append(want, i)
		if got := s.inOrder(); !slices.Equal(got, want[max(0, len(want)-keptStarts):]) {
			t.Fatalf("after %d: %v", i, got)
		}
	}
}

func TestFigures(t *testing.T) {
	for v, want := range map[float64]float64{0: 0, -1: 0, 1: 1, 0.12345: 0.12, 12345: 12000, 9.96: 10, 0.000456: 0.00046} {
		if got := figures(v); math.Abs(got-want) > 1e-12*max(1, want) {
			t.Errorf("%v: %v, want %v", v, got, want)
		}
	}
}
