package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
)

// connectionGauges are read from the server when Prometheus asks.
type connectionGauges struct {
	from                   *httpserver.Connections
	open, refused, sentOff *prometheus.Desc
}

func newConnectionGauges(from *httpserver.Connections) *connectionGauges {
	return &connectionGauges{
		from:    from,
		open:    prometheus.NewDesc("nemesis_connections_open", "Connections to the API that are open; those of pushes are kept for the next one.", []string{"of"}, nil),
		refused: prometheus.NewDesc("nemesis_connections_refused_total", "Connections that were closed at once because max-connections were open.", nil, nil),
		sentOff: prometheus.NewDesc("nemesis_connections_not_kept_total", "Pushes whose connection was closed after them because kept-connections were kept.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *connectionGauges) Describe(out chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(g, out)
}

// Collect implements prometheus.Collector.
func (g *connectionGauges) Collect(out chan<- prometheus.Metric) {
	n := g.from.Counts()
	out <- prometheus.MustNewConstMetric(g.open, prometheus.GaugeValue, float64(n.Many), "pushes")
	out <- prometheus.MustNewConstMetric(g.open, prometheus.GaugeValue, float64(max(n.Open-n.Many, 0)), "others")
	out <- prometheus.MustNewConstMetric(g.refused, prometheus.CounterValue, float64(n.Refused))
	out <- prometheus.MustNewConstMetric(g.sentOff, prometheus.CounterValue, float64(n.SentOff))
}
