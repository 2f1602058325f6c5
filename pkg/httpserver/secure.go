package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// Secure is how a port speaks TLS, and what it does with those who do not: what a connection speaks is
// seen by its first byte, so that one port has room for both while services of a version that knew clear
// text alone are replaced.
//
// Looking costs no goroutine and no buffer: it happens within the server's first read, whose deadline is
// that of a request's head. Who sends nothing is closed by it like everybody else.
type Secure struct {
	clearText bool
	config    *tls.Config

	refused, failed atomic.Int64
}

// NewSecure has a port show this certificate, which may be another one for each connection. Clear text is
// served only when it is wanted.
func NewSecure(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), clearText bool) *Secure {
	return &Secure{clearText: clearText, config: &tls.Config{
		MinVersion: tls.VersionTLS13,
		// HTTP/2 would have buffers of its own for each connection, and streams that no deadline of the
		// connection ends; those who come here have one exchange at a time.
		NextProtos:     []string{"http/1.1"},
		GetCertificate: certificate,
	}}
}

// SecureCounts is what became of those who were not served.
type SecureCounts struct {
	ClearText int64 // requests in clear text, which were told that this port speaks TLS
	Failed    int64 // TLS handshakes that failed
}

// Counts says what became of those who were not served. It may be called on nil.
func (s *Secure) Counts() SecureCounts {
	if s == nil {
		return SecureCounts{}
	}
	return SecureCounts{s.refused.Load(), s.failed.Load()}
}

// listen goes around a listener.
func (s *Secure) listen(l net.Listener) net.Listener {
	if s == nil {
		return l
	}
	return &sniffingListener{l, s}
}

type sniffingListener struct {
	net.Listener
	of *Secure
}

// Accept waits for a connection. What it speaks is not known then.
func (l *sniffingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sniffed{Conn: conn, of: l.of}, nil
}

// sniffed is a connection that speaks TLS or clear text. One goroutine reads at a time.
type sniffed struct {
	net.Conn // the network's
	of       *Secure

	secured atomic.Pointer[tls.Conn]
	clear   atomic.Bool
	first   byte // of clear text
	pending bool // it was not read yet
}

const tlsHandshake = 0x16 // the type of the record with which every client begins

var errNothingRead = errors.New("nothing was read of this connection: it is not known what it speaks")

// Read reads what the client said.
func (c *sniffed) Read(p []byte) (int, error) {
	if secured := c.secured.Load(); secured != nil {
		return secured.Read(p) //nolint:wrapcheck // the server looks at its kind
	}
	if !c.clear.Load() {
		if len(p) == 0 {
			return 0, nil
		}
		if err := c.begin(); err != nil {
			return 0, err
		}
		return c.Read(p)
	}
	if c.pending && len(p) > 0 {
		p[0], c.pending = c.first, false
		return 1, nil
	}
	return c.Conn.Read(p) //nolint:wrapcheck // the server looks at its kind
}

// begin sees what the connection speaks, and shakes hands.
func (c *sniffed) begin() error {
	var first [1]byte
	if _, err := c.Conn.Read(first[:]); err != nil {
		return err //nolint:wrapcheck // the server looks at its kind
	}
	if first[0] != tlsHandshake {
		c.first, c.pending = first[0], true
		c.clear.Store(true)
		return nil
	}
	secured := tls.Server(&begun{Conn: c.Conn, first: first[0], pending: true}, c.of.config)
	if err := secured.Handshake(); err != nil {
		c.of.failed.Add(1)
		// To the server it is a connection that broke: it says nothing more over it.
		return &net.OpError{Op: "read", Net: "tls", Addr: c.RemoteAddr(), Err: err}
	}
	c.secured.Store(secured)
	return nil
}

// Write writes to the client.
func (c *sniffed) Write(p []byte) (int, error) {
	if secured := c.secured.Load(); secured != nil {
		return secured.Write(p) //nolint:wrapcheck // the server looks at its kind
	}
	if !c.clear.Load() {
		return 0, errNothingRead
	}
	return c.Conn.Write(p) //nolint:wrapcheck // likewise
}

// Close closes it.
func (c *sniffed) Close() error {
	if secured := c.secured.Load(); secured != nil {
		return secured.Close() //nolint:wrapcheck // likewise
	}
	return c.Conn.Close() //nolint:wrapcheck // likewise
}

// begun is a connection of which the first byte was read.
type begun struct {
	net.Conn
	first   byte
	pending bool
}

// Read reads that byte again, and then what follows.
func (b *begun) Read(p []byte) (int, error) {
	if b.pending && len(p) > 0 {
		p[0], b.pending = b.first, false
		return 1, nil
	}
	return b.Conn.Read(p) //nolint:wrapcheck // it stands for the connection
}

type sniffedKey struct{}

// context notes the connection for its requests.
func (s *Secure) context(next func(context.Context, net.Conn) context.Context) func(context.Context, net.Conn) context.Context {
	if s == nil || s.clearText {
		return next
	}
	return func(ctx context.Context, conn net.Conn) context.Context {
		if next != nil {
			ctx = next(ctx, conn)
		}
		for {
			switch c := conn.(type) {
			case *sniffed:
				return context.WithValue(ctx, sniffedKey{}, c)
			case interface{ NetConn() net.Conn }:
				conn = c.NetConn()
			default:
				return ctx
			}
		}
	}
}

// refuses answers a request that came in clear text and may not.
func (s *Secure) refuses(w http.ResponseWriter, r *http.Request) bool {
	if s == nil || s.clearText {
		return false
	}
	if c, ok := r.Context().Value(sniffedKey{}).(*sniffed); !ok || !c.clear.Load() {
		return false
	}
	s.refused.Add(1)
	w.Header().Set("Connection", "close")
	fault.Write(w, r, fault.New(fault.Invalid,
		"this port speaks TLS: the address begins with https://, and the certificate is verified by ca.crt of the ConfigMap nemesis-ca. Clear text is served with the setting clear-text alone"))
	return true
}
