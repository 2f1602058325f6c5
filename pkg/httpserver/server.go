// Package httpserver is how every Nemesis service listens, serves and drains, and what it shows to
// the kubelet and to Prometheus. It knows no application: what is served is handed in.
//
// Draining follows what Kubernetes does to a pod that ends: new connections still come for a
// moment (the Service has not forgotten the pod yet), so the server goes on accepting, tells each
// client to close its connection, and only then stops.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Options are the limits of a server. The zero value of a duration takes the default named with it.
type Options struct {
	Address      string
	Handler      http.Handler
	Log          *slog.Logger
	HeadTimeout  time.Duration // for reading the request's head; 10 s
	IdleTimeout  time.Duration // of a kept-alive connection; 120 s
	MaxHead      int           // bytes of the request's head; 64 KiB
	LameDuck     time.Duration // go on accepting while the cluster forgets this pod; 0 is none
	DrainTimeout time.Duration // then wait for what is in flight; 30 s

	// Secure has the port speak TLS; nil: clear text alone.
	Secure *Secure

	// Who counts or limits connections: Listen goes around the listener, ConnContext is that of
	// http.Server. Both may be nil.
	Listen      func(net.Listener) net.Listener
	ConnContext func(context.Context, net.Conn) context.Context
}

// Server is one listener.
type Server struct {
	http     *http.Server
	listener net.Listener
	options  Options
	draining atomic.Bool
}

// Listen takes the address at once, so that a port that is in use fails before anything starts.
func Listen(ctx context.Context, o Options) (*Server, error) {
	o.HeadTimeout = orDefault(o.HeadTimeout, 10*time.Second)
	o.IdleTimeout = orDefault(o.IdleTimeout, 120*time.Second)
	o.DrainTimeout = orDefault(o.DrainTimeout, 30*time.Second)
	if o.MaxHead == 0 {
		o.MaxHead = 64 << 10
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Address, err)
	}
	// Connections are counted around what they speak: a handshake is no way past the bound.
	listener = o.Secure.listen(listener)
	if o.Listen != nil {
		listener = o.Listen(listener)
	}
	s := &Server{listener: listener, options: o}
	s.http = &http.Server{
		Handler:           answerUnread(http.HandlerFunc(s.serve)),
		ReadHeaderTimeout: o.HeadTimeout,
		IdleTimeout:       o.IdleTimeout,
		MaxHeaderBytes:    o.MaxHead,
		ConnContext:       o.Secure.context(o.ConnContext),
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Addr is where the server listens; its port is a real one also when Options said port 0.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Draining tells whether the server is about to end.
func (s *Server) Draining() bool { return s.draining.Load() }

// Run serves until ctx ends, then drains. It returns nil after a clean drain, and an error when
// the server failed or requests were still in flight at the drain's deadline.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	if err := wait(failed, s.options.LameDuck); err != nil {
		return fmt.Errorf("serve %s: %w", s.Addr(), err)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.DrainTimeout)
	defer cancel()
	if err := s.http.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("drain %s: requests were still in flight after %v: %w", s.Addr(), s.options.DrainTimeout, err), s.http.Close())
	}
	return nil
}

// serve tells each client of a draining server to come back on another connection.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	if s.options.Secure.refuses(w, r) {
		return
	}
	s.options.Handler.ServeHTTP(w, r)
}

// wait returns nil after d, or why the server has failed before.
func wait(failed <-chan error, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-failed:
		return err
	}
}

func orDefault(d, value time.Duration) time.Duration {
	if d == 0 {
		return value
	}
	return d
}
