// Package authority is a small certificate authority for the services' connections to each other: what it
// holds is a value that stands in a Secret, when it is renewed is decided by a pure function, and every
// certificate that it issues is short-lived.
//
// A root is renewed without anybody noticing: the next one is published two days before it signs, so that
// whoever verifies has it by then, and the one before goes on to be published until the last certificate
// that it signed has expired. Certificates are X.509 (RFC 5280) with keys on P-256.
package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"
)

// The times of an authority, where nothing else is said.
const (
	RootLifetime = rootLeaves * LeafLifetime
	LeafLifetime = 24 * time.Hour
	publishedFor = publishedLeaves * LeafLifetime // that a root is published before it signs
	renewAfter   = RootLifetime * 2 / 3
	backdated    = LeafLifetime / backdatedShare // for those whose clocks are behind
)

const (
	rootLeaves      = 365
	publishedLeaves = 2
	backdatedShare  = 288 // five minutes of a day
)

// Times are how long what an authority makes counts. The zero value is that of the constants.
type Times struct {
	Leaf time.Duration // of a certificate; everything else is a multiple or a part of it
	Root time.Duration // of a root; 0: 365 times Leaf
}

func (t Times) leaf() time.Duration {
	if t.Leaf <= 0 {
		return LeafLifetime
	}
	return t.Leaf
}

func (t Times) root() time.Duration {
	if t.Root > 0 {
		return t.Root
	}
	return rootLeaves * t.leaf()
}

func (t Times) published() time.Duration  { return publishedLeaves * t.leaf() }
func (t Times) backdated() time.Duration  { return t.leaf() / backdatedShare }
func (t Times) renewAfter() time.Duration { return t.root() * 2 / 3 }

// State is what an authority holds. The zero value holds nothing: Renew makes the first root.
type State struct {
	current, next root
	previous      *x509.Certificate // it signs no more
	since         time.Time         // that current signs
}

// root is a certificate that signs others, with its key; nil where there is none.
type root struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// Renew is the state as it ought to be now, and what was done to it; "": nothing.
func (s State) Renew(now time.Time, t Times) (State, string, error) {
	switch {
	case s.current.certificate == nil || !now.Before(s.current.certificate.NotAfter):
		made, err := newRoot(now, t)
		if err != nil {
			return s, "", err
		}
		what := "the first root was made"
		if s.current.certificate != nil {
			what = "the root had expired: a new one signs at once"
		}
		return State{current: made, since: now}, what, nil
	case s.next.certificate != nil && now.Sub(s.next.certificate.NotBefore) >= t.published()+t.backdated():
		return State{current: s.next, previous: s.current.certificate, since: now}, "the next root signs from now on", nil
	case s.next.certificate == nil && now.Sub(s.current.certificate.NotBefore) >= t.renewAfter():
		made, err := newRoot(now, t)
		if err != nil {
			return s, "", err
		}
		s.next = made
		return s, "the next root is published", nil
	case s.previous != nil && now.Sub(s.since) >= t.leaf()+t.backdated():
		s.previous = nil
		return s, "the root before is published no longer", nil
	}
	return s, "", nil
}

// Rotate publishes the next root now, though the one that signs has time left. It signs when everybody has
// had the time to read it, as ever.
func (s State) Rotate(now time.Time, t Times) (State, error) {
	if s.current.certificate == nil || s.next.certificate != nil {
		return s, nil
	}
	made, err := newRoot(now, t)
	s.next = made
	return s, err
}

// Empty tells whether there is no root yet.
func (s State) Empty() bool { return s.current.certificate == nil }

// Signed tells whether whoever has the bundle of now can verify a certificate.
func (s State) Signed(c *x509.Certificate, now time.Time) bool {
	pool := x509.NewCertPool()
	for _, root := range []*x509.Certificate{s.current.certificate, s.next.certificate, s.previous} {
		if root != nil {
			pool.AddCert(root)
		}
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// Due is when Renew will do something next, if nothing else happens.
func (s State) Due(t Times) time.Time {
	if s.current.certificate == nil {
		return time.Time{}
	}
	due := s.current.certificate.NotBefore.Add(t.renewAfter())
	if s.next.certificate != nil {
		due = s.next.certificate.NotBefore.Add(t.published() + t.backdated())
	}
	if s.previous != nil {
		if gone := s.since.Add(t.leaf() + t.backdated()); gone.Before(due) {
			due = gone
		}
	}
	return due
}

// Bundle is every root by which a certificate may be verified now, as PEM: what is published.
func (s State) Bundle() []byte {
	var text bytes.Buffer
	for _, c := range []*x509.Certificate{s.current.certificate, s.next.certificate, s.previous} {
		if c != nil {
			text.Write(encoded("CERTIFICATE", c.Raw))
		}
	}
	return text.Bytes()
}

// Names are whom a certificate is of.
type Names struct {
	Common string     // for people
	DNS    []string   // by which it is called
	IPs    []net.IP   // likewise
	URIs   []*url.URL // what it is
}

// Issue signs a certificate of a public key, for servers and clients, that counts for as long as t says and
// never longer than its root. The answer is PEM, without the root.
func (s State) Issue(now time.Time, t Times, key crypto.PublicKey, n Names) ([]byte, error) {
	if s.current.certificate == nil {
		return nil, errors.New("the authority has no root yet")
	}
	if err := strong(key); err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	until := now.Add(t.leaf())
	if last := s.current.certificate.NotAfter; until.After(last) {
		until = last
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: n.Common, Organization: []string{organization}},
		NotBefore: now.Add(-t.backdated()), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, DNSNames: n.DNS, IPAddresses: n.IPs, URIs: n.URIs,
	}, s.current.certificate, key, s.current.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return encoded("CERTIFICATE", raw), nil
}

// organization stands in every certificate.
const organization = "Nemesis"

func newRoot(now time.Time, t Times) (root, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return root{}, fmt.Errorf("make a key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return root{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// Two roots never have the same name: some verifiers look for an issuer by name alone.
		Subject:   pkix.Name{CommonName: "Nemesis " + serial.Text(36), Organization: []string{organization}},
		NotBefore: now.Add(-t.backdated()), NotAfter: now.Add(t.root()),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return root{}, fmt.Errorf("make a root: %w", err)
	}
	certificate, err := x509.ParseCertificate(raw)
	return root{certificate, key}, err
}

func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("random: %w", err)
	}
	return n, nil
}

// strong tells why a key is not signed.
func strong(key crypto.PublicKey) error {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return errors.New("the key must be an ECDSA key on P-256")
	}
	return nil
}

func encoded(kind string, raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
}
