package summary

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestWrite_MakesTheFolderAndSaysWhatCannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "build", "bench", "x.json")
	if err := Write(path, Figures{Median: 1.5, N: 3}); err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"median_ms\": 1.5,\n  \"p95_ms\": 0,\n  \"max_ms\": 0,\n  \"n\": 3\n}\n"
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	if err := Write(filepath.Join(path, "y.json"), 1); err == nil {
		t.Error("a file is no folder")
	}
	if err := Write(path, math.NaN()); err == nil {
		t.Error("what is no number cannot be written")
	}
}

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
