package simulate

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
)

// Row is what came of one policy in one scenario, the mean of several runs.
type Row struct {
	Scenario    string  `json:"scenario"`
	Pods        int     `json:"pods"`
	Balancers   int     `json:"balancers"`
	Cost        string  `json:"cost"`
	Load        float64 `json:"load"`
	Policy      string  `json:"policy"`
	P50         float64 `json:"p50Ms"`
	P99         float64 `json:"p99Ms"`
	P999        float64 `json:"p999Ms"`
	Failures    int     `json:"failures"`    // in one run
	Requests    int     `json:"requests"`    // in one run
	Avoided     float64 `json:"avoided"`     // share of the failures that an even share would have had after 2 s; -1: no pod fails
	Imbalance   float64 `json:"imbalance"`   // the busiest pod's utilisation over the mean
	Utilisation float64 `json:"utilisation"` // of the workers' time
}

// Measure runs the scenario with every policy, so many times each.
func Measure(s Scenario, runs int) []Row {
	rows := make([]Row, 0, len(balance.Names()))
	for _, policy := range balance.Names() {
		row := Row{Scenario: s.Name, Pods: len(s.Pods), Balancers: s.Balancers, Cost: s.Cost.Name, Load: s.Load, Policy: policy, Requests: s.Requests}
		later, even, n := 0.0, 0.0, float64(runs)
		for seed := range runs {
			r := Run(s, policy, uint64(seed)+1)
			row.P50, row.P99, row.P999 = row.P50+inMs(r.P50)/n, row.P99+inMs(r.P99)/n, row.P999+inMs(r.P999)/n
			row.Failures += r.Failures
			row.Imbalance, row.Utilisation = row.Imbalance+r.Imbalance/n, row.Utilisation+r.Utilisation/n
			later, even = later+float64(r.Later), even+float64(r.LaterOf)*s.failing()
		}
		row.Failures /= runs
		if row.Avoided = -1; even > 0 {
			row.Avoided = 1 - later/even
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(a.P99, b.P99) })
	return rows
}

// failing is the share of requests that fails when every pod gets as many.
func (s Scenario) failing() float64 {
	sum := 0.0
	for _, p := range s.Pods {
		sum += p.FailShare
	}
	return sum / float64(len(s.Pods))
}

func inMs(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Print writes the rows of one scenario for people.
func Print(w io.Writer, rows []Row) error {
	first := rows[0]
	fmt.Fprintf(w, "\n%s: %d pods, %d load balancers, %s costs, at %.0f%% of the capacity\n", first.Scenario, first.Pods, first.Balancers, first.Cost, 100*first.Load)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "policy\tp50 ms\tp99 ms\tp99.9 ms\tfailures\tavoided\timbalance\t")
	for _, r := range rows {
		avoided := "-"
		if r.Avoided >= 0 {
			avoided = fmt.Sprintf("%.1f%%", 100*r.Avoided)
		}
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.0f\t%d\t%s\t%.2f\t\n", r.Policy, r.P50, r.P99, r.P999, r.Failures, avoided, r.Imbalance)
	}
	return table.Flush()
}
