// Command metrics-collector takes the pushes of a node's sidecars and sends them in batches to the
// autoscaler-controller.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/app/batching"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context) error {
	s, err := batching.Load(os.Args[1:], os.Environ(), os.Stderr)
	if errors.Is(err, settings.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	a, err := batching.New(ctx, s, os.Stdout)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
