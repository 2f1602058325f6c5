// Package httpclient is how the services call each other, and other servers, over HTTP: everything is
// bounded, the bytes of an answer as well as the time for each step. What an answer means is the
// caller's; the problem document of a refusal is read by fault.Read, and when to try again is said by
// package retry.
//
// Not through here go requests of clients on their way to a pod (the load balancer has an engine for
// them), the checks of pods, which do as the kubelet does, and calls of client-go.
package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Options bound a client. The zero value of each is safe.
type Options struct {
	MaxAnswer   int64         // bytes of a body; 1 MiB when 0
	Timeout     time.Duration // for an exchange, its body included; 0: the request's context alone says
	HeadTimeout time.Duration // from the sent request to the head of the answer; 0: as Timeout
	Connect     time.Duration // for a connection and for its TLS handshake, each; 1 s when 0
	MaxIdle     int           // connections kept for later, to each host; 2 when 0
	IdleTimeout time.Duration // that one is kept; 90 s when 0
	NoRedirects bool          // a redirect is an answer like another
	Trace       Trace         // has the trace of the request's context go with it; nil: it does not

	Dial  func(ctx context.Context, network, address string) (net.Conn, error) // nil: the network's own
	Proxy func(*http.Request) (*url.URL, error)                                // nil: none
	TLS   *tls.Config                                                          // nil: the system's authorities
	// Authorities verify the services of this product, for addresses that begin with https; nil: TLS does.
	Authorities Authorities
	Wrap        func(http.RoundTripper) http.RoundTripper // around every exchange; nil: nothing
}

// Trace writes the trace of a context into the head of a request; package telemetry has it.
type Trace func(context.Context, http.Header)

// Authorities make connections to those whom they can verify, or an error; package encryption has them.
type Authorities interface {
	DialTLS(dial func(ctx context.Context, network, address string) (net.Conn, error), within time.Duration) func(ctx context.Context, network, address string) (net.Conn, error)
}

// The bounds where none are set, and one that is always.
const (
	maxAnswer   = 1 << 20
	maxHead     = 1 << 20
	connect     = time.Second
	keepAlive   = 15 * time.Second
	idleTimeout = 90 * time.Second
)

// Client makes exchanges. Any number of goroutines may use it at once.
type Client struct {
	http  *http.Client
	most  int64
	trace Trace
}

// New makes a client. It connects to nothing yet.
func New(o Options) *Client {
	c := &Client{http: &http.Client{Transport: NewTransport(o), Timeout: o.Timeout}, most: or(o.MaxAnswer, maxAnswer), trace: o.Trace}
	if o.Wrap != nil {
		c.http.Transport = o.Wrap(c.http.Transport)
	}
	if o.NoRedirects {
		c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return c
}

// NewTransport is what is below a client, for those who bring their own.
func NewTransport(o Options) *http.Transport {
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: or(o.Connect, connect), KeepAlive: keepAlive}).DialContext
	}
	transport := &http.Transport{
		Proxy:                  o.Proxy,
		DialContext:            dial,
		TLSClientConfig:        o.TLS,
		TLSHandshakeTimeout:    or(o.Connect, connect),
		ForceAttemptHTTP2:      o.TLS != nil,
		ResponseHeaderTimeout:  o.HeadTimeout,
		MaxResponseHeaderBytes: maxHead,
		MaxIdleConnsPerHost:    o.MaxIdle,
		IdleConnTimeout:        or(o.IdleTimeout, idleTimeout),
	}
	if o.Authorities != nil {
		transport.DialTLSContext = o.Authorities.DialTLS(dial, or(o.Connect, connect))
	}
	return transport
}

func or[T int64 | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// Do makes the exchange. Reading more of the body than the bound is ErrTooLarge.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if c.trace != nil {
		c.trace(r.Context(), r.Header)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	answer.Body = bounded{answer.Body, &limit{from: answer.Body, left: c.most, most: c.most}}
	return answer, nil
}

// ErrTooLarge is an answer of more bytes than are read.
var ErrTooLarge = errors.New("the answer is too large")

// ReadAll reads a body up to the bound; ErrTooLarge when there is more.
func ReadAll(body io.Reader, most int64) ([]byte, error) {
	return io.ReadAll(&limit{from: body, left: most, most: most})
}

// bounded is a body that ends with ErrTooLarge.
type bounded struct {
	io.Closer
	io.Reader
}

// limit reads no more than is left; that there is nothing beyond is seen by asking for one byte more.
type limit struct {
	from       io.Reader
	left, most int64
}

func (l *limit) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if l.left < 0 {
		return 0, l.fault()
	}
	if int64(len(p)) > l.left {
		p = p[:l.left+1]
	}
	n, err := l.from.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n - 1, l.fault()
	}
	return n, err
}

func (l *limit) fault() error {
	return fmt.Errorf("%w: %d bytes are read at the most", ErrTooLarge, l.most)
}
