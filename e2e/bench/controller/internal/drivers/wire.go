// Package drivers plays those who speak to the controller: load balancers, sidecars, and whoever calls
// for starts. It speaks as the contract has it, to a controller of any version.
package drivers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const callTimeout = 20 * time.Second

// Service is what a Service in front of the controllers is: addresses, of which one that does not answer
// is left for the next.
type Service struct {
	mu        sync.Mutex
	addresses []string
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

// newHTTP makes a client with connections of its own.
func newHTTP(connections int, counted *Bytes) *http.Client {
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil || counted == nil {
				return c, err
			}
			return countedConn{c, counted}, nil
		},
	}}
}

// post sends JSON and returns the answer.
func post(ctx context.Context, c *http.Client, url string, body []byte) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
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
