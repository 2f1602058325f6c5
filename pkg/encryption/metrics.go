package encryption

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
)

// gauges are read when Prometheus asks.
type gauges struct {
	clearText   bool
	certificate *Certificate
	authorities *Authorities
	secure      *httpserver.Secure

	clear, made, refused, expires *prometheus.Desc
}

// NewGauges says where clear text is spoken, and what becomes of those who do not get through. Each of
// certificate, authorities and secure may be nil. urls are those of other services.
func (s *Settings) NewGauges(c *Certificate, a *Authorities, secure *httpserver.Secure, urls ...string) prometheus.Collector {
	return &gauges{
		clearText: len(s.Trouble(urls...)) > 0, certificate: c, authorities: a, secure: secure,
		clear:   prometheus.NewDesc("nemesis_clear_text", "1 where the settings let this service speak clear text with others.", nil, nil),
		made:    prometheus.NewDesc("nemesis_clear_text_connections_total", "Connections that were made to other services in clear text because these spoke no TLS, or because there was nothing to verify them by.", nil, nil),
		refused: prometheus.NewDesc("nemesis_tls_refused_total", "Those who were not served: requests in clear text, and TLS handshakes that failed.", []string{"why"}, nil),
		expires: prometheus.NewDesc("nemesis_tls_certificate_expires_timestamp_seconds", "When the certificate ends that this service shows; 0 while it has none that others verify.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(g, out) }

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	value := 0.0
	if g.clearText {
		value = 1
	}
	out <- prometheus.MustNewConstMetric(g.clear, prometheus.GaugeValue, value)
	if g.authorities != nil {
		out <- prometheus.MustNewConstMetric(g.made, prometheus.CounterValue, float64(g.authorities.ClearText()))
	}
	if g.secure != nil {
		n := g.secure.Counts()
		out <- prometheus.MustNewConstMetric(g.refused, prometheus.CounterValue, float64(n.ClearText), "clear-text")
		out <- prometheus.MustNewConstMetric(g.refused, prometheus.CounterValue, float64(n.Failed), "handshake")
	}
	if g.certificate != nil {
		ends := 0.0
		if !g.certificate.Provisional() {
			ends = float64(g.certificate.Leaf().NotAfter.Unix())
		}
		out <- prometheus.MustNewConstMetric(g.expires, prometheus.GaugeValue, ends)
	}
}
