package main

import (
	"fmt"
	"io"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/summary"
)

// What the project holds itself to.
const (
	targetAdded    = 20 // ms at the median, over the same application without a sidecar
	targetResident = 8 << 20
	targetShare    = 0.0005 // of a core
	targetImage    = 8_000_000
)

// row is a place. Added compares quantile by quantile with the application without a sidecar, Paired within each round.
type row struct {
	Place  string          `json:"place"`
	WakeUp summary.Figures `json:"wake_up"`
	Added  summary.Figures `json:"added"`
	Paired summary.Figures `json:"paired"`
}

// result is the whole measurement.
type result struct {
	Places []row `json:"places"`
	Cost   cost  `json:"cost"`
}

// summarise puts the milliseconds of all rounds, by place, into figures.
func summarise(all [][]float64) result {
	var r result
	base := summary.Of(all[without])
	for at, p := range places {
		f := summary.Of(all[at])
		r.Places = append(r.Places, row{p.key, f, f.Over(base), summary.Of(summary.Differences(all[at], all[without]))})
	}
	return r
}

func (r result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%-24s %9s %9s %9s %9s %13s %4s\n", "wake-up, ms", "median", "p95", "max", "added", "pair by pair", "n")
	for at, p := range r.Places {
		fmt.Fprintf(w, "%-24s %9.1f %9.1f %9.1f", places[at].name, p.WakeUp.Median, p.WakeUp.P95, p.WakeUp.Max)
		if at == without {
			fmt.Fprintf(w, " %9s %13s %4d\n", "", "", p.WakeUp.N)
			continue
		}
		fmt.Fprintf(w, " %+9.1f %+13.1f %4d\n", p.Added.Median, p.Paired.Median, p.WakeUp.N)
	}
	c := r.Cost
	fmt.Fprintf(w, "\nresident %.1f MiB; %.4f %% of a core over %.0f s with %.0f pushes; program %.2f MB, image %.2f MB\n",
		float64(c.ResidentBytes)/(1<<20), 100*c.CoreShare, c.Seconds, c.Pushes, float64(c.ProgramBytes)/1e6, float64(c.ImageBytes)/1e6)
	fmt.Fprintf(w, "target: at most %d ms added at the median: %s by the one that comes by itself\n", targetAdded, summary.Verdict(r.Places[injected].Added.Median, targetAdded))
	fmt.Fprintf(w, "target: at most 8 MiB resident: %s; 0.05 %% of a core: %s; an image of 8 MB: %s\n", summary.Verdict(float64(c.ResidentBytes), targetResident),
		summary.Verdict(c.CoreShare, targetShare), summary.Verdict(float64(c.ImageBytes), targetImage))
}
