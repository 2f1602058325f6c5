package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/cluster"
)

// claimsGauge tells how many targets are refused, by who has what they ask for. Who that is stands in the log:
// no label is taken from what a user names.
type claimsGauge struct {
	desc *prometheus.Desc
	of   func() cluster.Refusals
}

func newClaimsGauge(of func() cluster.Refusals) prometheus.Collector {
	return claimsGauge{of: of, desc: prometheus.NewDesc("nemesis_claims_refused",
		"Targets of CustomAutoscalers that are refused, by who has what they ask for: own-namespace, other-namespace, policy.", []string{"by"}, nil)}
}

// Describe is for Prometheus.
func (g claimsGauge) Describe(out chan<- *prometheus.Desc) { out <- g.desc }

// Collect is for Prometheus.
func (g claimsGauge) Collect(out chan<- prometheus.Metric) {
	n := g.of()
	for by, count := range map[string]int{"own-namespace": n.Own, "other-namespace": n.Foreign, "policy": n.Policy} {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(count), by)
	}
}
