package scaling

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func paced(up, down Pace) Spec {
	sp := slotted(1)
	sp.MaxReplicas = 100
	sp.Behavior = Behavior{up, down}
	return sp
}

// wishing is a world in which demand asks for so many pods, by step.
func wishing(counts ...int32) func(int32, int) (Demand, []Mean) {
	return func(_ int32, step int) (Demand, []Mean) {
		return Demand{Concurrency: both(float64(counts[min(step, len(counts)-1)]) * headroom)}, nil
	}
}

var none = Pace{Stabilization: -1}

func TestPace_UpByAnyNumberAtOnceWhereNothingIsSaid(t *testing.T) {
	if counts, _ := loop(paced(none, none), 1, 2, time.Second, wishing(50)); !slices.Equal(counts, []int32{50, 50}) {
		t.Errorf("%v", counts)
	}
}

func TestPace_UpTakesTheSmallestOfTheWindow(t *testing.T) {
	counts, _ := loop(paced(Pace{Stabilization: 3 * time.Second}, none), 1, 6, time.Second, wishing(1, 9, 5, 9, 9, 9))
	if want := []int32{1, 1, 1, 5, 5, 9}; !slices.Equal(counts, want) {
		t.Errorf("%v, want %v", counts, want)
	}
}

func TestPace_DownByDemandIsHeldForAMinuteWhereNothingIsSaid(t *testing.T) {
	sp := paced(none, none)
	_, at := loop(sp, 9, 59, time.Second, wishing(9, 1))
	if at.To != 9 || !strings.Contains(at.Summary, "within the last 60 s") || at.Due.IsZero() {
		t.Errorf("%+v", at)
	}
	if _, at = loop(sp, 9, 63, time.Second, wishing(9, 1)); at.Wished != 1 || slices.ContainsFunc(at.Reasons, func(r Reason) bool { return r.Rule == "Stabilization" }) {
		t.Errorf("after it: %+v", at)
	}
}

func TestPolicies_BindAsInKubernetes(t *testing.T) {
	second := time.Second
	for name, c := range map[string]struct {
		pace Pace
		up   bool
		from int32
		want []int32
	}{
		"two pods in ten seconds":       {Pace{Policies: []Policy{{Value: 2, Period: 10 * second}}}, true, 1, []int32{3, 3, 5, 5}},
		"a hundred percent":             {Pace{Policies: []Policy{{Percent: true, Value: 100, Period: 10 * second}}}, true, 3, []int32{6, 6, 12, 12}},
		"the one that allows most":      {Pace{Policies: []Policy{{Percent: true, Value: 100, Period: 10 * second}, {Value: 4, Period: 10 * second}}}, true, 2, []int32{6, 6, 12, 12}},
		"the one that allows least":     {Pace{Select: SelectMin, Policies: []Policy{{Percent: true, Value: 100, Period: 10 * second}, {Value: 4, Period: 10 * second}}}, true, 2, []int32{4, 4, 8, 8}},
		"it does not go up":             {Pace{Select: SelectDisabled}, true, 2, []int32{2, 2, 2, 2}},
		"a small share is one at least": {Pace{Policies: []Policy{{Percent: true, Value: 1, Period: 10 * second}}}, true, 2, []int32{3, 3, 4, 4}},
	} {
		up, down := c.pace, none
		all, last := loop(paced(up, down), c.from, 14, second, wishing(90))
		counts := []int32{all[0], all[9], all[11], all[13]}
		if !slices.Equal(counts, c.want) {
			t.Errorf("%s: %v, want %v", name, counts, c.want)
		}
		if last.To < 90 && !slices.ContainsFunc(last.Reasons, func(r Reason) bool { return r.Rule == "Behavior" && r.Effect == Hold }) {
			t.Errorf("%s: nothing says why: %v", name, rules(last))
		}
	}
}

func TestPolicies_OfTheWayDownAllowSoMuch(t *testing.T) {
	counts := []Counted{{now.Add(-time.Minute), 10}, {now.Add(-5 * time.Second), 8}}
	for name, c := range map[string]struct {
		pace Pace
		want int32
	}{
		"pods from what was there then": {Pace{Policies: []Policy{{Value: 3, Period: 10 * time.Second}}}, 7},
		"percent":                       {Pace{Policies: []Policy{{Percent: true, Value: 50, Period: 10 * time.Second}}}, 5},
		"most":                          {Pace{Policies: []Policy{{Value: 3, Period: 10 * time.Second}, {Percent: true, Value: 50, Period: 10 * time.Second}}}, 5},
		"least":                         {Pace{Select: SelectMin, Policies: []Policy{{Value: 3, Period: 10 * time.Second}, {Percent: true, Value: 50, Period: 10 * time.Second}}}, 7},
		"a period that is over":         {Pace{Policies: []Policy{{Value: 3, Period: 2 * time.Second}}}, 5},
		"never below none":              {Pace{Policies: []Policy{{Value: 30, Period: 10 * time.Second}}}, 0},
		"disabled":                      {Pace{Select: SelectDisabled}, 8},
	} {
		if got, _, bound := c.pace.limit(counts, 8, false, now); !bound || got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if _, _, bound := (Pace{}).limit(counts, 8, false, now); bound {
		t.Error("no policies are no limit")
	}
}

func TestPace_AWayToZeroAndTheUsersBoundsAreNotHeldByIt(t *testing.T) {
	sp := paced(none, Pace{Stabilization: time.Hour, Select: SelectDisabled})
	idle := with(awake(time.Hour), func(s *State) { s.Replicas, s.Ready, s.Pods = 1, 1, 1 })
	if d := Decide(sp, idle, now); d.To != 0 {
		t.Errorf("idle: %+v", d)
	}
	sp.MaxReplicas = 3
	over := serving(9, Demand{Concurrency: both(9 * headroom)})
	if d := Decide(sp, over, now); slices.ContainsFunc(d.Reasons, func(r Reason) bool { return r.Rule == "Behavior" || r.Rule == "Stabilization" }) && d.Trigger == Bounds {
		t.Errorf("over maxReplicas: %v", rules(d))
	}
}

func TestHistory_IsBoundedAndTheMostCarefulWishComesFirst(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var all []Counted
	var high, low []Counted
	at := now
	for range 5000 {
		at = at.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
		c := Counted{at, r.Int32N(1000)}
		since := at.Add(-time.Minute)
		all = append(all, c)
		high = envelope(high, c, since, func(old, new int32) bool { return old <= new })
		low = envelope(low, c, since, func(old, new int32) bool { return old >= new })
		most, least := int32(-1), int32(10_000)
		for _, w := range all {
			if w.At.After(since) {
				most, least = max(most, w.Replicas), min(least, w.Replicas)
			}
		}
		if high[0].Replicas != most || low[0].Replicas != least || len(high) > keptCounts || len(low) > keptCounts {
			t.Fatalf("largest %d (%d), smallest %d (%d), %d and %d kept", high[0].Replicas, most, low[0].Replicas, least, len(high), len(low))
		}
	}
}

func TestPace_WithoutAMemoryWhatIsThereWasWishedFor(t *testing.T) { // a leader that has just begun
	sp := paced(none, none)
	if _, at := loop(sp, 9, 59, time.Second, wishing(1)); at.To != 9 || !strings.Contains(at.Summary, "within the last 60 s") {
		t.Errorf("%+v", at)
	}
	if _, at := loop(sp, 9, 63, time.Second, wishing(1)); at.Wished != 1 || at.To == 9 {
		t.Errorf("after it: %+v", at)
	}
	s := serving(9, Demand{}, func(s *State) { s.Traffic.InFlight, s.Marked = 1, 3 })
	if d := Decide(sp, s, now); d.Aim != 6 {
		t.Errorf("a way down of the leader before: %+v", d)
	}
	if counts, _ := loop(sp, 1, 1, time.Second, wishing(50)); counts[0] != 50 {
		t.Errorf("up: %v", counts)
	}
}
