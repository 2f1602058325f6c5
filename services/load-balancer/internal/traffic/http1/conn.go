package http1

import (
	"bytes"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/socket"
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
	unread  unread
	answer  answer

	served        bool  // a request was
	taken         bool  // the connection is HTTP/2's
	in            *list // that it is in; nil is none
	before, after *conn // there
	since         time.Time
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
			c.answer.cut()
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
	c.served = true
	c.body.Begin(c.link, c.request.Length, false)
	c.unread.lacks(&c.body)
	c.unread.begin(!c.body.Ended(), len(c.link.Buffered()))
	c.answer.begin()
	c.client.begin()
	c.s.o.Handler.Serve(c, &c.request)
	c.client.end()
	return c.next()
}

// next makes ready for another request; false when the connection ends.
func (c *conn) next() bool {
	switch {
	case !c.answer.ended:
		c.answer.abort()
		return false
	case !c.answer.keep || !c.body.Ended():
		// A client that wanted the connection closed, and has sent no more, sends no more.
		if !c.request.Close || !c.body.Ended() || !c.link.Silent() {
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
	n, err := c.head()
	have := c.link.Buffered()
	switch {
	case err != nil:
		return c.malformed(err)
	case n == 0:
		return false
	case !c.served && bytes.HasPrefix(have, preface):
		return c.http2()
	}
	err = c.request.ParseRequest(have[:n])
	c.link.Use(n)
	if err != nil {
		return c.malformed(err)
	}
	return true
}

// head waits for the next head, and returns how long it is: 0 when none comes. The error is for what is none.
func (c *conn) head() (n int, err error) {
	var end message.HeadEnd
	begun := false // something of it has come
	for {
		have := c.link.Buffered()
		if !begun {
			c.link.Use(message.EmptyLines(have))
			have = c.link.Buffered()
		}
		n, err = end.Find(have)
		empty := err == nil && n == len("\r\n") && begun // a line in two parts
		switch {
		case err != nil, empty:
		case n > c.s.o.MaxHead, n == 0 && len(have) >= c.s.o.MaxHead:
			err = fault.New(fault.HeaderTooLarge, "the request's head is larger than %d bytes", c.s.o.MaxHead)
		}
		if err != nil || n > 0 {
			// Whoever was chosen to be closed has nothing begun, and is not answered.
			if begun && !c.s.moves(c) {
				return 0, nil
			}
			if !empty {
				return n, err
			}
			c.link.Use(n)
			end, begun = message.HeadEnd{}, false
			continue
		}
		switch {
		case len(have) == 0:
			if !c.awaitHead() {
				return 0, nil
			}
		case !begun: // from now on, whatever comes of it
			begun = true
			c.link.ReadBy(time.Now().Add(c.s.o.HeadTimeout))
			c.s.slows(c)
			fallthrough
		default:
			if c.link.Fill(c.s.o.MaxHead) != nil {
				return 0, nil //nolint:nilerr // it is closed, and nobody hears of a fault
			}
		}
	}
}

// awaitHead waits for the beginning of a head while the connection is idle; false when none comes.
func (c *conn) awaitHead() bool {
	if !c.s.rests(c) {
		return false
	}
	patience := c.s.o.IdleTimeout
	if c.crowded { // there are others to be told
		patience = c.s.o.HeadTimeout
	}
	c.link.ReadWithin(patience, time.Now())
	err := c.link.Fill(c.s.o.MaxHead)
	// Who was chosen to be closed has nothing begun: its client may send the request elsewhere.
	return c.s.moves(c) && err == nil
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
	} else {
		c.answer.abort()
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

// How long is still read of a client after the last answer, so that no reset destroys it on its way:
// many clients send their body to its end before they look. It ends earlier when nothing comes for a
// while, when the server shuts down, or when its place is wanted.
const (
	lingerTime = 30 * time.Second
	lingerIdle = 2 * time.Second
)

// linger ends the sending side, and drops what comes until the client has ended too.
func (c *conn) linger() {
	if c.link.CloseWrite() != nil {
		return
	}
	c.s.lists(&c.s.lingering, c)
	defer c.s.moves(c)
	began := time.Now()
	c.link.ReadBy(began.Add(lingerIdle))
	for now := began; now.Sub(began) < c.s.lingers(); now = time.Now() {
		c.link.ReadWithin(lingerIdle, now)
		c.link.Use(len(c.link.Buffered()))
		if c.link.Fill(lingerRoom) != nil {
			return
		}
	}
}

// lingers is how long a connection lingers at most.
func (s *Server) lingers() time.Duration {
	if s.closing.Load() {
		return lingerIdle
	}
	return lingerTime
}

// lingerRoom bounds what is dropped at once.
const lingerRoom = 64 << 10

// reset ends the connection so that the client sees that its answer is not whole, however it is
// framed: no end of the stream, and none of TLS's, comes before the reset.
func (c *conn) reset() {
	if tcp := socket.TCP(c.link.Net()); tcp != nil {
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
	}
	c.drop()
}
