// Package socket holds what is asked of the TCP connection beneath a net.Conn, through whatever wraps
// it (TLS, a PROXY header, a count of connections). It knows no protocol, so every package of the data
// plane may use it.
package socket

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// ErrNotTCP is returned where a connection has no TCP connection beneath it, as a pipe in a test.
var ErrNotTCP = errors.New("there is no TCP connection beneath")

// maxLayers bounds how deep wrappers may be nested; a wrapper that returns itself would never end.
const maxLayers = 8

// TCP is the TCP connection beneath c, or nil. A wrapper shows what it wraps with NetConn, as
// crypto/tls does.
func TCP(c net.Conn) *net.TCPConn {
	for range maxLayers {
		switch inner := c.(type) {
		case *net.TCPConn:
			return inner
		case interface{ NetConn() net.Conn }:
			c = inner.NetConn()
		default:
			return nil
		}
	}
	return nil
}

// Raw gives access to the file descriptor beneath c.
func Raw(c net.Conn) (syscall.RawConn, error) {
	tcp := TCP(c)
	if tcp == nil {
		return nil, ErrNotTCP
	}
	return tcp.SyscallConn()
}

// CloseWrite tells the peer that nothing more comes. Over TLS that is a close_notify, so the layer
// nearest to the caller that can do it does it.
func CloseWrite(c net.Conn) error {
	for range maxLayers {
		switch inner := c.(type) {
		case interface{ CloseWrite() error }:
			return inner.CloseWrite()
		case interface{ NetConn() net.Conn }:
			c = inner.NetConn()
		default:
			return ErrNotTCP
		}
	}
	return ErrNotTCP
}

// SetUserTimeout bounds how long what was sent may stay unacknowledged before the connection counts
// as broken; 0 restores the system's default, which is some fifteen minutes. While nothing is sent it
// bounds keep-alive probes instead, so that also an idle peer which a network fault cut off is
// noticed. It does nothing where the system has no such option.
func SetUserTimeout(c net.Conn, d time.Duration) error {
	raw, err := Raw(c)
	if err != nil {
		return err
	}
	return setUserTimeout(raw, d)
}
