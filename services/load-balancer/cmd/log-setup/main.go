// Command log-setup makes an Elasticsearch ready for the log of the load balancers. It is a program, and
// an image, of its own: it makes users and keys, and what stands before every client's request must not
// be able to.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/logsetup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := logsetup.Run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
