// Command nemesis answers questions about an installation of Nemesis: what sleeps, why something was scaled, who
// waits. As kubectl-nemesis it is `kubectl nemesis`, as kubectl_complete-nemesis it completes that.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/nemesis-scaling/nemesis/cli/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Main(ctx, os.Args, command.Standard())
	stop()
	os.Exit(code)
}
