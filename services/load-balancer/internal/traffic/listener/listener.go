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
	"fmt"
	"net"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/socket"
)

// Options are of one port.
type Options struct {
	Address string
	TLS     *tls.Config // nil is in clear
	Headers *Headers    // of the PROXY protocol; nil takes none

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
