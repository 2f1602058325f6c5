package batching

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/send"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/send/batches"
)

// secured is what the connections with sidecars and with the controller are encrypted by.
type secured struct {
	settings    encryption.Settings
	url         string // of the controller
	log         *slog.Logger
	certificate *encryption.Certificate
	authorities *encryption.Authorities
	secure      *httpserver.Secure
	issuer      *batches.Certificates
}

func newSecured(s Settings, t *telemetry.Telemetry, wrap send.Wrap) (*secured, error) {
	certificate, err := encryption.NewCertificate()
	if err != nil {
		return nil, err
	}
	c := &secured{settings: s.Encryption, url: s.ControllerURL, log: t.Log, certificate: certificate, secure: httpserver.NewSecure(certificate.Get, s.Encryption.ClearText)}
	if err := certificate.Load(&c.settings); err != nil {
		return nil, err
	}
	c.authorities = c.settings.NewAuthorities()
	if c.issuer, err = batches.NewCertificates(s.ControllerURL, send.Way{Wrap: wrap, Authorities: c.authorities}); err != nil {
		return nil, err
	}
	c.settings.Warn(t.Log, c.url)
	t.Registry.MustRegister(telemetry.Figures(c.settings.NewFigures(certificate, c.authorities, c.secure, c.url)))
	return c, nil
}

// run keeps the certificate up to date until ctx ends.
func (c *secured) run(ctx context.Context) {
	c.certificate.Run(ctx, c.log, &c.settings, c)
}

// trouble is what people should look at.
func (c *secured) trouble() []string {
	all := append(c.settings.Trouble(c.url), c.certificate.Trouble()...)
	if missing := c.authorities.Missing(); missing != "" && !c.settings.ClearText && strings.HasPrefix(c.url, "https:") {
		all = append(all, "the controller cannot be verified: "+missing)
	}
	return all
}

var _ encryption.Issuer = (*secured)(nil)

// Issue asks the controller for a certificate of a new key, which never leaves this process.
func (c *secured) Issue(ctx context.Context) (*tls.Certificate, error) {
	return authority.Obtain(ctx, c.issuer.Certificate)
}

// Trusted tells whether sidecars, who read the same authorities, can verify it.
func (c *secured) Trusted(leaf *x509.Certificate) bool { return c.authorities.Trusts(leaf) }
