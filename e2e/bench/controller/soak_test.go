package main

import (
	"math"
	"strings"
	"testing"
)

// hour is an hour's samples of a memory that grows by so much in it, after a start that is steeper.
func hour(growth float64) *record {
	k := &record{Warm: 600}
	for s := 0.0; s <= 3600; s += 5 {
		rss := 100 + growth*s/3600
		if s < k.Warm {
			rss = s / 6
		}
		k.Samples = append(k.Samples, soakSample{Seconds: s, RSS: rss, Live: 40})
	}
	return k
}

func TestSoak_JudgesTheMemoryAfterTheWarmUp(t *testing.T) {
	for _, c := range []struct {
		growth float64
		word   string
	}{{0, "flat"}, {-5, "flat"}, {1.5, "flat"}, {10, "NOT flat"}} {
		k := hour(c.growth)
		k.judge()
		if math.Abs(k.PerHour-c.growth) > 0.01 || k.Verdict != c.word || math.Abs(k.HeapPerHour) > 0.01 {
			t.Errorf("%v MB an hour: %v, %s", c.growth, k.PerHour, k.Verdict)
		}
		var out strings.Builder
		k.print(&out)
		if !strings.Contains(out.String(), c.word) {
			t.Errorf("%v MB an hour: %s", c.growth, out.String())
		}
	}
}

func TestSoak_SaysNothingOfTooFewSamples(t *testing.T) {
	k := &record{Samples: []soakSample{{Seconds: 5, RSS: 1}}}
	k.judge()
	if k.PerHour != 0 || k.Verdict != "" {
		t.Errorf("%+v", k)
	}
}

func TestSoak_DoesNotJudgeWhatSwingsMoreThanItGrows(t *testing.T) {
	k := &record{Warm: 100}
	for s := 100.0; s <= 300; s += 5 { // some minutes of a memory that Go collects now and then
		k.Samples = append(k.Samples, soakSample{Seconds: s, RSS: 110 + 2*math.Mod(s, 25) + s/300})
	}
	if k.judge(); k.Verdict != "too short to tell" {
		t.Errorf("%+.2f ± %.2f: %s", k.PerHour, 2*k.Doubt, k.Verdict)
	}
}

func TestSoak_InMinutesOnlyWhatIsInUseTellsOfALeak(t *testing.T) {
	for _, c := range []struct {
		minutes, live float64 // MB an hour
		word          string
	}{{5, 0, "too short to tell"}, {5, 60, "NOT flat"}, {40, 0, "NOT flat"}} {
		k := &record{Warm: 100}
		for s := 100.0; s <= 100+60*c.minutes; s += 5 {
			k.Samples = append(k.Samples, soakSample{Seconds: s, RSS: 80 + 60*s/3600, Live: 12 + c.live*s/3600})
		}
		if k.judge(); k.Verdict != c.word {
			t.Errorf("%v minutes, in use %+v MB an hour: %s", c.minutes, c.live, k.Verdict)
		}
	}
}
