package main

import "testing"

func TestRests_OnlyWhoIsIdle(t *testing.T) {
	for _, c := range []struct {
		shares []float64
		want   bool
	}{
		{nil, false},
		{[]float64{0, 0}, false},
		{[]float64{0.9, 0.01, 0.02, 0.005}, true},
		{[]float64{0.08, 0.08, 0.08}, false}, // works something off at a pace
		{[]float64{0.77, 0.77, 0.77}, false}, // works off what it has heard
		{[]float64{0.01, 0.01, 0.3}, false},
	} {
		if got := rests(c.shares); got != c.want {
			t.Errorf("%v: %v", c.shares, got)
		}
	}
}
