// Command autoscaler-controller scales Deployments to zero and back, and explains every decision.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the zones of schedules; the image has none

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := app.Main(ctx, os.Args[1:], os.Environ(), os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "autoscaler-controller:", err)
		os.Exit(1)
	}
}
