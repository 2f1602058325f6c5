// Command echo is a sample application that gives back what it gets, in the protocols whose
// exchanges outlive a request: gRPC on a port of its own, WebSockets and large uploads on another
// one. It knows nothing of Nemesis.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/serving"
	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/settings"
)

func main() {
	// Before anything else: as process 1 of a container a signal without a handler is lost.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

type config struct {
	address string
	grpc    string
	drain   time.Duration
}

// listeners are open before anything is answered: a pod is ready when both are.
type listeners struct{ http, grpc net.Listener }

func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) error {
	var c config
	set := settings.New("echo", getenv, stderr)
	set.Address(&c.address, "port", "8080", "port, or HOST:PORT, to listen on for HTTP/1.1")
	set.Address(&c.grpc, "grpc-port", "50051", "port, or HOST:PORT, to listen on for gRPC")
	set.Seconds(&c.drain, "drain-seconds", 25*time.Second, time.Hour, "how long requests may take to finish after SIGTERM")
	if err := set.Parse(args); err != nil {
		return err
	}
	l, err := listen(ctx, c)
	if err != nil {
		return err
	}
	return serve(ctx, l, c.drain, slog.New(slog.NewJSONHandler(stderr, nil)))
}

func listen(ctx context.Context, c config) (l listeners, err error) {
	if l.http, err = new(net.ListenConfig).Listen(ctx, "tcp", c.address); err != nil {
		return l, fmt.Errorf("listen on %s: %w", c.address, err)
	}
	if l.grpc, err = new(net.ListenConfig).Listen(ctx, "tcp", c.grpc); err != nil {
		return l, errors.Join(fmt.Errorf("listen on %s: %w", c.grpc, err), l.http.Close())
	}
	return l, nil
}

// serve ends when ctx does, or when one of the two ports cannot be served any more.
func serve(ctx context.Context, l listeners, drain time.Duration, log *slog.Logger) error {
	pod, err := os.Hostname()
	if err != nil {
		return errors.Join(fmt.Errorf("name of this pod: %w", err), l.http.Close(), l.grpc.Close())
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	log.Info("listening", "http", l.http.Addr().String(), "grpc", l.grpc.Addr().String())
	rpc := make(chan error, 1)
	go func() {
		defer end()
		rpc <- serveGRPC(ctx, newGRPC(pod), l.grpc, drain)
	}()
	server := serving.New(nil, log)
	sockets := newSockets()
	server.Handler = handler(sockets, log)
	server.RegisterOnShutdown(sockets.leave)
	err = serving.Run(ctx, server, l.http, drain, log)
	end()
	sockets.leave() // also when it could not serve
	sockets.wait()
	return errors.Join(err, <-rpc)
}
