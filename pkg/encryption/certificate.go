package encryption

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/retry"
)

// Certificate is the one that a port shows. A new one is for new connections: those that are open stay as
// they are.
type Certificate struct {
	current     atomic.Pointer[tls.Certificate]
	provisional atomic.Bool
	trouble     atomic.Pointer[string]
}

// NewCertificate makes a provisional one, which nobody trusts: the kubelet's checks, which verify nothing,
// are answered before a service can have one that others verify, and also while the controller is away.
func NewCertificate() (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	now := time.Now()
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "provisional: no certificate yet"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "nobody"}}, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a provisional certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("make a provisional certificate: %w", err)
	}
	c := &Certificate{}
	c.current.Store(&tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf})
	c.provisional.Store(true)
	return c, nil
}

// Get is for tls.Config, and httpserver.NewSecure.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// Leaf is what it says of itself.
func (c *Certificate) Leaf() *x509.Certificate { return c.current.Load().Leaf }

// Use has new connections shown another one.
func (c *Certificate) Use(to *tls.Certificate) {
	c.current.Store(to)
	c.provisional.Store(false)
	c.trouble.Store(nil)
}

// Provisional tells whether nobody can verify it yet.
func (c *Certificate) Provisional() bool { return c.provisional.Load() }

// Trouble is what people should look at: why it is not the one that it ought to be.
func (c *Certificate) Trouble() []string {
	switch text := c.trouble.Load(); {
	case text == nil:
		return nil
	case c.Provisional():
		return []string{"no certificate yet, so nobody can verify this port: " + *text}
	default:
		return []string{fmt.Sprintf("the certificate, which ends on %s, is not renewed: %s", c.Leaf().NotAfter.UTC().Format(time.RFC3339), *text)}
	}
}

func (c *Certificate) fault(err error) {
	c.trouble.Store(new(err.Error()))
}

// How soon a certificate that was not issued is asked for again, and how much of a renewal's time is left
// to chance, so that services that began together do not ask together.
var again = retry.Backoff{First: 200 * time.Millisecond, Most: 30 * time.Second}

const (
	chance    = 0.1
	leastWait = time.Second
)

// Issuer is by whom a certificate is issued.
type Issuer interface {
	Issue(ctx context.Context) (*tls.Certificate, error)
	// Trusted tells whether others can verify it still: the authority may have begun anew.
	Trusted(c *x509.Certificate) bool
}

// Run keeps the certificate up to date until ctx ends: by the files where they are given, else by the issuer.
func (c *Certificate) Run(ctx context.Context, log *slog.Logger, s *Settings, from Issuer) {
	if s.Given() {
		c.Follow(ctx, log, s)
		return
	}
	c.Keep(ctx, log, from)
}

// Keep has the certificate issued, and renewed when two thirds of its time are over or when it can be
// verified no longer, until ctx ends.
func (c *Certificate) Keep(ctx context.Context, log *slog.Logger, from Issuer) {
	for failures := 0; ; {
		cert, err := from.Issue(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if failures++; failures == 1 {
				log.Warn("no certificate was issued; it is tried again", "error", err)
			}
			c.fault(err)
			if !retry.Pause(ctx, again.Near(failures, mathrand.Float64)) {
				return
			}
			continue
		}
		failures = 0
		c.Use(cert)
		log.Info("a certificate was issued", "names", cert.Leaf.DNSNames, "ips", cert.Leaf.IPAddresses, "not_after", cert.Leaf.NotAfter)
		left := time.Until(RenewAt(cert.Leaf))
		until := time.Now().Add(max(left-time.Duration(mathrand.Float64()*chance*float64(left)), leastWait))
		for time.Now().Before(until) {
			if !retry.Pause(ctx, min(lookEvery, time.Until(until))) {
				return
			}
			if !from.Trusted(cert.Leaf) {
				log.Info("the certificate can be verified no longer: another one is asked for")
				break
			}
		}
	}
}

// lookEvery is how often files are looked at. The kubelet brings a changed Secret within a minute or two.
const lookEvery = 10 * time.Second

// Follow shows the certificate in the files, and looks whether they have changed, until ctx ends. A
// content that cannot be used changes nothing.
func (c *Certificate) Follow(ctx context.Context, log *slog.Logger, s *Settings) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		cert, err := s.load()
		switch {
		case err != nil:
			if c.trouble.Load() == nil {
				log.Warn("the certificate's files cannot be used: the one before stays", "error", err)
			}
			c.fault(err)
		case !same(cert, c.current.Load()):
			c.Use(cert)
			log.Info("another certificate is used", "file", s.CertFile, "names", cert.Leaf.DNSNames, "not_after", cert.Leaf.NotAfter)
		default:
			c.trouble.Store(nil)
		}
	}
}

func same(a, b *tls.Certificate) bool {
	if len(a.Certificate) != len(b.Certificate) {
		return false
	}
	for i := range a.Certificate {
		if !bytes.Equal(a.Certificate[i], b.Certificate[i]) {
			return false
		}
	}
	return true
}

// Load takes the certificate in the files, if there is to be one. They must be there.
func (c *Certificate) Load(s *Settings) error {
	if !s.Given() {
		return nil
	}
	cert, err := s.load()
	if err != nil {
		return err
	}
	c.Use(cert)
	return nil
}

// load reads the files. A Secret that changes in between gives a key of another certificate: the files
// are read again then.
func (s *Settings) load() (*tls.Certificate, error) {
	const tries = 3
	var fault error
	for range tries {
		chain, err := readFile(s.CertFile)
		if err != nil {
			return nil, fmt.Errorf("service-cert-file: %w", err)
		}
		key, err := readFile(s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("service-key-file: %w", err)
		}
		cert, err := tls.X509KeyPair(chain, key)
		if err == nil {
			return &cert, nil
		}
		fault = fmt.Errorf("service-cert-file and service-key-file: %s and %s: %w", s.CertFile, s.KeyFile, err)
	}
	return nil, fault
}

// RenewAt is when a certificate should be renewed: when two thirds of its time are over.
func RenewAt(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) * 2 / 3)
}
