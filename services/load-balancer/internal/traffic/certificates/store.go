package certificates

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// every is how often files are looked at. The kubelet brings a changed Secret within a minute or two.
const every = 10 * time.Second

// Store is the certificates in use. GetCertificate may be called while Reload works.
type Store struct {
	log     *slog.Logger
	metrics *metrics
	entries []*entry                           // of Reload alone
	current atomic.Pointer[[]*tls.Certificate] // in the order in which they were named
}

// entry is one pair: what of it is in use, and what was seen last and refused.
type entry struct {
	pair    Pair
	used    content
	cert    *tls.Certificate
	refused string // the last fault that was logged; "" when there is none
}

// Load reads all pairs. The error has the faults of all: whoever starts with a certificate that
// cannot be used would rather not start.
func Load(pairs []Pair, now time.Time, log *slog.Logger, registry prometheus.Registerer) (*Store, error) {
	s := &Store{log: log, metrics: newMetrics(registry)}
	var faults []error
	for _, p := range pairs {
		e := &entry{pair: p}
		c, err := p.read()
		if err == nil {
			e.used = c
			e.cert, err = p.parse(c)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if ended(e.cert, now) {
			log.Warn("a certificate has ended", "file", p.CertFile, "not_after", e.cert.Leaf.NotAfter)
		}
		s.metrics.uses(p, e.cert)
		s.entries = append(s.entries, e)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	s.publish()
	return s, nil
}

// Config is how the data port speaks TLS: 1.3, or 1.2 with who knows no better, with session tickets
// whose keys the library changes every day, and HTTP/2 for who offers it.
func (s *Store) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: s.choose,
	}
}

// choose is the first certificate that fits what the client asks for and can verify, or the first of
// all: that one may not be for the name, and the client says so better than an alert of ours.
func (s *Store) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	all := *s.current.Load()
	if len(all) > 1 {
		for _, cert := range all {
			if hello.SupportsCertificate(cert) == nil {
				return cert, nil
			}
		}
	}
	return all[0], nil
}

// Run looks at the files until ctx ends.
func (s *Store) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.Reload(time.Now())
		}
	}
}

// Reload takes up what has changed in the files. It must not be called twice at a time.
func (s *Store) Reload(now time.Time) {
	changed := false
	for _, e := range s.entries {
		if cert, err := e.look(now); err != nil {
			s.refuse(e, err)
		} else if cert != nil {
			e.cert, e.refused = cert, ""
			s.metrics.uses(e.pair, cert)
			s.metrics.reloads.WithLabelValues(e.pair.CertFile, "used").Inc()
			s.log.Info("a certificate was read again", "file", e.pair.CertFile, "names", names(cert), "not_after", cert.Leaf.NotAfter)
			changed = true
		} else {
			e.refused = "" // it is again as it was
		}
	}
	if changed {
		s.publish()
	}
}

// look reads a pair again. It returns nil when nothing has changed.
func (e *entry) look(now time.Time) (*tls.Certificate, error) {
	c, err := e.pair.read()
	if err != nil {
		return nil, err
	}
	if c.equal(e.used) {
		return nil, nil //nolint:nilnil // nothing new, and no fault
	}
	cert, err := e.pair.parse(c)
	if err != nil {
		return nil, err
	}
	if ended(cert, now) && !ended(e.cert, now) {
		return nil, fmt.Errorf("%s: %s has ended on %s, the one in use has not", e.pair.certSetting, e.pair.CertFile, cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	e.used = c
	return cert, nil
}

// refuse notes a fault each time, and logs it once.
func (s *Store) refuse(e *entry, fault error) {
	s.metrics.reloads.WithLabelValues(e.pair.CertFile, "refused").Inc()
	if text := fault.Error(); text != e.refused {
		e.refused = text
		s.log.Warn("a changed certificate cannot be used: the one before stays", "error", text, "not_after", e.cert.Leaf.NotAfter)
	}
}

func (s *Store) publish() {
	all := make([]*tls.Certificate, 0, len(s.entries))
	for _, e := range s.entries {
		all = append(all, e.cert)
	}
	s.current.Store(&all)
}

// InUse are the certificates that clients are shown.
func (s *Store) InUse() []*x509.Certificate {
	current := *s.current.Load()
	all := make([]*x509.Certificate, 0, len(current))
	for _, cert := range current {
		all = append(all, cert.Leaf)
	}
	return all
}

func ended(cert *tls.Certificate, now time.Time) bool { return now.After(cert.Leaf.NotAfter) }

// names are whom a certificate is for, as far as a log line has room.
func names(cert *tls.Certificate) string {
	all := slices.Clone(cert.Leaf.DNSNames)
	for _, address := range cert.Leaf.IPAddresses {
		all = append(all, address.String())
	}
	if len(all) == 0 {
		return shortened(cert.Leaf.Subject.String())
	}
	return shortened(strings.Join(all, " "))
}
