// Command fibonacci is a sample application that burns CPU honestly: it computes Fibonacci
// numbers by plain recursion, so that the cost of a request is chosen by its n. It knows nothing
// of Nemesis.
//
// It is woken from zero with a request waiting, so it listens before it does anything else.
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
	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/tracing"
)

// flushLimit bounds how long the last spans may take on their way out.
const flushLimit = 3 * time.Second

func main() {
	// Before anything else: as process 1 of a container a signal without a handler is lost.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "fibonacci:", err)
		os.Exit(1)
	}
}

type config struct {
	address string
	mostN   int
	drain   time.Duration
	debug   bool
}

func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) error {
	var c config
	set := settings.New("fibonacci", getenv, stderr)
	set.Address(&c.address, "port", "5001", "port, or HOST:PORT, to listen on")
	set.Int(&c.mostN, "max-n", 45, 0, mostN, "largest n that is computed; each step costs 1.6 times the one before")
	set.Seconds(&c.drain, "drain-seconds", 25*time.Second, time.Hour, "how long requests may take to finish after SIGTERM")
	set.Bool(&c.debug, "debug", false, "log the probes too")
	if err := set.Parse(args); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.address, err)
	}
	return serve(ctx, listener, c, getenv, stderr)
}

func serve(ctx context.Context, listener net.Listener, c config, getenv func(string) string, stderr io.Writer) error {
	level := slog.LevelInfo
	if c.debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	pod, err := os.Hostname()
	if err != nil {
		return errors.Join(fmt.Errorf("name of this pod: %w", err), listener.Close())
	}
	spans, err := tracing.Start(ctx, "fibonacci", getenv, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	log.Info("listening", "address", listener.Addr().String(), "max_n", c.mostN)
	served := serving.Run(ctx, serving.New(handler(c.mostN, pod, spans, log), log), listener, c.drain, log)
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
	defer cancel()
	if err := spans.Shutdown(flush); err != nil { // spans are lost, requests are not
		log.Warn("telemetry", "error", err.Error())
	}
	return served
}
