package main

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// target is what the project holds itself to, in milliseconds over the floor, and for the sidecar
// over the same application without it.
const (
	targetMedian  = 25
	targetP95     = 60
	targetSidecar = 20
)

// figures are of one way, in milliseconds.
type figures struct {
	Median float64 `json:"median_ms"`
	P95    float64 `json:"p95_ms"`
	Max    float64 `json:"max_ms"`
	N      int     `json:"n"`
}

// The ways to a sleeping application.
const (
	floor = iota
	balancer
	sidecar
	loading
	loadingSidecar
)

var ways = [...]string{
	floor: "floor", balancer: "balancer", sidecar: "with sidecar", loading: "model server", loadingSidecar: "with sidecar",
}

// sample is one round, in milliseconds, by way; samples are all rounds.
type (
	sample  [len(ways)]float64
	samples [len(ways)][]float64
)

func (s *samples) add(one sample) {
	for way, ms := range one {
		s[way] = append(s[way], ms)
	}
}

// result is the whole measurement. Added compares two ways quantile by quantile: what the
// balancer's median is over the floor's median, its p95 over the floor's p95. Paired summarises the
// differences within each pair; it is the stricter figure of the two where the floor itself is
// noisy, because there half of the pairs carry the floor's noise as if Nemesis had added it.
// Sidecar is the way through the balancer with the sidecar in the pod; what it adds is over
// Balancer. Loading is a model server that loads for seconds, without and with the sidecar.
type result struct {
	Floor                figures `json:"floor"`
	Balancer             figures `json:"balancer"`
	Added                figures `json:"added"`
	Paired               figures `json:"paired"`
	Sidecar              figures `json:"sidecar"`
	SidecarAdded         figures `json:"sidecar_added"`
	SidecarPaired        figures `json:"sidecar_paired"`
	Loading              figures `json:"loading"`
	LoadingSidecar       figures `json:"loading_sidecar"`
	LoadingSidecarAdded  figures `json:"loading_sidecar_added"`
	LoadingSidecarPaired figures `json:"loading_sidecar_paired"`
}

func summarise(s samples) result {
	var f [len(ways)]figures
	for way := range f {
		f[way] = figuresOf(s[way])
	}
	paired := func(a, b int) figures { return figuresOf(differences(s[a], s[b])) }
	return result{
		Floor: f[floor], Balancer: f[balancer], Added: f[balancer].over(f[floor]), Paired: paired(balancer, floor),
		Sidecar: f[sidecar], SidecarAdded: f[sidecar].over(f[balancer]), SidecarPaired: paired(sidecar, balancer),
		Loading: f[loading], LoadingSidecar: f[loadingSidecar],
		LoadingSidecarAdded: f[loadingSidecar].over(f[loading]), LoadingSidecarPaired: paired(loadingSidecar, loading),
	}
}

// over compares quantile by quantile.
func (f figures) over(other figures) figures {
	return figures{Median: rounded(f.Median - other.Median), P95: rounded(f.P95 - other.P95), Max: rounded(f.Max - other.Max), N: f.N}
}

func differences(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

func figuresOf(values []float64) figures {
	sorted := slices.Sorted(slices.Values(values))
	return figures{
		Median: rounded(quantile(sorted, 0.5)), P95: rounded(quantile(sorted, 0.95)),
		Max: rounded(quantile(sorted, 1)), N: len(sorted),
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

func rounded(v float64) float64 { return math.Round(v*10) / 10 }

func (r result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%-22s %10s %10s %10s %5s\n", "wake-up, ms", "median", "p95", "max", "n")
	for _, row := range []struct {
		name string
		figures
	}{
		{"floor", r.Floor},
		{"through the balancer", r.Balancer}, {"added", r.Added}, {"added, pair by pair", r.Paired},
		{"with the sidecar", r.Sidecar}, {"added", r.SidecarAdded}, {"added, pair by pair", r.SidecarPaired},
		{"a model server", r.Loading},
		{"with the sidecar", r.LoadingSidecar}, {"added", r.LoadingSidecarAdded}, {"added, pair by pair", r.LoadingSidecarPaired},
	} {
		fmt.Fprintf(w, "%-22s %10.1f %10.1f %10.1f %5d\n", row.name, row.Median, row.P95, row.Max, row.N)
	}
	fmt.Fprintf(w, "target: at most %d ms added at the median: %s; at most %d ms at the 95th percentile: %s\n",
		targetMedian, verdict(r.Added.Median, targetMedian), targetP95, verdict(r.Added.P95, targetP95))
	fmt.Fprintf(w, "target: at most %d ms added by the sidecar at the median: %s for an application that is ready at once, %s for one that loads\n",
		targetSidecar, verdict(r.SidecarAdded.Median, targetSidecar), verdict(r.LoadingSidecarAdded.Median, targetSidecar))
}

func verdict(value, limit float64) string {
	if value <= limit {
		return "met"
	}
	return "missed"
}
