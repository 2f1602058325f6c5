// Command controller measures what the autoscaler-controller costs, by the number of applications: this
// build and the last release, in one run on one machine, through the wire alone.
//
// A Kubernetes API server on etcd, and nothing else of Kubernetes, holds the objects; this program makes
// them, and plays kubelets, load balancers and sidecars. The controller has one core, and everything else
// the others. CPU time is what the kernel says of the controller's process, so it holds on a busy machine;
// latencies hold as far as the machine is quiet, and so stand beside what the API server alone took.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/process"
)

// subjectCPU is the controller's core; all others are for all else.
const subjectCPU = 0

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench controller:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o, err := parse(os.Args[1:])
	if err != nil {
		return err
	}
	if pinned, err := process.Pin(o.priority, subjectCPU, process.Others(subjectCPU), os.Environ()); pinned || err != nil {
		return err
	}
	restore, err := process.Prefer(o.priority)
	if err != nil {
		return err
	}
	defer restore()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	if err := os.MkdirAll(o.work, 0o750); err != nil {
		return err
	}
	if o.soak > 0 {
		return soak(ctx, os.Stdout, o)
	}
	return measure(ctx, os.Stdout, o)
}

func absolute(paths ...*string) error {
	for _, p := range paths {
		if *p == "" {
			continue
		}
		full, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = full
	}
	return nil
}
