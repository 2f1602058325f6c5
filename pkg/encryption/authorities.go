package encryption

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Dial connects.
type Dial = func(ctx context.Context, network, address string) (net.Conn, error)

// sessions are kept for later connections, which are then resumed: a handshake without verifying anew.
const sessions = 64

// Authorities are by whom a client verifies the services that it calls. What the file says now counts for
// new connections: those that are open stay.
type Authorities struct {
	file      string // "": the system's
	read      func() ([]byte, error)
	every     time.Duration // it is looked at so often at most
	clearText bool

	mu     sync.Mutex
	config *tls.Config // nil: nothing was read yet
	text   []byte
	looked time.Time

	clear atomic.Int64
}

// NewAuthorities reads nothing yet. A file that does not exist is read when it does.
func (s *Settings) NewAuthorities() *Authorities {
	return &Authorities{file: s.CAFile, every: lookEvery, clearText: s.ClearText, read: func() ([]byte, error) { return readFile(s.CAFile) }}
}

// NewAuthoritiesOf takes them from somewhere else than the file: read is asked for each new connection.
func (s *Settings) NewAuthoritiesOf(name string, read func() ([]byte, error)) *Authorities {
	return &Authorities{file: name, read: read, clearText: s.ClearText}
}

// ClearText is how many connections were made in clear text though the address said https.
func (a *Authorities) ClearText() int64 { return a.clear.Load() }

// DialTLS is for http.Transport: it connects by dial and shakes hands, for which there is so much time.
func (a *Authorities) DialTLS(dial Dial, within time.Duration) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		config, err := a.current(time.Now())
		if err != nil && !a.clearText {
			return nil, err
		}
		conn, dialled := dial(ctx, network, address)
		if dialled != nil {
			return nil, dialled
		}
		if err != nil {
			a.clear.Add(1)
			return conn, nil
		}
		secured, err := shake(ctx, conn, config, address, within)
		if err == nil {
			return secured, nil
		}
		_ = conn.Close()
		switch {
		case !noTLS(err):
			return nil, err
		case !a.clearText:
			return nil, fmt.Errorf("%w: the other side speaks clear text alone, as version 0.1.0 does; with the setting clear-text it is called so", err)
		}
		if conn, err = dial(ctx, network, address); err != nil {
			return nil, err
		}
		a.clear.Add(1)
		return conn, nil
	}
}

func shake(ctx context.Context, conn net.Conn, config *tls.Config, address string, within time.Duration) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("TLS with %q: %w", address, err)
	}
	own := config.Clone()
	own.ServerName = host
	secured := tls.Client(conn, own)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS with %s: %w", address, err)
	}
	return secured, nil
}

// noTLS tells whether the other side answered a handshake in clear text.
func noTLS(err error) bool {
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}

// current is what a new connection is made by. The file is looked at every few seconds at most, and each
// time while there is none.
func (a *Authorities) current(now time.Time) (*tls.Config, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.config != nil && (a.file == "" || now.Sub(a.looked) < a.every) {
		return a.config, nil
	}
	if a.file == "" {
		a.config = newConfig(nil)
		return a.config, nil
	}
	text, err := a.read()
	if err == nil && a.config != nil && bytes.Equal(text, a.text) {
		a.looked = now
		return a.config, nil
	}
	var roots *x509.CertPool
	if err == nil {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			err = fmt.Errorf("%s: has no certificate (PEM)", a.file)
		}
	}
	switch {
	case err == nil:
		a.config, a.text, a.looked = newConfig(roots), text, now
		return a.config, nil
	case a.config != nil:
		a.looked = now // what was read before goes on being trusted
		return a.config, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("ca-file: %w: the controller makes the ConfigMap nemesis-ca in each namespace that has applications", err)
	default:
		return nil, fmt.Errorf("ca-file: %w", err)
	}
}

// newConfig has sessions of its own: one that was made by other authorities is not resumed.
func newConfig(roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots, NextProtos: []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
	}
}

// Trusts tells whether a certificate can be verified by what the file says. Where nothing can be read
// nothing is known against it.
func (a *Authorities) Trusts(c *x509.Certificate) bool {
	config, err := a.current(time.Now())
	if err != nil {
		return true
	}
	_, err = c.Verify(x509.VerifyOptions{Roots: config.RootCAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	return !unknown
}

// Missing says why nobody can be verified yet; "" when somebody can.
func (a *Authorities) Missing() string {
	if _, err := a.current(time.Now()); err != nil {
		return err.Error()
	}
	return ""
}
