package http2

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// What a client may have under way on one connection, and what we hold for it: bodies that come
// faster than pods take them.
const (
	maxStreams       = 250
	windowConnection = 2 << 20
	windowStream     = 256 << 10
)

// Handler serves requests; *proxy.Proxy does.
type Handler interface {
	Serve(c proxy.Client, r *message.Request)
	// Malformed answers a request whose head cannot be read.
	Malformed(c proxy.Client, r *message.Request, err error)
}

// Options of a server. The zero value of a duration or size takes the default named with it.
type Options struct {
	Handler     Handler
	Log         *slog.Logger
	IdleTimeout time.Duration // of a connection without streams; 620 s, longer than what clouds' balancers keep theirs
	WriteIdle   time.Duration // how long a client may take none of an answer; 5 min
	HeadTimeout time.Duration // for the first bytes of a connection; 10 s
	MaxHead     int           // bytes of a request's head; 64 KiB
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&o.IdleTimeout, 620*time.Second)
	set(&o.WriteIdle, 5*time.Minute)
	set(&o.HeadTimeout, 10*time.Second)
	if o.MaxHead == 0 {
		o.MaxHead = 64 << 10
	}
	return o
}

// Connection is one that speaks HTTP/2, or is about to.
type Connection struct {
	Net   net.Conn // *tls.Conn after its handshake, or in clear text
	Read  []byte   // what was read of it already
	Peer  proxy.Peer
	Limit int             // of open connections, when this one is beyond it; else 0
	Idle  func(idle bool) // is told when no stream is open any more, and when one is again; nil is nobody
	ended chan struct{}
}

// Server serves connections that others have accepted.
type Server struct {
	o        Options
	http     *http.Server
	queue    queue
	draining atomic.Bool

	mu    sync.Mutex
	conns map[net.Conn]*Connection
}

// connection is where the context of a request has its Connection: net/http hands on nothing else.
type connection struct{}

// New makes a server.
func New(o Options) *Server {
	s := &Server{o: o.withDefaults(), conns: map[net.Conn]*Connection{}, queue: queue{conns: make(chan net.Conn), closed: make(chan struct{})}}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.serve), Protocols: &protocols, IdleTimeout: s.o.IdleTimeout, MaxHeaderBytes: s.o.MaxHead,
		ReadHeaderTimeout: s.o.HeadTimeout, ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, connection{}, s.known(nc))
		},
		ConnState: s.stateChanged,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: windowConnection, MaxReceiveBufferPerStream: windowStream,
			WriteByteTimeout: s.o.WriteIdle,
		},
	}
	go func() { _ = s.http.Serve(&s.queue) }() // it ends with Shutdown
	return s
}

// ServeConn serves a connection to its end, and closes it.
func (s *Server) ServeConn(c *Connection) {
	nc := c.Net
	if _, encrypted := nc.(*tls.Conn); !encrypted {
		nc = &begun{Conn: nc, read: c.Read}
	}
	c.ended = make(chan struct{})
	s.mu.Lock()
	s.conns[nc] = c
	s.mu.Unlock()
	select {
	case s.queue.conns <- nc:
		<-c.ended
	case <-s.queue.closed:
		s.stateChanged(nc, http.StateClosed)
		_ = nc.Close()
	}
}

func (s *Server) known(nc net.Conn) *Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[nc]
}

// stateChanged is called by net/http; it takes out a connection that has ended.
func (s *Server) stateChanged(nc net.Conn, state http.ConnState) {
	if state != http.StateClosed {
		if c := s.known(nc); c != nil && c.Idle != nil {
			c.Idle(state == http.StateIdle)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[nc]; c != nil {
		delete(s.conns, nc)
		close(c.ended)
	}
}

// BeginDrain has each answer ask its client to go on elsewhere (GOAWAY). Connections are still taken.
func (s *Server) BeginDrain() { s.draining.Store(true) }

// Shutdown asks all clients to go, and waits until what is under way has ended; when ctx ends first
// it closes what is left, and returns how many connections they were.
func (s *Server) Shutdown(ctx context.Context) (cut int) {
	s.draining.Store(true)
	if s.http.Shutdown(ctx) == nil {
		return 0
	}
	s.mu.Lock()
	cut = len(s.conns)
	s.mu.Unlock()
	_ = s.http.Close()
	return cut
}

// serve serves one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(connection{}).(*Connection)
	if c == nil || r.ProtoMajor != 2 {
		panic(http.ErrAbortHandler)
	}
	st := newStream(s, c, w, r)
	defer st.end()
	if err := readRequest(&st.request, r); err != nil {
		s.o.Handler.Malformed(st, &st.request, err)
	} else {
		s.o.Handler.Serve(st, &st.request)
	}
	if !st.ended {
		panic(http.ErrAbortHandler) // the client must see that the answer is not whole
	}
}

// queue is the listener that net/http takes connections from.
type queue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case nc := <-q.conns:
		return nc, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *queue) Addr() net.Addr { return &net.TCPAddr{} }

// begun is a connection of which something was read already.
type begun struct {
	net.Conn
	read []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.read) > 0 {
		n := copy(p, b.read)
		if b.read = b.read[n:]; len(b.read) == 0 {
			b.read = nil
		}
		return n, nil
	}
	return b.Conn.Read(p)
}

// NetConn is the connection beneath.
func (b *begun) NetConn() net.Conn { return b.Conn }
