package listener

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/socket"
)

// headerTime bounds how long a PROXY header may take. Its sender writes it in one piece as the very
// first thing.
const headerTime = 5 * time.Second

// How a PROXY header is seen.
const (
	Off     = "off"     // it is no header: HTTP refuses it
	Accept  = "accept"  // it is read where there is one
	Require = "require" // a connection without one is closed
)

// Headers reads PROXY headers, versions 1 and 2 (haproxy.org/download/3.2/doc/proxy-protocol.txt).
type Headers struct {
	required bool
	trusted  []netip.Prefix
	refused  *prometheus.CounterVec
}

// NewHeaders makes what reads them; nil for Off. Where ranges are trusted only their headers are read:
// a connection from elsewhere is served as if the mode were Off, or closed when headers are required.
func NewHeaders(mode string, trusted []netip.Prefix, registry prometheus.Registerer) *Headers {
	if mode == Off {
		return nil
	}
	h := &Headers{required: mode == Require, trusted: trusted, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nemesis_lb_proxy_headers_refused_total",
		Help: "Connections that were closed for their PROXY header: it was malformed, missing, or the sender is not in trusted-proxies (untrusted).",
	}, []string{"reason"})}
	for _, reason := range []string{"malformed", "missing", "untrusted"} {
		h.refused.WithLabelValues(reason)
	}
	registry.MustRegister(h.refused)
	return h
}

func (h *Headers) listen(l net.Listener) net.Listener {
	return &headerListener{headers: h, Listener: &proxyproto.Listener{
		Listener: l, ConnPolicy: h.policy, ValidateHeader: validate, ReadHeaderTimeout: headerTime,
	}}
}

// policy decides by who holds the connection.
func (h *Headers) policy(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
	switch trusted := h.trusts(o.Upstream); {
	case trusted && h.required:
		return proxyproto.REQUIRE, nil
	case trusted:
		return proxyproto.USE, nil
	case h.required:
		h.refused.WithLabelValues("untrusted").Inc()
		return proxyproto.REJECT, proxyproto.ErrInvalidUpstream // closes it, and the port goes on
	}
	return proxyproto.SKIP, nil
}

func (h *Headers) trusts(peer net.Addr) bool {
	if len(h.trusted) == 0 {
		return true
	}
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return false
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, prefix := range h.trusted {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

var errNoTCP = errors.New("the PROXY header is of no TCP connection")

// validate refuses what is no address of a TCP client. A header of the proxy's own check (LOCAL) has
// none.
func validate(header *proxyproto.Header) error {
	if header.Command.IsLocal() {
		return nil
	}
	if _, _, ok := header.TCPAddrs(); !ok {
		return errNoTCP
	}
	return nil
}

type headerListener struct {
	net.Listener
	headers *Headers
}

func (l *headerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if inner, ok := c.(*proxyproto.Conn); ok {
		return &headerConn{Conn: inner, peer: inner.Raw(), headers: l.headers}, nil
	}
	return c, nil
}

// headerConn is a connection whose first Read takes the PROXY header away. The library's own
// RemoteAddr waits for the header: a port that logs or limits by address would wait with it. This one
// gives the peer's address until the header has come.
type headerConn struct {
	net.Conn // the library's
	peer     net.Conn
	headers  *Headers
	begun    atomic.Bool
}

func (c *headerConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.begun.Swap(true) && err != nil {
		err = c.headers.note(err)
	}
	return n, err
}

// earlyBytes is more than the library reads beyond a header.
const earlyBytes = 512

// longAgo is a deadline at which a read returns what is buffered, and waits for nothing.
var longAgo = time.Unix(1, 0)

// Settle reads the header, and returns what came with it: from then on the connection beneath may be
// read in place of this one. It waits for the client, for headerTime at most.
func (c *headerConn) Settle() ([]byte, error) {
	_ = c.Conn.RemoteAddr() // the library reads the header for it; a fault is met by the next read
	early := make([]byte, earlyBytes)
	if err := c.Conn.SetReadDeadline(longAgo); err != nil {
		return nil, err
	}
	n, err := c.Read(early)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, err
	}
	return early[:n], c.Conn.SetReadDeadline(time.Time{})
}

// note counts a connection that ends for its header.
func (h *Headers) note(err error) error {
	var network *net.OpError
	switch {
	case errors.Is(err, proxyproto.ErrNoProxyProtocol):
		h.refused.WithLabelValues("missing").Inc()
		return fmt.Errorf("no PROXY header came: %w", err)
	case err == io.EOF, errors.As(err, &network): //nolint:errorlint // an EOF within a header is wrapped
		return err
	}
	h.refused.WithLabelValues("malformed").Inc()
	return fmt.Errorf("read the PROXY header: %w", err)
}

// ReadFrom lets the kernel move what comes from another connection.
func (c *headerConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// RemoteAddr is the client's address.
func (c *headerConn) RemoteAddr() net.Addr {
	if !c.begun.Load() {
		return c.peer.RemoteAddr()
	}
	return c.Conn.RemoteAddr()
}

// LocalAddr is where this port was reached, which is what the client reached only for who sends no header.
func (c *headerConn) LocalAddr() net.Addr { return c.peer.LocalAddr() }

// NetConn is the connection beneath.
func (c *headerConn) NetConn() net.Conn { return c.peer }

// CloseWrite tells the client that no more comes.
func (c *headerConn) CloseWrite() error {
	return socket.CloseWrite(c.peer)
}
