package main

import "testing"

func TestLostLease_OfWhoDoesNotLeadOrBeganAnew(t *testing.T) {
	for _, c := range []struct {
		metrics map[string]float64
		want    bool
	}{
		{map[string]float64{"nemesis_leader": 1, "nemesis_leader_terms_total": 1}, false},
		{map[string]float64{"nemesis_leader": 0, "nemesis_leader_terms_total": 1}, true},
		{map[string]float64{"nemesis_leader": 1, "nemesis_leader_terms_total": 2}, true},
		{map[string]float64{}, false},
	} {
		if got := lostLease(c.metrics); got != c.want {
			t.Errorf("%v: %v", c.metrics, got)
		}
	}
}
