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
		flat   bool
		word   string
	}{{0, true, ": flat"}, {-5, true, ": flat"}, {1.5, true, ": flat"}, {10, false, "NOT flat"}} {
		k := hour(c.growth)
		k.judge()
		if math.Abs(k.PerHour-c.growth) > 0.01 || k.Flat != c.flat || math.Abs(k.HeapPerHour) > 0.01 {
			t.Errorf("%v MB an hour: %v, flat %v", c.growth, k.PerHour, k.Flat)
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
	if k.PerHour != 0 || k.Flat {
		t.Errorf("%+v", k)
	}
}
