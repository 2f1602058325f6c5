package http1

import (
	"bytes"
	"errors"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// preface is how HTTP/2 begins in clear text.
var preface = []byte("PRI * HTTP/2.0\r\n\r\n")

// conn is one client's connection.
type conn struct {
	s       *Server
	link    *link.Conn
	peer    proxy.Peer
	leave   func()
	left    sync.Once // the place under the limit is given up once
	crowded bool
	hangup  uint64 // the id of the watch
	client  watch

	request message.Request
	body    link.Framed
	open    atomic.Bool // the body is not at its end
	answer  answer

	taken         bool // the connection is another's: a tunnel's, or HTTP/2's
	before, after *conn
	listed        bool // it is in the list of those that are idle
}

func newConn(s *Server, nc net.Conn, leave func(), crowded bool) *conn {
	c := &conn{s: s, link: link.New(nc), leave: leave, crowded: crowded}
	c.client.conn = c
	c.answer.conn = c
	return c
}

// serve is the connection's goroutine.
func (c *conn) serve() {
	defer c.end()
	defer func() {
		if fault := recover(); fault != nil {
			c.s.o.Log.Error("a fault in the load balancer ended a connection", "fault", fault, "stack", string(debug.Stack()))
			c.drop()
		}
	}()
	if !c.settle() || !c.handshake() {
		return
	}
	if c.s.o.Hangups != nil {
		c.hangup = c.s.o.Hangups.Watch(c.link, c.client.hungUp)
	}
	for c.exchange() {
	}
}

// end lets everything go.
func (c *conn) end() {
	if c.hangup != 0 {
		c.s.o.Hangups.Forget(c.hangup)
	}
	if !c.taken {
		_ = c.link.Close()
	}
	c.link.Release()
	c.answer.out.Empty()
	c.s.forget(c)
	c.giveUpPlace()
}

// giveUpPlace lets another connection in, once.
func (c *conn) giveUpPlace() { c.left.Do(c.leave) }

// drop closes the connection: a read or write that is under way fails.
func (c *conn) drop() { _ = c.link.Close() }

// cutOff ends the connection, and what goes on for it elsewhere.
func (c *conn) cutOff() {
	c.drop()
	c.client.went()
}

// exchange serves one request; false when the connection ends.
func (c *conn) exchange() bool {
	if !c.readHead() {
		return false
	}
	c.body.Begin(c.link, c.request.Length, false)
	c.open.Store(c.request.Length != 0)
	c.answer.begin()
	c.client.begin()
	c.s.o.Handler.Serve(c, &c.request)
	c.client.end()
	return c.next()
}

// next makes ready for another request; false when the connection ends.
func (c *conn) next() bool {
	c.open.Store(false)
	switch {
	case c.taken:
		return false
	case !c.answer.ended:
		c.answer.abort()
		return false
	case !c.answer.keep:
		if !c.request.Close || c.body.Buffered() > 0 || !c.body.Ended() {
			c.linger()
		}
		return false
	}
	c.request.Reset()
	return true
}

// readHead reads the next request's head into c.request; false when there is none, or none that can
// be read: then it was answered.
func (c *conn) readHead() bool {
	var end message.HeadEnd
	begun := false
	for {
		have := c.link.Buffered()
		if !begun {
			c.link.Use(message.EmptyLines(have))
			have = c.link.Buffered()
		}
		if len(have) > 0 && !begun {
			begun = true
		}
		n, err := end.Find(have)
		switch {
		case err != nil:
			return c.malformed(err)
		case n > 0 && bytes.HasPrefix(have, preface):
			return c.http2()
		case n > c.s.o.MaxHead, n == 0 && len(have) >= c.s.o.MaxHead:
			return c.malformed(fault.New(fault.HeaderTooLarge, "the request's head is larger than %d bytes", c.s.o.MaxHead))
		case n > 0:
			err := c.request.ParseRequest(have[:n])
			c.link.Use(n)
			if err != nil {
				return c.malformed(err)
			}
			return true
		}
		if !c.fillHead(begun, len(have)) {
			return false
		}
	}
}

// fillHead waits for more of a head; false when none comes.
func (c *conn) fillHead(begun bool, have int) bool {
	now := time.Now()
	switch {
	case begun && have > 0:
		c.link.HeadWithin(c.s.o.HeadTimeout, now)
	case !c.s.rests(c):
		return false
	default:
		c.link.ReadWithin(c.s.o.IdleTimeout, now)
	}
	err := c.link.Fill(c.s.o.MaxHead)
	if !begun {
		c.s.moves(c)
	}
	return err == nil
}

// malformed answers a head that cannot be read, and ends the connection: where the next request
// would begin nobody knows.
func (c *conn) malformed(err error) bool {
	c.body.Begin(c.link, 0, false)
	c.answer.begin()
	c.request.Close = true
	if c.request.Version == 0 {
		c.request.Version = message.HTTP11
	}
	c.s.o.Handler.Malformed(c, &c.request, err)
	if c.answer.ended {
		c.linger()
	}
	return false
}

func (c *conn) http2() bool {
	if c.s.o.HTTP2 == nil {
		return c.malformed(&message.Error{Part: "version", Allowed: "it must be HTTP/1.1 or HTTP/1.0", Version: true})
	}
	read := bytes.Clone(c.link.Buffered())
	c.link.Use(len(read))
	c.link.ReadBy(time.Time{})
	c.handOver(read)
	return false
}

// handOver lets HTTP/2 have the connection.
func (c *conn) handOver(read []byte) {
	c.taken = true
	limit, _ := c.Crowded()
	c.s.o.HTTP2(Handover{Net: c.link.Net(), Read: read, Peer: c.peer, Limit: limit, Idle: func(idle bool) { c.s.idles(c, idle) }})
}

// The bounds of what is still read of a client after the last answer, so that no reset destroys it
// on its way.
const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10
)

// linger ends the sending side, and drops what comes until the client has ended too.
func (c *conn) linger() {
	if c.link.CloseWrite() != nil {
		return
	}
	c.link.ReadBy(time.Now().Add(lingerTime))
	for dropped := 0; dropped < lingerBytes; {
		if n := len(c.link.Buffered()); n > 0 {
			dropped += n
			c.link.Use(n)
		}
		if err := c.link.Fill(lingerBytes); err != nil {
			return
		}
	}
}

// timedOut tells whether a read ran out of time.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
