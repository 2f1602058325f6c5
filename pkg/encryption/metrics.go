package encryption

import (
	"github.com/nemesis-scaling/nemesis/pkg/figures"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
)

// NewFigures says where clear text is spoken, and what becomes of those who do not get through. Each of
// certificate, authorities and secure may be nil. urls are those of other services.
func (s *Settings) NewFigures(c *Certificate, a *Authorities, secure *httpserver.Secure, urls ...string) figures.Source {
	clearText := figures.Yes(len(s.Trouble(urls...)) > 0)
	return func() []figures.Family {
		all := []figures.Family{figures.Of(figures.Gauge, "nemesis_clear_text", "1 where the settings let this service speak clear text with others.", clearText)}
		if a != nil {
			all = append(all, figures.Of(figures.Counter, "nemesis_clear_text_connections_total",
				"Connections that were made to other services in clear text because these spoke no TLS, or because there was nothing to verify them by.", float64(a.ClearText())))
		}
		if secure != nil {
			n := secure.Counts()
			all = append(all, figures.By(figures.Counter, "nemesis_tls_refused_total", "Those who were not served: requests in clear text, and TLS handshakes that failed.", "why",
				figures.At("clear-text", float64(n.ClearText)), figures.At("handshake", float64(n.Failed))))
		}
		if c != nil {
			ends := 0.0
			if !c.Provisional() {
				ends = float64(c.Leaf().NotAfter.Unix())
			}
			all = append(all, figures.Of(figures.Gauge, "nemesis_tls_certificate_expires_timestamp_seconds", "When the certificate ends that this service shows; 0 while it has none that others verify.", ends))
		}
		return all
	}
}
