package httpserver

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Connections bounds what a server's connections cost, which is their memory: each has buffers and a
// goroutine's stack, whether something comes over it or not. All together are bounded, and of those of
// clients that are many and seldom say something (Many) only some are kept between two requests, and
// not for long; the others are told to come back on a new one. The connections of other clients are
// never closed because of those.
//
// Its methods may be called on nil, which bounds nothing.
type Connections struct {
	most, kept int64
	idle       time.Duration

	open, many       atomic.Int64
	refused, sentOff atomic.Int64
}

// NewConnections bounds the open connections to most (0: not at all), and to kept those of clients that
// are many, which are closed after idle.
func NewConnections(most, kept int, idle time.Duration) *Connections {
	return &Connections{most: int64(most), kept: int64(kept), idle: idle}
}

// Counts are the connections now, and what became of others.
type Counts struct {
	Open, Many       int64 // now; those of many are among the open ones
	Refused, SentOff int64 // closed unheard; told to come back on a new one
}

// Counts are the connections now.
func (c *Connections) Counts() Counts {
	if c == nil {
		return Counts{}
	}
	return Counts{c.open.Load(), c.many.Load(), c.refused.Load(), c.sentOff.Load()}
}

// Listen is for Options.
func (c *Connections) Listen(l net.Listener) net.Listener { return &countingListener{l, c} }

// Context is for Options, as its ConnContext.
func (c *Connections) Context(ctx context.Context, conn net.Conn) context.Context {
	if own, ok := conn.(*counted); ok {
		return context.WithValue(ctx, connectionKey{}, own)
	}
	return ctx
}

type connectionKey struct{}

// Many says that the request comes from one of many clients that seldom say something. Call it before
// the answer begins.
func (c *Connections) Many(w http.ResponseWriter, r *http.Request) {
	if c == nil {
		return
	}
	conn, ok := r.Context().Value(connectionKey{}).(*counted)
	if !ok {
		return
	}
	if !conn.many.Load() {
		if c.many.Add(1) > c.kept {
			c.many.Add(-1)
			c.sentOff.Add(1)
			w.Header().Set("Connection", "close")
			return
		}
		conn.mark()
	}
}

// countingListener is a listener whose connections are counted, and closed at once beyond the bound.
type countingListener struct {
	net.Listener
	of *Connections
}

// Accept waits for a connection within the bound.
func (l *countingListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if open := l.of.open.Add(1); l.of.most <= 0 || open <= l.of.most {
			return &counted{Conn: conn, of: l.of}, nil
		}
		l.of.open.Add(-1)
		l.of.refused.Add(1)
		_ = conn.Close()
	}
}

// counted is an open connection.
type counted struct {
	net.Conn
	of     *Connections
	many   atomic.Bool
	closed sync.Once
}

// NetConn is what is counted.
func (c *counted) NetConn() net.Conn { return c.Conn }

func (c *counted) mark() { c.many.Store(true) }

// SetReadDeadline is how the server says how long a connection may be idle: that of one of many, less. Without an end it
// is while a request is answered, and stays so: what ends a read then ends this request and all that follow.
func (c *counted) SetReadDeadline(t time.Time) error {
	if c.many.Load() && c.of.idle > 0 && !t.IsZero() {
		if sooner := time.Now().Add(c.of.idle); sooner.Before(t) {
			t = sooner
		}
	}
	return c.Conn.SetReadDeadline(t)
}

// Close closes it.
func (c *counted) Close() error {
	c.closed.Do(func() {
		c.of.open.Add(-1)
		if c.many.Load() {
			c.of.many.Add(-1)
		}
	})
	return c.Conn.Close()
}
