package http1

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

var _ proxy.Client = (*conn)(nil)

// peerOf is who holds the connection.
func peerOf(nc net.Conn) proxy.Peer {
	both, err := netip.ParseAddrPort(nc.RemoteAddr().String())
	if err != nil {
		return proxy.Peer{Address: nc.RemoteAddr().String()}
	}
	ip := both.Addr().Unmap().WithZone("")
	_, encrypted := nc.(*tls.Conn)
	return proxy.Peer{IP: ip, Address: ip.String(), Port: both.Port(), TLS: encrypted}
}

// Peer is who holds the connection.
func (c *conn) Peer() proxy.Peer { return c.peer }

// Crowded tells whether the connection is one too many, and how many may be open.
func (c *conn) Crowded() (int, bool) {
	if !c.crowded {
		return 0, false
	}
	return c.s.o.Gate.Limit(), true
}

// Read gives the request's body.
func (c *conn) Read(p []byte) (int, error) {
	c.unread.reads()
	n, err := c.body.Read(p)
	c.unread.lacks(&c.body)
	c.unread.has(!c.body.Ended(), len(c.link.Buffered()))
	c.client.lookAgain()
	return n, err
}

// Ready tells whether something of the body is here.
func (c *conn) Ready() bool { return c.body.Ended() || c.body.Buffered() > 0 }

// Patience bounds how long one read of the body may wait from now on.
func (c *conn) Patience(d time.Duration, now time.Time) {
	if !c.unread.ended() {
		c.link.ReadWithin(d, now)
	}
}

// Trailer is what follows the request's body.
func (c *conn) Trailer() message.Fields { return c.body.Trailer() }

// Interrupt makes reads of the body fail.
func (c *conn) Interrupt() {
	if c.unread.interrupt() {
		c.link.Interrupt()
	}
}

// Watch names who is told when the client goes.
func (c *conn) Watch(who proxy.Canceler) { c.client.name(who) }

// Gone is closed when the client has gone.
func (c *conn) Gone() <-chan struct{} { return c.client.channel() }

// HasGone tells whether the client has gone.
func (c *conn) HasGone() bool { return c.client.has() }

// Tunnel hands out the connection.
func (c *conn) Tunnel() (proxy.Stream, error) {
	if !c.answer.switched {
		return nil, errNoTunnel
	}
	c.link.ReadBy(time.Time{})
	return c.link, nil
}

var errNoTunnel = errors.New("the answer does not change the protocol")
