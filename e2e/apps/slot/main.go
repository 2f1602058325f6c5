// Command slot is a sample application that works on one request at a time, as many model servers
// and browsers for tests do: it answers 500 when it gets more, and goes on with a request whose client
// has gone. It counts what it gets. It knows nothing of Nemesis.
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
		fmt.Fprintln(os.Stderr, "slot:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) error {
	var address string
	var drain time.Duration
	set := settings.New("slot", getenv, stderr)
	set.Address(&address, "port", "8080", "port, or HOST:PORT, to listen on")
	set.Seconds(&drain, "drain-seconds", 25*time.Second, time.Hour, "how long requests may take to finish after SIGTERM")
	if err := set.Parse(args); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	log.Info("listening", "http", listener.Addr().String())
	return serving.Run(ctx, serving.New((&slot{sleep: time.Sleep}).handler(), log), listener, drain, log)
}
