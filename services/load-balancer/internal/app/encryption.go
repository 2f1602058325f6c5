package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/controller"
)

// secured is what the connections with the other services are encrypted by; clients' are the entry's matter.
type secured struct {
	settings    encryption.Settings
	certificate *encryption.Certificate
	authorities *encryption.Authorities
	secure      *httpserver.Secure // of the admin port and of that of other load balancers
}

func newSecured(a *App) (*secured, error) {
	certificate, err := encryption.NewCertificate()
	if err != nil {
		return nil, err
	}
	s := &secured{settings: a.settings.Encryption, certificate: certificate}
	if err := certificate.Load(&s.settings); err != nil {
		return nil, err
	}
	s.authorities, s.secure = s.settings.NewAuthorities(), httpserver.NewSecure(certificate.Get, s.settings.ClearText)
	s.settings.Warn(a.log, a.settings.ControllerURL)
	a.telemetry.Registry.MustRegister(telemetry.Figures(s.settings.NewFigures(certificate, s.authorities, s.secure, a.settings.ControllerURL)))
	return s, nil
}

// run keeps the certificate up to date until ctx ends.
func (s *secured) run(ctx context.Context, a *App) {
	s.certificate.Run(ctx, a.log, &s.settings, issuer{a.controller, s.authorities})
}

// trouble is what people should look at.
func (s *secured) trouble(a *App) []string {
	all := append(s.settings.Trouble(a.settings.ControllerURL), s.certificate.Trouble()...)
	if missing := s.authorities.Missing(); missing != "" && !s.settings.ClearText {
		all = append(all, "other services cannot be verified: "+missing)
	}
	return all
}

// issuer is the controller.
type issuer struct {
	controller  *controller.Client
	authorities *encryption.Authorities
}

var _ encryption.Issuer = issuer{}

// Issue asks it for a certificate of a new key, which never leaves this process.
func (i issuer) Issue(ctx context.Context) (*tls.Certificate, error) {
	return authority.Obtain(ctx, i.controller.Certificate)
}

// Trusted tells whether other load balancers, who read the same authorities, can verify it.
func (i issuer) Trusted(c *x509.Certificate) bool { return i.authorities.Trusts(c) }
