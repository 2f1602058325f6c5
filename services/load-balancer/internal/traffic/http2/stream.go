package http2

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

var (
	errNoTunnel = errors.New("HTTP/2 changes no protocol")
	errBegun    = errors.New("the answer has begun")
)

// stream is the client's side of one exchange.
type stream struct {
	s       *Server
	conn    *Connection
	w       http.ResponseWriter
	r       *http.Request
	request message.Request
	body    upload

	begun, ended bool
	part         *[]byte // that Space gave out

	writing atomic.Int64 // UnixNano of when a write began that is under way; 0 is none
	mu      sync.Mutex   // of what other goroutines may do at the end
	over    bool
	slow    *time.Timer // ends a client that takes nothing
	unwatch func() bool
}

var _ proxy.Client = (*stream)(nil)

func newStream(s *Server, c *Connection, w http.ResponseWriter, r *http.Request) *stream {
	return &stream{s: s, conn: c, w: w, r: r, body: upload{from: r.Body, left: r.Context().Done()}}
}

// end is called when the handler is done: nobody may touch net/http's side after it.
func (st *stream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.over = true
	if st.slow != nil {
		st.slow.Stop()
	}
	if st.unwatch != nil {
		st.unwatch()
	}
	st.body.end()
}

// Peer is who holds the connection.
func (st *stream) Peer() proxy.Peer { return st.conn.Peer }

// Crowded tells whether the connection is one too many, and how many may be open.
func (st *stream) Crowded() (int, bool) { return st.conn.Limit, st.conn.Limit > 0 }

// Read gives the request's body.
func (st *stream) Read(p []byte) (int, error) { return st.body.Read(p) }

// Ready tells whether the body is at its end: what has come of it before, net/http does not say.
func (st *stream) Ready() bool { return st.body.ended }

// Patience bounds how long one read of the body may wait from now on.
func (st *stream) Patience(d time.Duration, _ time.Time) { st.body.patience = d }

// Trailer is what follows the request's body. net/http gives it only when it was announced.
func (st *stream) Trailer() message.Fields {
	if !st.body.ended || len(st.r.Trailer) == 0 {
		return nil
	}
	fields, err := readTrailer(st.r.Trailer)
	if err != nil {
		return nil
	}
	return fields
}

// Continue does nothing: net/http tells a client that waits for it when the body is first read.
func (st *stream) Continue() error { return nil }

// Interrupt makes reads of the body fail.
func (st *stream) Interrupt() { st.body.interrupt() }

// Watch names who is told when the client goes.
func (st *stream) Watch(who proxy.Canceler) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.unwatch != nil {
		st.unwatch()
		st.unwatch = nil
	}
	if who != nil && !st.over {
		st.unwatch = context.AfterFunc(st.r.Context(), who.Cancel)
	}
}

// Gone is closed when the client has gone.
func (st *stream) Gone() <-chan struct{} { return st.r.Context().Done() }

// HasGone tells whether the client has gone.
func (st *stream) HasGone() bool { return st.r.Context().Err() != nil }

// Tunnel is not offered.
func (st *stream) Tunnel() (proxy.Stream, error) { return nil, errNoTunnel }
