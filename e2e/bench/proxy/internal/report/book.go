// Package report keeps the figures of a benchmark, compares them, and writes them for people and for
// programs.
package report

import (
	"math"
	"slices"
)

// Sample is what one measurement of one proxy gave, by metric.
type Sample map[string]float64

// Book has all samples: by scenario, proxy and round.
type Book struct {
	Scenarios []string
	Proxies   []string
	Direct    float64 // requests a second without a proxy
	samples   map[key][]Sample
	failures  map[key]string
	notes     map[key]string
}

type key struct{ scenario, proxy string }

// NewBook makes an empty one.
func NewBook(scenarios, proxies []string) *Book {
	return &Book{Scenarios: scenarios, Proxies: proxies, samples: map[key][]Sample{}, failures: map[key]string{}, notes: map[key]string{}}
}

// Add keeps the sample of the next round.
func (b *Book) Add(scenario, proxy string, s Sample) {
	k := key{scenario, proxy}
	b.samples[k] = append(b.samples[k], s)
}

// Fail notes why there are no more samples.
func (b *Book) Fail(scenario, proxy, why string) { b.failures[key{scenario, proxy}] = why }

// Failure is why there are no more samples, or "".
func (b *Book) Failure(scenario, proxy string) string { return b.failures[key{scenario, proxy}] }

// Note keeps what one must know of the samples; the last one counts, and "" is none.
func (b *Book) Note(scenario, proxy, text string) {
	if text != "" {
		b.notes[key{scenario, proxy}] = text
	}
}

// Values are those of one metric, one a round.
func (b *Book) Values(scenario, proxy, metric string) []float64 {
	var values []float64
	for _, s := range b.samples[key{scenario, proxy}] {
		if v, ok := s[metric]; ok {
			values = append(values, v)
		}
	}
	return values
}

// Median is that of one metric over the rounds; NaN when there is none.
func (b *Book) Median(scenario, proxy, metric string) float64 {
	return Median(b.Values(scenario, proxy, metric))
}

// Ratio is the median of the ratios within each round: the two were measured seconds apart, and what
// slowed the machine down in between slowed down both. A round in which one of them is not above zero
// (what a proxy adds, lost in noise) has none.
func (b *Book) Ratio(scenario, proxy, to, metric string) float64 {
	mine, theirs := b.Values(scenario, proxy, metric), b.Values(scenario, to, metric)
	var ratios []float64
	for i := range min(len(mine), len(theirs)) {
		if mine[i] > 0 && theirs[i] > 0 {
			ratios = append(ratios, mine[i]/theirs[i])
		}
	}
	return Median(ratios)
}

// Metrics are those that a scenario has samples of.
func (b *Book) Metrics(scenario string) []string {
	seen := map[string]bool{}
	for k, samples := range b.samples {
		if k.scenario != scenario {
			continue
		}
		for _, s := range samples {
			for m := range s {
				seen[m] = true
			}
		}
	}
	var metrics []string
	for _, c := range columns {
		if seen[c.metric] {
			metrics = append(metrics, c.metric)
		}
	}
	return metrics
}

// Median is the middle value, NaN of none.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Quantile interpolates between the two values around it; it is NaN of none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}
