package main

import (
	"math"
	"testing"
)

func TestBear_LeavesTheOthersRoom(t *testing.T) {
	for _, c := range []struct{ wanted, few, without, with, want float64 }{
		{200, 5, 0.05, 0.06, 200}, // a wake-up takes 0.2%
		{200, 5, 0.05, 0.11, 50},  // 1.2%
		{200, 5, 0.60, 0.70, 5},   // no room: those that were tried
		{200, 5, 0.05, 0.04, 200}, // too little to be told
		{2, 2, 0.05, 0.20, 2},     // no more than wanted
		{200, 5, 0.90, 1.00, 5},   // less than none
	} {
		if got := bear(c.wanted, c.few, c.without, c.with); math.Abs(got-c.want) > 0.01 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
