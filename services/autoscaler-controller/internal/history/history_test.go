package history

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

// feed takes the same sample every 5 seconds, from a second to another one.
func feed(h *History, from, to float64, s Sample) {
	for t := from; t < to; t += 5 {
		h.Add(at(t), at(min(t+5, to)), s)
	}
}

func read(t *testing.T, h *History, of Resolution, now time.Time) Series {
	t.Helper()
	s, known := h.Read(of, now)
	if !known {
		t.Fatalf("%s is no resolution", of)
	}
	return s
}

func TestRun_IsAsSmallAsTheBoundCountsOn(t *testing.T) {
	if size := int(unsafe.Sizeof(run{})); size != runBytes {
		t.Errorf("a run takes %d bytes, counted on are %d", size, runBytes)
	}
	slots := 0
	for _, s := range shapes {
		slots += s.slots
	}
	if slots*runBytes > MaxBytes {
		t.Errorf("the rings take %d bytes at the most, allowed are %d", slots*runBytes, MaxBytes)
	}
}

func TestNumbers_AreExactWhileSmallAndNearWhenLarge(t *testing.T) {
	for _, c := range []struct {
		name          string
		width, digits int
		exact         uint64
		off           float64
		most          uint64
	}{
		{"wide", 16, wideDigits, 4095, .0003, 1 << 42}, {"narrow", 8, narrowDigits, 31, .032, 500_000}, {"few", 6, fewDigits, 15, .07, 960},
	} {
		for v := uint64(0); v <= c.most; v += v/50 + 1 {
			got := uint64(unpack(pack(v, c.width, c.digits), c.digits))
			if v <= c.exact && got != v || math.Abs(float64(got)-float64(v)) > c.off*float64(v) {
				t.Fatalf("%s: %d is read as %d", c.name, v, got)
			}
			if again := pack(got, c.width, c.digits); again != pack(v, c.width, c.digits) {
				t.Fatalf("%s: %d is kept anew as something else", c.name, v)
			}
		}
		if got, largest := pack(math.MaxUint64, c.width, c.digits), uint16(1<<c.width-1); got != largest {
			t.Errorf("%s: the largest number is kept as %d, not as the most there is (%d)", c.name, got, largest)
		}
	}
}

func TestNumbers_WhatIsNoCountIsNothing(t *testing.T) {
	for _, v := range []float64{math.NaN(), -1, math.Inf(-1), 0, .4} {
		if wide(v) != 0 {
			t.Errorf("%v is kept as %d", v, wide(v))
		}
	}
	if narrow(-3) != 0 || few(-3) != 0 || wide(math.Inf(1)) == 0 {
		t.Error("negative counts are none, endless ones are the most")
	}
}

func TestAdd_ASampleIsInEveryRing(t *testing.T) {
	h := &History{}
	feed(h, 0, 60, Sample{Replicas: 2, Ready: 1, Pods: 2, Maximum: 4, Arrivals: 10, Waiting: 3, Decisions: 1})
	for _, c := range []struct {
		of                  Resolution
		slots               int
		arrivals, decisions int64
		podSeconds          int64
		observed            float64
	}{
		{Seconds, 13, 10, 1, 10, 1}, {Minutes, 2, 120, 12, 120, 1}, {Hours, 1, 120, 12, 120, .25},
	} {
		s := read(t, h, c.of, at(60))
		want := Slot{Observed: c.observed, Arrivals: c.arrivals, Waiting: 3, Replicas: 2, Ready: 1, PodSeconds: c.podSeconds, Decisions: c.decisions}
		if len(s.Slots) != c.slots || s.Slots[0] != want || !s.Start.Equal(noon) {
			t.Errorf("%s: %d slots from %v, %+v first, want %d from noon, %+v", c.of, len(s.Slots), s.Start, s.Slots, c.slots, want)
		}
	}
}

func TestAdd_ASpanOverTwoSlotsIsDividedByTime(t *testing.T) {
	h := &History{}
	h.Add(at(58), at(63), Sample{Pods: 1, Arrivals: 5, Decisions: 1})
	s := read(t, h, Minutes, at(63))
	if len(s.Slots) != 2 || s.Slots[0].Arrivals != 2 || s.Slots[1].Arrivals != 3 || s.Slots[0].PodSeconds != 2 || s.Slots[1].PodSeconds != 3 {
		t.Errorf("5 requests and 5 pod seconds, 2 s before the minute and 3 s after: %+v", s.Slots)
	}
	if s.Slots[0].Decisions+s.Slots[1].Decisions != 1 {
		t.Errorf("a decision is not divided: %+v", s.Slots)
	}
}

func TestAdd_WhatNobodyLookedAtIsAGapAndNotZero(t *testing.T) {
	h := &History{}
	feed(h, 0, 60, Sample{Pods: 1, Ready: 1, Replicas: 1})
	feed(h, 180, 240, Sample{Pods: 1, Ready: 1, Replicas: 1})
	var observed []float64
	for _, s := range read(t, h, Minutes, at(239)).Slots {
		observed = append(observed, s.Observed)
	}
	if !slices.Equal(observed, []float64{1, 0, 0, 1}) {
		t.Errorf("observed %v", observed)
	}
	if s := h.Savings(); s.Observed != 120 || s.PodSeconds != 120 {
		t.Errorf("the gap is counted: %+v", s)
	}
}

func TestAdd_SpansThatSayNothingAreNotTaken(t *testing.T) {
	h := &History{}
	feed(h, 0, 60, Sample{Pods: 1})
	before := h.Savings()
	for name, span := range map[string][2]float64{"backward": {70, 65}, "empty": {70, 70}, "too long": {60, 90}, "known": {10, 40}} {
		h.Add(at(span[0]), at(span[1]), Sample{Pods: 1, Arrivals: 1})
		if h.Savings() != before {
			t.Errorf("a span that is %s was taken", name)
		}
	}
	h.Add(at(55), at(65), Sample{Pods: 1, Arrivals: 1})
	if s := h.Savings(); s.Observed != before.Observed+5 {
		t.Errorf("of a span that overlaps the rest is taken: %+v", s)
	}
}

func TestSavings_AreAgainstOneAndAgainstTheMaximum(t *testing.T) {
	h := &History{}
	feed(h, 0, 100, Sample{Pods: 0, Maximum: 3})
	feed(h, 100, 120, Sample{Pods: 2, Maximum: 3})
	feed(h, 120, 130, Sample{Pods: 5, Maximum: 3}) // somebody else scaled it
	want := Savings{Since: noon, Observed: 130, Asleep: 100, PodSeconds: 40 + 50, SavedAgainstOne: 100, SavedAgainstMaximum: 300 + 20}
	if got := h.Savings(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestRead_OnlyWhatTheRingHoldsAndUntilNow(t *testing.T) {
	h := &History{}
	feed(h, 0, 3600, Sample{Pods: 1, Arrivals: 1})
	for _, c := range []struct {
		now   float64
		slots int
		seen  bool // the newest that was seen is among them
	}{
		{3600, 120, true}, {3602, 120, true}, {3700, 120, true}, {3600 + 594, 120, true}, {3600 + 601, 0, false}, {1e7, 0, false},
	} {
		s := read(t, h, Seconds, at(c.now))
		if len(s.Slots) != c.slots {
			t.Errorf("%v s: %d slots, want %d", c.now, len(s.Slots), c.slots)
		}
		if seen := slices.ContainsFunc(s.Slots, func(s Slot) bool { return s.Observed > 0 }); seen != c.seen {
			t.Errorf("%v s: something is seen: %v", c.now, seen)
		}
		if end := s.Start.Add(time.Duration(len(s.Slots)) * s.Slot); c.slots > 0 && (end.Before(at(c.now)) || end.After(at(c.now+5))) {
			t.Errorf("%v s: the slots end at %v", c.now, end)
		}
	}
	if _, known := h.Read("years", noon); known {
		t.Error("there are no years")
	}
}

func TestRead_OfNothingIsNothing(t *testing.T) {
	for _, of := range Resolutions() {
		if s := read(t, &History{}, of, noon); len(s.Slots) != 0 || s.Slots == nil {
			t.Errorf("%s: %+v", of, s)
		}
	}
}

func TestRing_TheOldestGo(t *testing.T) {
	h := &History{}
	feed(h, 0, 3*3600, Sample{Pods: 1, Arrivals: 7})
	feed(h, 3*3600, 30*3600, Sample{Pods: 2, Arrivals: 5})
	s := read(t, h, Minutes, at(30*3600-1))
	if len(s.Slots) != 1440 || s.Slots[0].Arrivals != 60 || !s.Start.Equal(at(6*3600)) {
		t.Errorf("%d slots from %v, first %+v", len(s.Slots), s.Start, s.Slots[0])
	}
	if hours := read(t, h, Hours, at(30*3600-1)); len(hours.Slots) != 30 || hours.Slots[0].Arrivals != 7*720 {
		t.Errorf("of the hours none had to go: %d", len(hours.Slots))
	}
}

func TestBytes_OfOneThatSleepsAreFewAndOfTheBusiestWithinTheBound(t *testing.T) {
	asleep, busy := &History{}, &History{}
	random := rand.New(rand.NewPCG(1, 2))
	for s := 0.0; s < 31*24*3600; s += 5 {
		asleep.Add(at(s), at(s+5), Sample{Maximum: 3})
		busy.Add(at(s), at(s+5), Sample{
			Maximum: 30, Pods: random.Int32N(30), Ready: random.Int32N(30), Replicas: random.Int32N(30),
			Waiting: random.Int32N(500), Arrivals: 1000 * random.Float64(), Decisions: random.Int32N(3),
		})
	}
	if n := asleep.Bytes(); n > 400 {
		t.Errorf("a month asleep takes %d bytes", n)
	}
	if n := busy.Bytes(); n > MaxBytes {
		t.Errorf("a busy month takes %d bytes", n)
	}
	kept, cut := busy.Encode(MaxBytes)
	if cut {
		t.Error("the busiest month is not kept whole")
	}
	sleeping, _ := asleep.Encode(MaxBytes)
	t.Logf("in memory: asleep %d, busy %d bytes; kept: asleep %d, busy %d", asleep.Bytes(), busy.Bytes(), len(sleeping), len(kept))
	if len(sleeping) > 200 {
		t.Errorf("a month asleep is kept as %d bytes", len(sleeping))
	}
}

// Whatever is sampled, a slot of every ring sums up what was sampled in it.
func TestAdd_Property_RingsAgreeWithTheSamples(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 7))
		h, last := &History{}, 0.0
		arrivals, pods, decisions := map[int]float64{}, map[int]float64{}, map[int]int64{}
		for last < 1200 {
			from := last
			if random.IntN(20) == 0 {
				from += 40 * random.Float64() // nobody looked
			}
			to := from + .2 + 7*random.Float64()
			s := Sample{Pods: random.Int32N(4), Arrivals: float64(random.IntN(9)), Decisions: random.Int32N(2)}
			h.Add(at(from), at(to), s)
			for b := from; b < to; { // by the minute
				end := min(to, 60*(math.Floor(b/60)+1))
				arrivals[int(b/60)] += s.Arrivals * (end - b) / (to - from)
				pods[int(b/60)] += float64(s.Pods) * (end - b)
				if end == to {
					decisions[int(b/60)] += int64(s.Decisions)
				}
				b = end
			}
			last = to
		}
		minutes := read(t, h, Minutes, at(last-.01))
		for i, s := range minutes.Slots {
			if math.Abs(float64(s.Arrivals)-arrivals[i]) > .51 || math.Abs(float64(s.PodSeconds)-pods[i]) > .51 || s.Decisions > 15 && s.Decisions < decisions[i]*9/10 || s.Decisions <= 15 && s.Decisions != decisions[i] {
				t.Fatalf("seed %d, minute %d: %+v, sampled were %v requests, %v pod seconds, %d decisions", seed, i, s, arrivals[i], pods[i], decisions[i])
			}
		}
		total, hours := 0.0, read(t, h, Hours, at(last-.01))
		for _, n := range arrivals {
			total += n
		}
		if got := float64(hours.Slots[0].Arrivals); math.Abs(got-total) > 1+.0004*total {
			t.Fatalf("seed %d: %v requests in the hour, sampled were %v", seed, got, total)
		}
	}
}

func TestFollow_WhatTheLeaderBeforeKeptStandsBeforeWhatThisOneSaw(t *testing.T) {
	older, newer := &History{}, &History{}
	feed(older, 0, 90, Sample{Pods: 1, Maximum: 2, Arrivals: 1})
	feed(newer, 150, 240, Sample{Pods: 2, Maximum: 2, Arrivals: 2})
	h := newer.Follow(older)
	var got []int64
	s := read(t, h, Minutes, at(239))
	for _, one := range s.Slots {
		got = append(got, one.Arrivals)
	}
	if !slices.Equal(got, []int64{12, 6, 12, 24}) || !s.Start.Equal(noon) {
		t.Errorf("from %v: %v", s.Start, got)
	}
	if s := h.Savings(); s.PodSeconds != 90+180 || !s.Since.Equal(noon) || s.SavedAgainstMaximum != 90 || !h.Until().Equal(at(240)) {
		t.Errorf("%+v until %v", s, h.Until())
	}
	feed(h, 240, 300, Sample{Pods: 2, Arrivals: 1})
	if s := read(t, h, Minutes, at(299)); len(s.Slots) != 5 || s.Slots[4].Arrivals != 12 {
		t.Errorf("it goes on: %+v", s.Slots)
	}
}

func TestFollow_TheSlotThatBothSawIsJoined(t *testing.T) {
	older, newer := &History{}, &History{}
	feed(older, 0, 20, Sample{Pods: 1, Waiting: 9, Arrivals: 1, Decisions: 1})
	feed(newer, 30, 50, Sample{Pods: 1, Waiting: 4, Arrivals: 1, Decisions: 1})
	s := read(t, newer.Follow(older), Minutes, at(50))
	if want := (Slot{Observed: .75, Arrivals: 8, Waiting: 9, PodSeconds: 40, Decisions: 8}); len(s.Slots) != 1 || s.Slots[0] != want {
		t.Errorf("%+v, want %+v", s.Slots, want)
	}
}

func TestFollow_NothingChangesNothing(t *testing.T) {
	h := &History{}
	feed(h, 0, 600, Sample{Pods: 1, Arrivals: 3})
	want := read(t, h, Minutes, at(600))
	for name, got := range map[string]*History{"behind": (&History{}).Follow(h), "before": h.Follow(&History{})} {
		if s := read(t, got, Minutes, at(600)); !slices.Equal(s.Slots, want.Slots) || !s.Start.Equal(want.Start) {
			t.Errorf("nothing %s: %+v, want %+v", name, s, want)
		}
	}
}
