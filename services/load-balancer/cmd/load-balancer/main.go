// Command load-balancer is the front door of the applications: it holds requests while they sleep,
// has them woken, and spreads traffic over their pods.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	s, err := app.Load(os.Args[1:], os.Environ(), os.Stderr)
	if errors.Is(err, settings.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	a, err := app.New(ctx, s, os.Stdout)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
