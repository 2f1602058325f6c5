// Package upstream speaks to pods: it sends requests over kept-alive HTTP/1.1 connections, and
// repeats the readiness checks of pods that are starting.
//
// Why not http.Transport: it sends a request again by itself when a kept-alive connection breaks,
// also when the pod may have begun to work on it, and it does not tell what was sent. Here a
// request is sent a second time only when provably not one byte of it left. Reading answers is
// net/http's (http.ReadResponse): no parser of our own.
//
// Which pod gets a request, and whether another one is tried, is not decided here.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// Options are the limits of a client. The zero value of each takes the default named with it.
type Options struct {
	DialTimeout     time.Duration        // 1 s
	Silence         func() time.Duration // how long a pod may neither take nor send a byte; asked for each request; 10 min
	KeepAlive       time.Duration        // how long a connection may have been idle to be used again; 4 s, less than what servers allow
	KeepConnections int                  // idle connections kept for each pod; 128
	MaxHead         int64                // bytes of an answer's head; 256 KiB
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
	if o.Silence == nil {
		o.Silence = func() time.Duration { return 10 * time.Minute }
	}
	if o.KeepConnections == 0 {
		o.KeepConnections = 128
	}
	if o.MaxHead == 0 {
		o.MaxHead = 256 << 10
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	return o
}

// Client sends requests to pods. Close it when nothing is in flight any more.
type Client struct {
	options Options
	mu      sync.Mutex
	pools   map[string]*pool // by address
	closed  bool
	sweeper *time.Timer
}

// New makes a client.
func New(o Options) *Client {
	return &Client{options: o.withDefaults(), pools: map[string]*pool{}}
}

var _ proxy.Sender = (*Client)(nil)

// Do sends the request to the pod at address and returns the head of its answer; see proxy.Sender.
func (c *Client) Do(ctx context.Context, address string, r *proxy.Request) (*proxy.Answer, error) {
	for reuse := true; ; reuse = false {
		cn, err := c.connect(ctx, address, reuse)
		if err != nil {
			return nil, err
		}
		answer, err := c.exchange(ctx, cn, r)
		if err == nil {
			return answer, nil
		}
		cn.close()
		if _, unsent := errors.AsType[*proxy.UnsentError](err); unsent && cn.used {
			continue // the idle connection was dead: a new one tells whether the pod is
		}
		return nil, err
	}
}

// connect takes an idle connection that still stands, or makes a new one.
func (c *Client) connect(ctx context.Context, address string, reuse bool) (*conn, error) {
	if reuse {
		if cn := c.takeIdle(address); cn != nil {
			return cn, nil
		}
	}
	dial, cancel := context.WithTimeout(ctx, c.options.DialTimeout)
	defer cancel()
	nc, err := c.options.Dial(dial, "tcp", address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &proxy.UnsentError{Err: err}
	}
	return newConn(nc, address), nil
}

// exchange sends the request and reads the head of the answer.
func (c *Client) exchange(ctx context.Context, cn *conn, request *proxy.Request) (*proxy.Answer, error) {
	cn.written.Store(0)
	cn.silence = c.options.Silence()
	r := &outgoing{Request: request}
	response := &response{client: c, conn: cn, request: r, stop: context.AfterFunc(ctx, cn.close)}
	err := r.send(cn)
	if err == nil {
		var answer *proxy.Answer
		if answer, err = response.receive(); err == nil {
			return answer, nil
		}
	}
	response.stop()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case cn.written.Load() == 0:
		return nil, &proxy.UnsentError{Err: err}
	}
	cn.close()
	if fault := r.bodyFault(); fault != nil {
		return nil, fault
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, proxy.ErrHeadTimeout
	}
	return nil, fmt.Errorf("%w: %w", proxy.ErrBroken, err)
}
