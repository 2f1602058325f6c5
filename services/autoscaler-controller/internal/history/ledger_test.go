package history

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const hour = 3600

// hours feeds some hours that are alike, but for what is given of each.
func hours(h *History, from, to int, of func(n int) Sample) {
	for n := from; n < to; n++ {
		s := of(n)
		counted := s
		s.Wakes, s.Failures, s.Rejected, s.Arrivals = nil, 0, 0, 0
		for t := float64(n * hour); t < float64((n+1)*hour); t += 15 {
			one := s
			if t == float64(n*hour) {
				one = counted
			}
			h.Add(at(t), at(t+15), one)
		}
	}
}

func TestBetween_SumsUpTheHoursOfAPeriod(t *testing.T) {
	h := &History{}
	hours(h, 0, 10, func(n int) Sample {
		s := Sample{Maximum: 3, Contested: n == 7}
		if n%2 == 1 {
			s.Pods, s.Arrivals, s.Failures, s.Rejected = 1, 40, 3, 1
			s.Wakes = []Wake{{Took: 2 * time.Second}, {Took: 8 * time.Second, Late: true}, {Failed: true}}
		}
		return s
	})
	h.Add(at(10*hour), at(10*hour+15), Sample{Maximum: 3}) // of the hour that is being filled
	for name, c := range map[string]struct {
		from, to    float64
		since       float64
		seen, awake float64
		woken       int64
		contested   float64
	}{
		"all":                       {0, 10*hour + 15, 0, 10*hour + 15, 5 * hour, 10, hour},
		"two whole hours":           {6 * hour, 8 * hour, 6 * hour, 2 * hour, hour, 2, hour},
		"an hour that begins later": {5*hour + 1, 8 * hour, 6 * hour, 2 * hour, hour, 2, hour},
		"one that has begun":        {8 * hour, 9*hour + 1, 8 * hour, 2 * hour, hour, 2, 0},
		"before there was anything": {-9 * hour, hour, 0, hour, 0, 0, 0},
	} {
		got, since := h.Between(at(c.from), at(c.to))
		want := Totals{
			Observed: c.seen, Asleep: c.seen - c.awake, SavedAgainstOne: c.seen - c.awake, PodSeconds: c.awake, SavedAgainstMaximum: 3*c.seen - c.awake, Contested: c.contested,
			Arrivals: 40 * c.woken / 2, Failures: 3 * c.woken / 2, Rejected: c.woken / 2, Failed: c.woken / 2, Late: c.woken / 2,
		}
		want.Waits.AddTimes(2*time.Second, c.woken/2)
		want.Waits.AddTimes(8*time.Second, c.woken/2)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Waits{}, wait{}), cmp.Comparer(nearly)); diff != "" || !since.Equal(at(c.since)) {
			t.Errorf("%s: since %v (-want +got):\n%s", name, since, diff)
		}
	}
	if _, since := h.Between(at(11*hour), at(20*hour)); !since.IsZero() {
		t.Errorf("of a time of which nothing is known something is said since %v", since)
	}
}

// nearly holds numbers that are kept with so many digits for the same.
func nearly(a, b float64) bool { return math.Abs(a-b) <= .001*max(math.Abs(a), math.Abs(b)) }

func TestBetween_AgreesWithTheSavings(t *testing.T) {
	for seed := range uint64(20) {
		h := lived(seed, 60)
		got, since := h.Between(noon, at(61*hour))
		s := h.Savings()
		if !since.Equal(noon) || !nearly(got.Observed, s.Observed) || !nearly(got.PodSeconds, s.PodSeconds) || !nearly(got.SavedAgainstOne, s.SavedAgainstOne) || !nearly(got.SavedAgainstMaximum, s.SavedAgainstMaximum) {
			t.Fatalf("seed %d: %+v, the savings are %+v", seed, got, s)
		}
	}
}

func TestLedger_AWeekOfOneThatSleepsAndWakesEveryHourFits(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	h := &History{}
	first := number(noon, time.Hour)
	for n := first; n < first+8*24; n++ {
		h.ledger.reach(n)
		h.ledger.open = tally{seen: wholeHour, asleep: random.Float64() * wholeHour, saved: random.Float64() * 3 * wholeHour}
		for range 3 {
			h.ledger.open.wake(Wake{Took: seconds(random)})
		}
	}
	if _, since := h.Between(at(24*hour), at(8*24*hour)); !since.Equal(at(24 * hour)) {
		t.Errorf("a week begins at %v", since)
	}
	if n := cap(h.ledger.kept); n > ledgerBytes {
		t.Errorf("%d bytes", n)
	}
}

func seconds(random *rand.Rand) time.Duration {
	return time.Duration(random.ExpFloat64() * float64(8*time.Second))
}

// busiest is what is never twice the same.
func busiest(random *rand.Rand) Sample {
	s := Sample{Maximum: random.Int32N(900), Pods: random.Int32N(30), Contested: random.IntN(2) == 0, Failures: 1e6 * random.Float64(), Rejected: 1e6 * random.Float64()}
	for range random.IntN(40) {
		s.Wakes = append(s.Wakes, Wake{Took: seconds(random) * 20, Late: random.IntN(2) == 0, Failed: random.IntN(3) == 0})
	}
	return s
}

func TestLedger_WhatDoesNotFitIsTheOldestAndItSaysSo(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	h := &History{}
	hours(h, 0, 8*24, func(int) Sample { return busiest(random) })
	got, since := h.Between(noon, at(8*24*hour))
	if since.Before(at(hour)) || since.After(at(7*24*hour)) || got.Observed != at(8*24*hour).Sub(since).Seconds() {
		t.Errorf("known since %v, %v s", since, got.Observed)
	}
	if n := cap(h.ledger.kept); n > ledgerBytes {
		t.Errorf("%d bytes", n)
	}
}

func TestLedger_TheWholeHistoryStaysWithinItsBound(t *testing.T) {
	if least := 2280*runBytes + ledgerBytes + mostRules*ruleBytes; least > MaxBytes {
		t.Errorf("%d bytes", least)
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 9))
		var one tally
		for range 50 {
			s := busiest(random)
			(&ledger{}).add(at(0), at(15), &s)
			one.join(&tally{seen: 1, asleep: 1e9, contested: 1e9, saved: 1e18, failures: 1e18, rejected: 1e18, failed: math.MaxUint32, late: math.MaxUint32})
			for _, w := range s.Wakes {
				one.waits.AddTimes(w.Took, math.MaxUint32)
			}
		}
		if n := len(appendRun(nil, one.encode(), ledgerHours)); n > mostTally {
			t.Fatalf("an hour takes %d bytes", n)
		}
	}
}

// What is kept of an hour is the hour, however often it is read and kept again, and whatever stands beside it.
func TestLedger_Property_IsWhatWasAdded(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 11))
		l, want := &ledger{}, map[int64]float64{}
		n := number(noon, time.Hour)
		for range 300 {
			if random.IntN(4) == 0 {
				n += random.Int64N(30) // nobody looked
			}
			saved := float64(random.IntN(3) * 1000)
			l.reach(n)
			l.open.join(&tally{seen: wholeHour, saved: saved})
			want[n] += saved
			n++
		}
		got, last := map[int64]float64{}, int64(0)
		l.each(func(n int64, of *tally) {
			if last > 0 && n != last+1 {
				t.Fatalf("seed %d: the hour %d follows %d", seed, n, last)
			}
			if last = n; of.seen > 0 {
				got[n] = of.saved
			}
		})
		if last != n-1 || len(got) == 0 || l.closed >= ledgerHours {
			t.Fatalf("seed %d: it ends with %d, not %d; %d hours", seed, last, n-1, l.closed)
		}
		for n, saved := range got {
			if saved != want[n] {
				t.Fatalf("seed %d: %v were saved in the hour %d, not %v", seed, saved, n, want[n])
			}
		}
		for n := range want {
			if _, known := got[n]; !known && n > l.at-int64(l.closed) {
				t.Fatalf("seed %d: the hour %d is missing", seed, n)
			}
		}
	}
}

func TestLedger_IsKeptAndReadBack(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	h := &History{}
	hours(h, 0, 100, func(n int) Sample {
		if n%3 == 0 {
			return busiest(random)
		}
		return Sample{Maximum: 3}
	})
	h.Looked("Rule:night", true, at(3*hour))
	h.Looked("CPUThreshold", false, at(0))
	kept, cut := h.Encode(MaxBytes)
	back, err := Decode(kept)
	if err != nil || cut {
		t.Fatalf("%v, cut: %v", err, cut)
	}
	want, since := h.Between(noon, at(99*hour)) // that which was being filled is kept with fewer digits
	got, again := back.Between(noon, at(99*hour))
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Waits{}, wait{}), cmp.Comparer(nearly)); diff != "" || !again.Equal(since) {
		t.Errorf("since %v, not %v (-want +got):\n%s", again, since, diff)
	}
	for rule, asked := range map[string]bool{"Rule:night": true, "CPUThreshold": false} {
		since, last, known := back.Fired(rule)
		if first, before, _ := h.Fired(rule); !known || !since.Equal(first) || !last.Equal(before) || last.IsZero() == asked {
			t.Errorf("%s: since %v, last %v", rule, since, last)
		}
	}
	if _, _, known := back.Fired("Rule:day"); known {
		t.Error("a rule is known that nobody looked at")
	}
}

func TestLedger_WithLittleRoomTheNewestHoursAreKept(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 8))
	h := &History{}
	hours(h, 0, 100, func(int) Sample { return busiest(random) })
	last := time.Time{}
	for most := 3000; most > 40; most -= 10 {
		kept, _ := h.Encode(most)
		if kept == nil {
			continue
		}
		back, err := Decode(kept)
		if err != nil || len(kept) > most {
			t.Fatalf("%d bytes of %d: %v", len(kept), most, err)
		}
		got, since := back.Between(noon, at(100*hour))
		if since.IsZero() {
			continue
		}
		if since.Before(last) || !nearly(got.Observed, at(100*hour).Sub(since).Seconds()) {
			t.Fatalf("%d bytes: since %v, before since %v; %v s", most, since, last, got.Observed)
		}
		last = since
	}
	if last.IsZero() {
		t.Error("nothing was ever kept")
	}
}

func TestFollow_TheHourThatBothSawIsJoinedAndRulesKeepTheirFirstAndLast(t *testing.T) {
	older, newer := &History{}, &History{}
	for s := 0.0; s < 600; s += 15 {
		older.Add(at(s), at(s+15), Sample{Maximum: 2, Wakes: []Wake{{Took: time.Second}}})
		newer.Add(at(1200+s), at(1215+s), Sample{Maximum: 2, Rejected: 1})
	}
	older.Looked("a", true, at(0))
	newer.Looked("a", false, at(2*hour))
	newer.Looked("b", true, at(2*hour))
	h := newer.Follow(older)
	got, since := h.Between(noon, at(hour))
	if got.Observed != 1200 || got.Asleep != 1200 || got.Waits.Len() != 40 || got.Rejected != 40 || got.SavedAgainstMaximum != 2400 || !since.Equal(noon) {
		t.Errorf("since %v: %+v", since, got)
	}
	if since, last, _ := h.Fired("a"); !since.Equal(noon) || !last.Equal(noon) {
		t.Errorf("a: since %v, last %v", since, last)
	}
	if since, last, known := h.Fired("b"); !known || !since.Equal(at(2*hour)) || last.IsZero() {
		t.Errorf("b: since %v, last %v", since, last)
	}
}

func TestFired_AreBoundedAndTheOldestGo(t *testing.T) {
	h := &History{}
	var names []string
	h.Looked("kept", true, at(0))
	for i := range 3 * mostRules {
		names = append(names, string(rune('A'+i)))
		h.Looked(names[i], false, at(float64(i*hour)))
		h.Looked("kept", false, at(float64(i*hour)))
	}
	if since, last, known := h.Fired("kept"); !known || !since.Equal(noon) || !last.Equal(noon) {
		t.Errorf("one that is looked at all the time is forgotten: %v, %v", since, last)
	}
	known := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, _, known := h.Fired(name); return !known })
	if !slices.Equal(known, names[2*mostRules+1:]) || cap(h.fired.of) > mostRules {
		t.Errorf("known are %v, room is for %d", known, cap(h.fired.of))
	}
}

func TestWaits_QuantilesAreNearWhatWasAdded(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		var w Waits
		var all []time.Duration
		for range 1 + random.IntN(200) {
			d := 20*time.Millisecond + seconds(random)
			w.Add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		for _, share := range []float64{0, .5, .95, 1} {
			want := all[max(int(math.Ceil(share*float64(len(all))))-1, 0)]
			if got := w.Quantile(share); math.Abs(float64(got-want)) > .05*float64(want) {
				t.Fatalf("seed %d: the quantile %v of %d is %v, not %v", seed, share, len(all), got, want)
			}
		}
		if w.Len() != int64(len(all)) {
			t.Fatalf("seed %d: %d, not %d", seed, w.Len(), len(all))
		}
	}
}

func TestWaits_AtTheirBounds(t *testing.T) {
	var w Waits
	if w.Quantile(.5) != 0 || w.Len() != 0 {
		t.Errorf("of none: %v, %d", w.Quantile(.5), w.Len())
	}
	for _, d := range []time.Duration{-time.Hour, 0, firstStep, 1000 * time.Hour} {
		w.Add(d)
	}
	w.AddTimes(time.Second, -1)
	if w.Len() != 4 || w.Quantile(.75) != firstStep || w.Quantile(1) < 9*time.Minute {
		t.Errorf("%d; %v, %v", w.Len(), w.Quantile(.75), w.Quantile(1))
	}
	for i := range 100 {
		w.Add(time.Duration(i*i) * time.Second / 8)
	}
	n := w.Len()
	if w.bound(); len(w.of) != mostSteps || w.Len() != n {
		t.Errorf("%d steps, %d of %d", len(w.of), w.Len(), n)
	}
}
