package report

import (
	"math"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/summary"
)

// figure is one metric of one proxy in one scenario.
type figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Rounds int     `json:"rounds"`
	// Median of the ratios within each round.
	ToPeer     *float64 `json:"ratio_to_nginx_log,omitempty"`
	ToBaseline *float64 `json:"ratio_to_baseline,omitempty"`
}

type result struct {
	Failure string            `json:"failure,omitempty"`
	Note    string            `json:"note,omitempty"`
	Metrics map[string]figure `json:"metrics,omitempty"`
}

// document is what programs read.
type document struct {
	Time      time.Time                    `json:"time"`
	Direct    float64                      `json:"requests_per_second_without_proxy"`
	Scenarios map[string]map[string]result `json:"scenarios"`
	Targets   []Target                     `json:"targets"`
}

// Write writes the figures for programs.
func (b *Book) Write(path string) error {
	d := document{Time: time.Now().UTC(), Direct: b.Direct, Scenarios: map[string]map[string]result{}, Targets: b.targets()}
	for _, s := range b.Scenarios {
		d.Scenarios[s] = map[string]result{}
		for _, p := range b.Proxies {
			d.Scenarios[s][p] = b.result(s, p)
		}
	}
	return summary.Write(path, d)
}

func (b *Book) result(scenario, proxy string) result {
	r := result{Failure: b.Failure(scenario, proxy), Note: b.notes[key{scenario, proxy}], Metrics: map[string]figure{}}
	for _, m := range b.Metrics(scenario) {
		values := b.Values(scenario, proxy, m)
		if len(values) == 0 {
			continue
		}
		r.Metrics[m] = figure{
			Median: Median(values), Min: Quantile(values, 0), Max: Quantile(values, 1), Rounds: len(values),
			ToPeer: number64(b.Ratio(scenario, proxy, Peer, m)), ToBaseline: number64(b.Ratio(scenario, proxy, Baseline, m)),
		}
	}
	return r
}

// number64 is nil for what is no number.
func number64(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
