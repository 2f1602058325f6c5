// Package serving is the life of a sample application's server: it serves until it is told to
// end, takes nothing new from then on, finishes what it has, and only then returns. What is
// served is the applications' own.
package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// New makes a server for handler whose waits for a client are bounded. Answers are not bounded
// in time: a stream takes as long as it takes.
func New(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       3 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// Run serves on listener until ctx ends, then closes the listener and waits for the requests that
// it has, for drain at most. It returns nil when all were finished, and an error when it had to
// cut some or could not serve at all.
func Run(ctx context.Context, server *http.Server, listener net.Listener, drain time.Duration, log *slog.Logger) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	log.Info("draining", "limit", drain.String())
	start := time.Now()
	// The requests being finished must not see the end that was asked for, so this is not ctx.
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		return errors.Join(fmt.Errorf("requests were cut after %s: %w", drain, err), server.Close())
	}
	log.Info("drained", "ms", time.Since(start).Milliseconds())
	return nil
}
