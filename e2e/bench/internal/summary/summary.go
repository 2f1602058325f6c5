// Package summary is how benchmarks say what they measured.
package summary

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// Write writes what was measured, for programs and for all to read.
func Write(path string, measured any) error {
	raw, err := json.MarshalIndent(measured, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // G301: figures are no secret
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644) //nolint:gosec // G306: likewise
}

// Figures are of one way to wake an application, in milliseconds.
type Figures struct {
	Median float64 `json:"median_ms"`
	P95    float64 `json:"p95_ms"`
	Max    float64 `json:"max_ms"`
	N      int     `json:"n"`
}

// Over compares quantile by quantile.
func (f Figures) Over(other Figures) Figures {
	return Figures{Median: Rounded(f.Median - other.Median), P95: Rounded(f.P95 - other.P95), Max: Rounded(f.Max - other.Max), N: f.N}
}

// Differences are those of each pair.
func Differences(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

// Of summarises values.
func Of(values []float64) Figures {
	sorted := slices.Sorted(slices.Values(values))
	return Figures{
		Median: Rounded(quantile(sorted, 0.5)), P95: Rounded(quantile(sorted, 0.95)),
		Max: Rounded(quantile(sorted, 1)), N: len(sorted),
	}
}

// quantile reads the q-quantile of sorted values, from 0 to 1, interpolating between neighbours.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// Rounded is a value for people.
func Rounded(v float64) float64 { return math.Round(v*10) / 10 }

// Verdict tells whether a limit is kept.
func Verdict(value, limit float64) string {
	if value <= limit {
		return "met"
	}
	return "missed"
}
