package http1

import (
	"crypto/tls"
	"time"
)

// handshake ends TLS's, which would else be part of the first read; false when the connection ends,
// or is HTTP/2's.
func (c *conn) handshake() bool {
	encrypted, ok := c.link.Net().(*tls.Conn)
	if !ok {
		return true
	}
	_ = encrypted.SetDeadline(time.Now().Add(c.s.o.HeadTimeout))
	if err := encrypted.Handshake(); err != nil { //nolint:noctx // the deadline bounds it
		return false
	}
	_ = encrypted.SetDeadline(time.Time{})
	if encrypted.ConnectionState().NegotiatedProtocol == "h2" && c.s.o.HTTP2 != nil {
		c.hand(nil)
		return false
	}
	return true
}
