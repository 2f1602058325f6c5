// Package http1 is the data port's HTTP/1.1: it takes connections, reads the heads of requests, and
// is the client's side of each exchange. One goroutine serves a connection from its first byte to its
// last; a connection on which nothing moves costs that goroutine and no buffer.
//
// Why not net/http: its server cannot tell body bytes from the next request when an answer comes
// early, holds 8 KiB of buffers for each connection that is open, and parses each head into maps,
// with a goroutine beside each exchange to see when the client goes. Here one watch does that for all
// connections (link.Hangups). fasthttp was read too: it has no streaming both ways and no tunnels
// without an own loop. `make bench-proxy` compares.
package http1

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// Handler serves requests; *proxy.Proxy does.
type Handler interface {
	Serve(c proxy.Client, r *message.Request)
	// Malformed answers a request whose head cannot be read.
	Malformed(c proxy.Client, r *message.Request, err error)
}

// Gate bounds how many connections are open.
type Gate interface {
	// Enter counts a connection. crowded: it is beyond the limit, and only open to be answered so;
	// ok false: not even that. leave is called when it is closed.
	Enter() (leave func(), crowded, ok bool)
	// Limit is how many may be open, Full whether so many are.
	Limit() int
	Full() bool
}

// Options of a server. The zero value of a duration or size takes the default named with it.
type Options struct {
	Handler     Handler
	Gate        Gate
	Hangups     *link.Hangups
	Log         *slog.Logger
	HeadTimeout time.Duration // for reading a request's head; 10 s
	IdleTimeout time.Duration // of a kept connection; 620 s, longer than what clouds' balancers keep theirs
	WriteIdle   time.Duration // how long a client may take none of its answer; 5 min
	MaxHead     int           // bytes of a request's head; 64 KiB
	HTTP2       HTTP2         // nil refuses it
}

// HTTP2 serves a connection that speaks HTTP/2 to its end, and closes it.
type HTTP2 func(h Handover)

// Handover is a connection that goes on in HTTP/2.
type Handover struct {
	Net   net.Conn
	Read  []byte // of it already, HTTP/2's preface included
	Peer  proxy.Peer
	Limit int             // of open connections, when this one is beyond it; else 0
	Idle  func(idle bool) // to be told when nothing goes on, and when something does again
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&o.HeadTimeout, 10*time.Second)
	set(&o.IdleTimeout, 620*time.Second)
	set(&o.WriteIdle, 5*time.Minute)
	if o.MaxHead == 0 {
		o.MaxHead = 64 << 10
	}
	return o
}

// Server serves listeners.
type Server struct {
	o        Options
	draining atomic.Bool // answers say that their connections close
	closing  atomic.Bool // connections end when they have nothing to do
	date     date

	mu    sync.Mutex
	conns map[*conn]struct{}
	idle  list // of conns, the one that is idle longest first
	slow  list // whose head, handshake or PROXY header has begun to come
	// that were answered, and whose clients are waited for to end
	lingering list
	empty     chan struct{} // closed when no connection is left; made by Shutdown
}

// New makes a server.
func New(o Options) *Server {
	return &Server{o: o.withDefaults(), conns: map[*conn]struct{}{}}
}

// Serve takes connections until the listener is closed; then it returns net.ErrClosed.
func (s *Server) Serve(l net.Listener) error {
	pause := pauses{log: s.o.Log}
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause.reset()
			s.Take(nc)
		case errors.Is(err, net.ErrClosed):
			return net.ErrClosed
		default:
			pause.after(err)
		}
	}
}

// Take serves a connection that was accepted elsewhere. It returns at once.
func (s *Server) Take(nc net.Conn) {
	for s.o.Gate.Full() && s.evict(false) {
	}
	leave, crowded, ok := s.o.Gate.Enter()
	if !ok {
		_ = nc.Close()
		return
	}
	c := newConn(s, nc, leave, crowded)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	go c.serve()
}

// evict closes the connection of which least would be lost, and gives its place away; false when there is none. Those
// beyond the limit have no place to give, and shall get their answer: they are closed when all that are idle are.
func (s *Server) evict(all bool) bool {
	s.mu.Lock()
	var c *conn
	if all {
		c = s.idle.oldest(all)
	} else {
		c = s.dispensable()
	}
	if c != nil {
		s.unlist(c)
	}
	s.mu.Unlock()
	if c == nil {
		return false
	}
	c.drop()
	c.giveUpPlace()
	return true
}

// BeginDrain has each answer say that its connection closes.
func (s *Server) BeginDrain() { s.draining.Store(true) }

// Shutdown closes idle connections and waits for the others to end; when ctx ends first it closes
// them, and returns how many they were.
func (s *Server) Shutdown(ctx context.Context) (cut int) {
	s.draining.Store(true)
	s.mu.Lock()
	s.closing.Store(true)
	s.mu.Unlock()
	for s.evict(true) {
	}
	s.mu.Lock()
	if len(s.conns) == 0 {
		s.mu.Unlock()
		return 0
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
		return 0
	case <-ctx.Done():
	}
	s.mu.Lock()
	cut = len(s.conns)
	for c := range s.conns {
		c.cutOff()
	}
	s.mu.Unlock()
	if cut > 0 {
		<-empty
	}
	return cut
}

// forget takes a connection out that has ended.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlist(c)
	delete(s.conns, c)
	if len(s.conns) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// rests notes that a connection is idle; false when the server drains, and it shall end.
func (s *Server) rests(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.unlist(c)
	s.idle.append(c)
	return true
}

// idles notes of a connection that was handed over whether it is idle.
func (s *Server) idles(c *conn, idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unlist(c); idle {
		s.idle.append(c)
	}
}

// moves notes that a connection is in no list any more; false when it was chosen to be closed.
func (s *Server) moves(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	chosen := c.in == nil
	s.unlist(c)
	return !chosen
}
