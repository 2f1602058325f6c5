// Package listener takes the data port's connections: in clear or over TLS, and with a PROXY header
// before all else where a balancer of layer 4 stands before this one. What it hands out is a
// net.Conn whose RemoteAddr is the client's; package socket finds the TCP connection beneath.
//
// A connection is handed out at once, and its PROXY header and handshake are read on the goroutine
// that serves it, so that a slow client holds up nobody else. It knows no HTTP.
package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/socket"
)

// Options are of one port.
type Options struct {
	Address string
	TLS     *tls.Config                     // nil is in clear
	Headers *Headers                        // of the PROXY protocol; nil takes none
	Count   func(net.Listener) net.Listener // goes around the port itself, so that it sees every connection; nil is none

	// UserTimeout is how long a client may leave bytes, or keep-alive probes, unacknowledged; 0 is as
	// long as the system says.
	UserTimeout time.Duration
}

// Listen takes the port at once.
func Listen(ctx context.Context, o Options) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Address, err)
	}
	if o.UserTimeout > 0 {
		l = &timed{Listener: l, timeout: o.UserTimeout}
	}
	if o.Count != nil {
		l = o.Count(l)
	}
	if o.Headers != nil {
		l = o.Headers.listen(l)
	}
	if o.TLS != nil {
		l = tls.NewListener(l, o.TLS)
	}
	return l, nil
}

// timed sets what every connection of a port has from the start.
type timed struct {
	net.Listener
	timeout time.Duration
}

func (l *timed) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	// A connection that refuses it is broken, and says so when it is read.
	_ = socket.SetUserTimeout(c, l.timeout)
	return c, nil
}

// errHandshake is what a client is dropped for.
var errHandshake = errors.New("the TLS handshake was not done in time")

// Handshake ends what precedes the first byte of HTTP, and returns the protocol that was agreed on by
// ALPN: "h2", "http/1.1", or "" when the client offered none or the connection is in clear. It must
// be called on the goroutine that serves the connection. The time covers a PROXY header too.
func Handshake(ctx context.Context, c net.Conn, within time.Duration) (string, error) {
	secure, ok := c.(*tls.Conn)
	if !ok {
		return "", nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, errHandshake)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errHandshake) {
			return "", cause
		}
		return "", err
	}
	return secure.ConnectionState().NegotiatedProtocol, nil
}
