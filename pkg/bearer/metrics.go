package bearer

import "github.com/prometheus/client_golang/prometheus"

var (
	sent    = prometheus.NewDesc("nemesis_token_sent", "1 while this service has a token of its own to send to the others.", nil, nil)
	refused = prometheus.NewDesc("nemesis_token_refusals_total", "Exchanges in which another service did not take this one's token (401) or did not let it (403).", []string{"status"}, nil)
)

// Describe names the metrics.
func (t *Token) Describe(out chan<- *prometheus.Desc) {
	out <- sent
	out <- refused
}

// Collect reads them.
func (t *Token) Collect(out chan<- prometheus.Metric) {
	state := t.State()
	there := 0.0
	if state.Sent {
		there = 1
	}
	out <- prometheus.MustNewConstMetric(sent, prometheus.GaugeValue, there)
	out <- prometheus.MustNewConstMetric(refused, prometheus.CounterValue, float64(state.Unauthorized), "401")
	out <- prometheus.MustNewConstMetric(refused, prometheus.CounterValue, float64(state.Forbidden), "403")
}
