// Package upstream speaks to pods: it sends requests over kept HTTP/1.1 connections, and repeats the
// readiness checks of pods that are starting.
//
// Why not http.Transport: it sends a request again by itself when a kept connection breaks, also when
// the pod may have begun to work on it, it does not say what was sent, and it has two goroutines for
// each connection. Here the goroutine that serves the client sends and reads; a second one is there
// only while a long body goes up. A request is sent a second time only when provably not one byte of
// it left, or when it changes nothing and a used connection ended without a byte of an answer.
//
// Which pod gets a request, and whether another one is tried, is not decided here.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/link"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/socket"
)

// Options are the limits of a client. The zero value of each takes the default named with it.
type Options struct {
	DialTimeout     time.Duration // 1 s
	KeepAlive       time.Duration // how long a connection may have been idle to be used again; 4 s, less than what servers allow
	KeepConnections int           // idle connections kept for each pod; 1024
	MaxHead         int           // bytes of an answer's head; 256 KiB
	Dial            func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&o.DialTimeout, time.Second)
	set(&o.KeepAlive, 4*time.Second)
	if o.KeepConnections == 0 {
		o.KeepConnections = 1024
	}
	if o.MaxHead == 0 {
		o.MaxHead = 256 << 10
	}
	if o.Dial == nil {
		o.Dial = socket.PodDialer().DialContext
	}
	return o
}

// Client sends requests to pods. Close it when nothing is in flight any more.
type Client struct {
	options Options
	pools   sync.Map // address to *pool
	closed  atomic.Bool
	mu      sync.Mutex
	sweeper *time.Timer
}

// New makes a client.
func New(o Options) *Client { return &Client{options: o.withDefaults()} }

var _ proxy.Sender = (*Client)(nil)

// Send sends the request to the pod and returns when the head of its answer is there; see
// proxy.Sender.
func (c *Client) Send(to proxy.Destination, r *proxy.Outgoing) (proxy.Answer, error) {
	for reuse := true; ; reuse = false {
		cn, err := c.connect(to.Address, r, reuse)
		if err != nil {
			return nil, err
		}
		if err = cn.tryExchange(r); err == nil {
			return cn, nil
		}
		if r.Client.HasGone() {
			return nil, proxy.ErrGone
		}
		if cn.used && cn.stale(r, err) {
			continue
		}
		return nil, err
	}
}

// stale tells whether a request that failed on a used connection may be tried on a new one: the
// old one may have been dead, or held what was left of another answer, which says nothing of the pod.
func (cn *conn) stale(r *proxy.Outgoing, err error) bool {
	if _, unsent := errors.AsType[*proxy.UnsentError](err); unsent {
		return true
	}
	if !r.Resend || r.Streams || len(r.Whole) > 0 {
		return false
	}
	_, nonsense := errors.AsType[*message.Error](err)
	return nonsense || !cn.received && hasEnded(err)
}

// hasEnded tells whether the connection ended, in order or not, rather than that the pod was slow or
// spoke nonsense.
func hasEnded(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// connect takes an idle connection, or makes a new one.
func (c *Client) connect(address string, r *proxy.Outgoing, reuse bool) (*conn, error) {
	if reuse {
		if cn := c.takeIdle(address, moment(r)); cn != nil {
			return cn, nil
		}
	}
	r.Now = time.Time{} // that will have passed
	limit := c.options.DialTimeout
	if r.Left > 0 && r.Left < limit {
		limit = r.Left
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r.Client.Watch(dialing{cancel})
	nc, err := c.dial(ctx, address)
	r.Client.Watch(nil)
	switch {
	case err == nil:
		_ = socket.SetUserTimeout(nc, socket.PodTimeout) // a connection that refuses it fails when it is used
		return &conn{client: c, address: address, link: link.New(nc)}, nil
	case r.Client.HasGone():
		return nil, proxy.ErrGone
	case isLocal(err):
		return nil, &proxy.LocalError{Err: err}
	}
	if fault, ok := errors.AsType[*proxy.FaultError](err); ok {
		return nil, fault
	}
	return nil, &proxy.UnsentError{Err: err, Refused: true}
}

// moment is when the request is sent, or its exchange ended.
func moment(r *proxy.Outgoing) time.Time {
	if r.Now.IsZero() {
		return time.Now()
	}
	return r.Now
}

// dial makes a connection on a goroutine of its own: it takes kilobytes of stack, which the one that
// serves the client would keep for as long as an answer takes.
func (c *Client) dial(ctx context.Context, address string) (nc net.Conn, err error) {
	made := make(chan struct{})
	go func() {
		defer close(made)
		defer func() {
			if fault := recover(); fault != nil { // one exchange ends, not the process
				nc, err = nil, &proxy.FaultError{Fault: fault, Stack: debug.Stack()}
			}
		}()
		nc, err = c.options.Dial(ctx, "tcp", address)
	}()
	<-made
	return nc, err
}

// dialing is a connection that is being made.
type dialing struct{ cancel context.CancelFunc }

// Cancel gives up.
func (d dialing) Cancel() { d.cancel() }

// isLocal tells whether it was this machine that could make no connection.
func isLocal(err error) bool {
	for _, limit := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, limit) {
			return true
		}
	}
	return false
}

// failure says of an error before the answer's head what it means.
func failure(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return proxy.ErrHeadTimeout
	}
	return fmt.Errorf("%w: %w", proxy.ErrBroken, err)
}
