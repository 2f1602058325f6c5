package http1

import (
	"crypto/tls"
	"time"
)

// settle takes away what precedes HTTP on a connection in clear, such as a PROXY header; false when
// the connection ends. Until then its client is not known.
func (c *conn) settle() bool {
	if early, ok := c.link.Net().(interface{ Settle() ([]byte, error) }); ok {
		c.s.slows(c)
		read, err := early.Settle()
		if !c.s.moves(c) || err != nil {
			return false
		}
		c.link.Unwrap(read)
	}
	c.peer = peerOf(c.link.Net())
	return true
}

// handshake ends TLS's, which would else be part of the first read; false when the connection ends,
// or is HTTP/2's.
func (c *conn) handshake() bool {
	encrypted, ok := c.link.Net().(*tls.Conn)
	if !ok {
		return true
	}
	_ = encrypted.SetDeadline(time.Now().Add(c.s.o.HeadTimeout))
	c.s.slows(c)
	err := encrypted.Handshake() //nolint:noctx // the deadline bounds it
	if !c.s.moves(c) || err != nil {
		return false
	}
	_ = encrypted.SetDeadline(time.Time{})
	c.peer = peerOf(encrypted)
	if encrypted.ConnectionState().NegotiatedProtocol == "h2" && c.s.o.HTTP2 != nil {
		c.handOver(nil)
		return false
	}
	return true
}
