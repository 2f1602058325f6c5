package certificates

import (
	"crypto/tls"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are labelled with the certificate's file: there are as many as the settings name.
type metrics struct {
	expiry  *prometheus.GaugeVec
	reloads *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nemesis_lb_certificate_expiry_timestamp_seconds", Help: "When the certificate in use ends, as a Unix time.",
		}, []string{"file"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_lb_certificate_reloads_total", Help: "Changed certificates that were used, and looks at one that cannot be (refused): then the one before stays in use.",
		}, []string{"file", "result"}),
	}
	registry.MustRegister(m.expiry, m.reloads)
	return m
}

// uses notes a certificate that is in use. Its counters are there from the beginning, so that the
// first fault is an increase.
func (m *metrics) uses(p Pair, cert *tls.Certificate) {
	m.expiry.WithLabelValues(p.CertFile).Set(float64(cert.Leaf.NotAfter.Unix()))
	m.reloads.WithLabelValues(p.CertFile, "used")
	m.reloads.WithLabelValues(p.CertFile, "refused")
}
