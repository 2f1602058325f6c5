package summary

import (
	"math"
	"testing"
)

func TestQuantile_Interpolates(t *testing.T) {
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{7}, 0.95, 7},
		{[]float64{0, 10}, 0.5, 5},
		{[]float64{0, 10, 20}, 1, 20},
		{[]float64{0, 10, 20, 30, 40}, 0.95, 38},
	} {
		if got := quantile(c.values, c.q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("quantile(%v, %v) = %v, want %v", c.values, c.q, got, c.want)
		}
	}
	if !math.IsNaN(quantile(nil, 0.5)) {
		t.Error("no values have no quantile")
	}
}
