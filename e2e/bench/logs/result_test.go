package main

import (
	"strings"
	"testing"
)

func TestCompare_TakesTheMedianOfTheRoundsAndTheirRatio(t *testing.T) {
	of := func(record, added float64) measured {
		return measured{RecordCPU: record, Requests: map[string]path{"fast": {AddedP50: added, AddedP99: -1}, "slow": {AddedP50: 3 * added, AddedP99: -3}}}
	}
	rows := compare([]measured{of(10, 2), of(8, 4), of(90, 100)}, []measured{of(2, 1), of(3, 2), of(4, 3)})
	found := map[string]row{}
	for _, r := range rows {
		found[r.What] = r
	}
	for what, want := range map[string]row{
		"CPU a record, to the server's answer": {Base: 10, This: 3, Ratio: 0.3, Target: recordTarget},
		"time added at the median, all ways":   {Base: 8, This: 4, Ratio: 0.5, Target: requestTarget},
		"time added at p99, all ways":          {Base: -2, This: -2, Target: requestTarget},
		"added at the median, server slow":     {Base: 12, This: 6, Ratio: 0.5},
	} {
		if got := found[what]; got.Base != want.Base || got.This != want.This || got.Ratio != want.Ratio || got.Target != want.Target {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	var out strings.Builder
	show(&out, rows)
	if !strings.Contains(out.String(), "0.30") || strings.Count(out.String(), "\n") != len(rows)+1 {
		t.Errorf("%s", out.String())
	}
	if len(compare(nil, nil)) == 0 {
		t.Error("nothing is shown of nothing")
	}
}
