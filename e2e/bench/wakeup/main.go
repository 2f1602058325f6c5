// Command wakeup measures what Nemesis adds to the wake-up of a sleeping application.
//
// Three ways are taken in turn, in one run, on the same application, which stands at zero pods
// before each: (a) the floor: the Deployment's /scale is patched over a kept-alive connection and
// the pod's address, as soon as the API shows it, is polled every 5 ms until it first answers;
// (b) the balancer: one request is sent through the load balancer, until its first byte; (c) the
// same with the sidecar in the pod. The order within a round changes at random, so that a machine
// that grows slower is unfair to none.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/internal/kube"
)

func main() {
	var o options
	flag.IntVar(&o.pairs, "pairs", 20, "rounds of measurements, at least 20 for a figure that is shown")
	flag.IntVar(&o.warm, "warm", 2, "rounds before, which are not counted")
	flag.StringVar(&o.app, "app", "e2e/apps/fibonacci/k8s.yaml", "the application's manifest, or kustomize folder")
	flag.StringVar(&o.sidecar, "sidecar", "e2e/apps/fibonacci-with-sidecar", "the same application with the sidecar")
	out := flag.String("out", "build/bench/wakeup.json", "where the figures go")
	limit := flag.Duration("limit", 15*time.Minute, "give up after this long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	if err := run(ctx, os.Stdout, o, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench wakeup:", err)
		os.Exit(1) //nolint:gocritic // exitAfterDefer: the process ends
	}
}

// options say what is measured, and how often.
type options struct {
	pairs, warm  int
	app, sidecar string
}

func run(ctx context.Context, w io.Writer, o options, out string) (err error) {
	cluster, err := kube.Connect(ctx)
	if err != nil {
		return err
	}
	plain, err := install(ctx, cluster, "nemesis-bench", o.app)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain.remove(context.WithoutCancel(ctx))) }()
	sidecar, err := install(ctx, cluster, "nemesis-bench-sidecar", o.sidecar)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sidecar.remove(context.WithoutCancel(ctx))) }()

	var all samples
	for i := range o.warm + o.pairs {
		one, err := round(ctx, plain, sidecar)
		if err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
		name := fmt.Sprintf("%2d/%d", i-o.warm+1, o.pairs)
		if i < o.warm {
			name = "warm-up"
		} else {
			all.add(one)
		}
		fmt.Fprintf(w, "%-7s  floor %6.1f ms   balancer %6.1f ms   added %+6.1f ms   with sidecar %6.1f ms   added %+6.1f ms\n",
			name, one.floor, one.balancer, one.balancer-one.floor, one.sidecar, one.sidecar-one.balancer)
	}
	result := summarise(all)
	result.print(w)
	return write(out, result)
}

// sample is one round, in milliseconds.
type sample struct{ floor, balancer, sidecar float64 }

// round takes the three ways in a random order, each from zero pods.
func round(ctx context.Context, plain, sidecar *application) (s sample, err error) {
	ways := []func() error{
		func() (err error) { s.floor, err = plain.floor(ctx); return err },
		func() (err error) { s.balancer, err = plain.through(ctx); return err },
		func() (err error) { s.sidecar, err = sidecar.through(ctx); return err },
	}
	rand.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
	for _, way := range ways {
		for _, app := range []*application{plain, sidecar} {
			if err := app.sleep(ctx); err != nil {
				return s, err
			}
		}
		if err := way(); err != nil {
			return s, err
		}
	}
	return s, nil
}

func write(path string, result result) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // G301: figures are no secret
		return err
	}
	raw, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644) //nolint:gosec // G306: figures are no secret
}
