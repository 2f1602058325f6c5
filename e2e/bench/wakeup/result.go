package main

import (
	"fmt"
	"io"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/summary"
)

// target is what the project holds itself to, in milliseconds over the floor, and for the sidecar
// over the same application without it.
const (
	targetMedian  = 25
	targetP95     = 60
	targetSidecar = 20
)

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

// samples are the milliseconds of all rounds, by way.
type samples [][]float64

// result is the whole measurement. Added compares two ways quantile by quantile: what the
// balancer's median is over the floor's median, its p95 over the floor's p95. Paired summarises the
// differences within each pair; it is the stricter figure of the two where the floor itself is
// noisy, because there half of the pairs carry the floor's noise as if Nemesis had added it.
// Sidecar is the way through the balancer with the sidecar in the pod; what it adds is over
// Balancer. Loading is a model server that loads for seconds, without and with the sidecar.
type result struct {
	Floor                summary.Figures `json:"floor"`
	Balancer             summary.Figures `json:"balancer"`
	Added                summary.Figures `json:"added"`
	Paired               summary.Figures `json:"paired"`
	Sidecar              summary.Figures `json:"sidecar"`
	SidecarAdded         summary.Figures `json:"sidecar_added"`
	SidecarPaired        summary.Figures `json:"sidecar_paired"`
	Loading              summary.Figures `json:"loading"`
	LoadingSidecar       summary.Figures `json:"loading_sidecar"`
	LoadingSidecarAdded  summary.Figures `json:"loading_sidecar_added"`
	LoadingSidecarPaired summary.Figures `json:"loading_sidecar_paired"`
}

func summarise(s samples) result {
	var f [len(ways)]summary.Figures
	for way := range f {
		f[way] = summary.Of(s[way])
	}
	paired := func(a, b int) summary.Figures { return summary.Of(summary.Differences(s[a], s[b])) }
	return result{
		Floor: f[floor], Balancer: f[balancer], Added: f[balancer].Over(f[floor]), Paired: paired(balancer, floor),
		Sidecar: f[sidecar], SidecarAdded: f[sidecar].Over(f[balancer]), SidecarPaired: paired(sidecar, balancer),
		Loading: f[loading], LoadingSidecar: f[loadingSidecar],
		LoadingSidecarAdded: f[loadingSidecar].Over(f[loading]), LoadingSidecarPaired: paired(loadingSidecar, loading),
	}
}

func (r result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%-22s %10s %10s %10s %5s\n", "wake-up, ms", "median", "p95", "max", "n")
	for _, row := range []struct {
		name string
		summary.Figures
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
		targetMedian, summary.Verdict(r.Added.Median, targetMedian), targetP95, summary.Verdict(r.Added.P95, targetP95))
	fmt.Fprintf(w, "target: at most %d ms added by the sidecar at the median: %s for an application that is ready at once, %s for one that loads\n",
		targetSidecar, summary.Verdict(r.SidecarAdded.Median, targetSidecar), summary.Verdict(r.LoadingSidecarAdded.Median, targetSidecar))
}
