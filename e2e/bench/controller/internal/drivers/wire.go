// Package drivers plays those who speak to the controller: load balancers, sidecars, and whoever calls
// for starts. It speaks as the contract has it, to a controller of any version.
package drivers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/tokens"
)

const callTimeout = 20 * time.Second

// Service is what a Service in front of the controllers is: addresses, of which one that does not answer
// is left for the next.
type Service struct {
	Secured   *Secured // nil: it is called in clear text, and nobody says who calls
	mu        sync.Mutex
	addresses []string
}

// Secured is how controllers are called that speak nothing but TLS, and let in nobody without a token.
type Secured struct {
	Authority *x509.CertPool // by which they are verified
	Tokens    *tokens.Book
}

// NewService leads to these.
func NewService(addresses ...string) *Service { return &Service{addresses: addresses} }

// Address is the one to speak to now.
func (s *Service) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addresses[0]
}

// Add adds a controller.
func (s *Service) Add(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses = append(s.addresses, address)
}

// Failed takes note that one does not answer: others are asked first.
func (s *Service) Failed(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addresses[0] == address && len(s.addresses) > 1 {
		s.addresses = append(s.addresses[1:], address)
	}
}

// Remove takes one out, unless it is the last.
func (s *Service) Remove(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.addresses, address); i >= 0 && len(s.addresses) > 1 {
		s.addresses = slices.Delete(s.addresses, i, i+1)
	}
}

// url is where a path is at an address.
func (s *Service) url(address, path string) string {
	if s.Secured == nil {
		return "http://" + address + path
	}
	return "https://" + address + path
}

// sign has a request say who calls, where that is wanted.
func (s *Service) sign(r *http.Request, who tokens.Bearer) error {
	if s.Secured == nil {
		return nil
	}
	token, err := s.Secured.Tokens.Of(who)
	r.Header.Set("Authorization", "Bearer "+token)
	return err
}

// balancerPod is the pod of a load balancer, by its name.
func balancerPod(name string) tokens.Bearer {
	return tokens.Bearer{Namespace: objects.System, Account: "load-balancer", Pod: name, UID: name}
}

// Bytes counts what went over connections: heads and all.
type Bytes struct{ In, Out atomic.Int64 }

type countedConn struct {
	net.Conn
	bytes *Bytes
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.In.Add(int64(n))
	return n, err
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Out.Add(int64(n))
	return n, err
}

// client makes one with connections of its own.
func (s *Service) client(connections int, counted *Bytes) *http.Client {
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	var secure *tls.Config
	if s.Secured != nil {
		secure = &tls.Config{RootCAs: s.Secured.Authority, MinVersion: tls.VersionTLS13}
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: secure, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil || counted == nil {
				return c, err
			}
			return countedConn{c, counted}, nil
		},
	}}
}

// post sends JSON to an address, in somebody's name, and returns the answer.
func (s *Service) post(ctx context.Context, c *http.Client, who tokens.Bearer, address, path string, body []byte) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url(address, path), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if err := s.sign(r, who); err != nil {
		return 0, nil, err
	}
	return roundTrip(c, r)
}

func roundTrip(c *http.Client, r *http.Request) (status int, answer []byte, err error) {
	got, err := c.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = got.Body.Close() }()
	answer, err = io.ReadAll(got.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", r.URL, err)
	}
	return got.StatusCode, answer, nil
}
