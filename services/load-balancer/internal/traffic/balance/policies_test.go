package balance

import (
	"testing"
	"time"
)

// chosen counts which pods n requests would go to, without sending any.
func chosen(b *Pool, pods []*Pod, r Request, n int) []int {
	counts := make([]int, len(pods))
	for range n {
		if p, _, _ := b.Pick(r, began); p != nil {
			counts[indexOf(pods, p)]++
		}
	}
	return counts
}

// busy gives the pods requests in flight.
func busy(pods []*Pod, loads ...int) {
	for i, n := range loads {
		for range n {
			pods[i].Sent()
		}
	}
}

func TestRoundRobin_TakesTurnsAndStartsAnywhere(t *testing.T) {
	starts := map[int]bool{}
	intn := seeded().IntN
	for range 50 {
		b, pods := made(t, RoundRobinName, 3)
		b.Use(newRoundRobin(intn))
		p, _, _ := b.Pick(Request{}, began)
		first := indexOf(pods, p)
		starts[first] = true
		for k := 1; k < 7; k++ {
			if p, _, _ := b.Pick(Request{}, began); indexOf(pods, p) != (first+k)%3 {
				t.Fatalf("turn %d after %d is %d", k, first, indexOf(pods, p))
			}
		}
		b.SetPods(pods[:1]) // pods may go between two turns
		if p, _, _ := b.Pick(Request{}, began); p != pods[0] {
			t.Fatal("the pod that is left was not taken")
		}
	}
	if len(starts) != 3 {
		t.Errorf("it started at %v, want anywhere", starts)
	}
}

func TestLeastConnections_TakesTheFewestAndTiesByChance(t *testing.T) {
	b, pods := made(t, LeastConnectionsName, 4)
	busy(pods, 5, 2, 2, 3)
	counts := chosen(b, pods, Request{}, 2000)
	if counts[0]+counts[3] > 0 || counts[1] < 900 || counts[2] < 900 {
		t.Errorf("chosen %v times", counts)
	}
}

func TestLeastConnections_AlwaysHasFewestWhateverComesAndGoes(t *testing.T) {
	b, pods := made(t, LeastConnectionsName, 30)
	r := seeded()
	for range 20_000 {
		p, _, _ := b.Pick(Request{}, began)
		for _, other := range pods {
			if other.inFlight < p.inFlight {
				t.Fatalf("it chose a pod with %d in flight, and one has %d", p.inFlight, other.inFlight)
			}
		}
		if q := pods[r.IntN(len(pods))]; q.inFlight > 0 && r.IntN(2) == 0 {
			q.Released()
		} else {
			pods[r.IntN(len(pods))].Sent()
		}
	}
}

func TestRandom_IsEven(t *testing.T) {
	b, pods := made(t, RandomName, 4)
	for _, n := range chosen(b, pods, Request{}, 4000) {
		if n < 850 || n > 1150 {
			t.Errorf("a pod was chosen %d times of 4000", n)
		}
	}
	busy(pods, 1, 1, 1, 0)
	for _, p := range pods {
		p.SetLimit(1)
	}
	if counts := chosen(b, pods, Request{}, 100); counts[3] != 100 {
		t.Errorf("only one has room: %v", counts)
	}
}

func TestLeastRequest_ComparesTwoDifferentPods(t *testing.T) {
	b, pods := made(t, LeastRequestName, 4)
	busy(pods, 9, 1, 1, 1)
	counts := chosen(b, pods, Request{}, 6000)
	if counts[0] != 0 {
		t.Errorf("the busiest was chosen %v times: it was compared with itself", counts)
	}
	for _, n := range counts[1:] {
		if n < 1800 || n > 2200 {
			t.Errorf("chosen %v times: ties must go by chance", counts)
		}
	}
}

func TestLeastRequest_TakesTheLesserOfMostPairs(t *testing.T) {
	b, pods := made(t, LeastRequestName, 3)
	busy(pods, 0, 1, 2)
	counts := chosen(b, pods, Request{}, 3000) // of three pairs the first pod is in two
	if counts[0] < 1850 || counts[0] > 2150 || counts[2] != 0 {
		t.Errorf("chosen %v times", counts)
	}
}

// answers has a pod answer n times.
func answers(p *Pod, n int, took time.Duration, verdict Verdict, now time.Time) {
	for range n {
		level := p.Sent()
		p.Answered(verdict, took, level, now)
		p.Released()
	}
}

func TestPeakEWMA_AvoidsTheSlowAndTheFailing(t *testing.T) {
	for name, spoil := range map[string]func(*Pod){
		"slow":    func(p *Pod) { answers(p, 1, time.Second, Good, began) },
		"failing": func(p *Pod) { answers(p, 1, time.Millisecond, Failed, began) },
		"busy":    func(p *Pod) { answers(p, 1, time.Millisecond, Busy, began) },
	} {
		b, pods := made(t, PeakEWMAName, 3)
		for _, p := range pods {
			answers(p, 5, 10*time.Millisecond, Good, began)
		}
		spoil(pods[1])
		if counts := chosen(b, pods, Request{}, 1000); counts[1] != 0 {
			t.Errorf("%s: chosen %v times", name, counts)
		}
		later := began.Add(5 * ewmaDecay)
		if p := pods[1].latency.read(b.typical, later); p > 40 {
			t.Errorf("%s: after %v it still counts %.0f ms", name, 5*ewmaDecay, p)
		}
	}
}

func TestPeakEWMA_APodWithoutAnswersIsATypicalOne(t *testing.T) {
	b, pods := made(t, PeakEWMAName, 2)
	answers(pods[0], 50, 100*time.Millisecond, Good, began)
	busy(pods, 0, 2)
	if counts := chosen(b, pods, Request{}, 100); counts[0] != 100 {
		t.Errorf("the one that never answered has two in flight, and was chosen: %v", counts)
	}
}

func TestLatency_RisesAtOnceAndFallsWithTime(t *testing.T) {
	var l latency
	l.observe(10, began)
	l.observe(500, began.Add(time.Second))
	if l.mean != 500 {
		t.Errorf("a peak counts %v", l.mean)
	}
	l.observe(10, began.Add(time.Second+ewmaDecay))
	if l.mean < 150 || l.mean > 220 { // a third of it is left
		t.Errorf("after %v it counts %v", ewmaDecay, l.mean)
	}
}

func TestPrequal_TakesTheQuickerOfThoseThatAreNotHot(t *testing.T) {
	b, pods := made(t, PrequalName, 4)
	for range 40 {
		for i, p := range pods {
			answers(p, 1, time.Duration(10+40*(i%2))*time.Millisecond, Good, began)
		}
	}
	if counts := chosen(b, pods, Request{}, 100); counts[1]+counts[3] > 0 {
		t.Errorf("slow ones were chosen: %v", counts)
	}
	busy(pods, 9, 0, 9, 0) // now the quick ones are hot
	if counts := chosen(b, pods, Request{}, 100); counts[0]+counts[2] > 0 {
		t.Errorf("hot ones were chosen: %v", counts)
	}
}

func TestPrequal_WithoutAnswersGoesByRequestsInFlight(t *testing.T) {
	b, pods := made(t, PrequalName, 4)
	busy(pods, 2, 1, 0, 3)
	if counts := chosen(b, pods, Request{}, 100); counts[2] != 100 {
		t.Errorf("chosen %v times", counts)
	}
}

func TestPrequal_OneLongRequestMakesNoSlowPod(t *testing.T) {
	b, pods := made(t, PrequalName, 2)
	for range 60 {
		answers(pods[0], 1, 10*time.Millisecond, Good, began)
		answers(pods[1], 1, 10*time.Millisecond, Good, began)
	}
	answers(pods[0], 1, 2*time.Second, Good, began)
	busy(pods, 0, 1)
	if counts := chosen(b, pods, Request{}, 100); counts[0] != 100 {
		t.Errorf("chosen %v times", counts)
	}
}

func TestPrequal_ASlowPodIsAskedAgain(t *testing.T) {
	var p pace
	for range 100 {
		p.observe(3, false, 0)
	}
	slow := p.read(0)
	if late := p.read(int64(time.Minute)); slow < 15 || late > 2 {
		t.Errorf("slow by %v, after a minute %v", slow, late)
	}
}

func TestQuantile_IsThatOfASortedList(t *testing.T) {
	r := seeded()
	for range 5000 {
		reports := make([]report, 1+r.IntN(probes))
		for i := range reports {
			reports[i].inFlight = int32(r.IntN(6))
		}
		got, below := quantile(reports), 0
		for _, x := range reports {
			if x.inFlight <= got {
				below++
			}
		}
		hot := len(reports) - below
		if hot > hotFrom(len(reports)) {
			t.Fatalf("%d of %v are above %d", hot, reports, got)
		}
		if at := below - 1; at < int(hotQuantile*float64(len(reports)-1)) {
			t.Fatalf("%d is too low for %v", got, reports)
		}
	}
}

func TestModelAware_GoesByWhatPodsSayAndWhatWasSentSince(t *testing.T) {
	full := Gauges{Running: 2, Cache: 1, At: began}
	for name, c := range map[string]struct {
		gauges []Gauges
		loads  []int
		want   int
	}{
		"running":                  {[]Gauges{{Running: 5, At: began}, {Running: 1, At: began}}, nil, 1},
		"waiting counts once more": {[]Gauges{{Running: 2, Waiting: 2, At: began}, {Running: 5, At: began}}, nil, 1},
		"a full cache":             {[]Gauges{full, {Running: 4, Cache: .5, At: began}}, nil, 1},
		"sent since":               {[]Gauges{{Running: 1, At: began}, {Running: 2, At: began}}, []int{4, 0}, 1},
		"silence does not attract": {[]Gauges{{Running: 6, At: began}, {}, {Running: 1, At: began}}, []int{0, 1, 0}, 2},
		"what is old says nothing": {[]Gauges{{Running: 90, At: began.Add(-time.Minute)}, {}}, []int{0, 1}, 0},
	} {
		b, pods := made(t, ModelAwareName, len(c.gauges))
		for i, g := range c.gauges {
			if g.At.IsZero() {
				continue
			}
			pods[i].SetGauges(g)
		}
		busy(pods, c.loads...)
		if counts := chosen(b, pods, Request{}, 50); counts[c.want] != 50 {
			t.Errorf("%s: chosen %v times, want %d", name, counts, c.want)
		}
	}
}

func TestModelAware_APromptStaysWhereItsBeginningIsUnlessThatPodIsFarBehind(t *testing.T) {
	b, _ := made(t, ModelAwareName, 6)
	r := Request{Key: Hash("You are a helpful assistant.")}
	home, _, _ := b.Pick(r, began)
	for range 2 {
		home.Sent()
		if p, reason, _ := b.Pick(r, began); p != home || reason != "it has the beginning of the prompt" {
			t.Fatalf("it left its pod, which has %d in flight: %q", home.InFlight(), reason)
		}
	}
	for range 8 {
		home.Sent()
	}
	if p, _, _ := b.Pick(r, began); p == home {
		t.Error("ten in flight there, none elsewhere, and it stays")
	}
}

func TestGauges_LoseWeightWithTheirAge(t *testing.T) {
	g := Gauges{At: began}
	for age, want := range map[time.Duration]float64{0: 1, gaugesFresh: 1, 5500 * time.Millisecond: .5, gaugesGone: 0, time.Hour: 0} {
		if got := g.weight(began.Add(age)); got != want {
			t.Errorf("after %v they count %v, want %v", age, got, want)
		}
	}
}
