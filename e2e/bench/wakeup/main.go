// Command wakeup measures what Nemesis adds to the wake-up of a sleeping application.
//
// Two ways are taken in turn, in one run, on the same application, which stands at zero pods
// before each: (a) the floor: the Deployment's /scale is patched over a kept-alive connection and
// the pod's address, as soon as the API shows it, is polled every 5 ms until it first answers;
// (b) the balancer: one request is sent through the load balancer, until its first byte. Which of
// a pair goes first changes at random, so that a machine that grows slower is unfair to neither.
package main

import (
	"context"
	"encoding/json"
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
	pairs := flag.Int("pairs", 20, "pairs of measurements, at least 20 for a figure that is shown")
	warm := flag.Int("warm", 2, "pairs before, which are not counted")
	manifest := flag.String("app", "e2e/apps/fibonacci/k8s.yaml", "the application's manifest")
	out := flag.String("out", "build/bench/wakeup.json", "where the figures go")
	limit := flag.Duration("limit", 15*time.Minute, "give up after this long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	if err := run(ctx, os.Stdout, *pairs, *warm, *manifest, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench wakeup:", err)
		os.Exit(1) //nolint:gocritic // exitAfterDefer: the process ends
	}
}

func run(ctx context.Context, w io.Writer, pairs, warm int, manifest, out string) (err error) {
	cluster, err := kube.Connect(ctx)
	if err != nil {
		return err
	}
	app, err := install(ctx, cluster, manifest)
	if err != nil {
		return err
	}
	defer func() {
		if removeErr := app.remove(context.WithoutCancel(ctx)); err == nil {
			err = removeErr
		}
	}()

	var floor, balancer []float64
	for i := range warm + pairs {
		var direct, through float64
		ways := []func() error{
			func() error { direct, err = app.floor(ctx); return err },
			func() error { through, err = app.through(ctx); return err },
		}
		if rand.IntN(2) == 1 {
			ways[0], ways[1] = ways[1], ways[0]
		}
		for _, way := range ways {
			if err := app.sleep(ctx); err != nil {
				return fmt.Errorf("pair %d: %w", i+1, err)
			}
			if err := way(); err != nil {
				return fmt.Errorf("pair %d: %w", i+1, err)
			}
		}
		if i < warm {
			fmt.Fprintf(w, "warm-up %d: floor %.0f ms, through the balancer %.0f ms\n", i+1, direct, through)
			continue
		}
		fmt.Fprintf(w, "pair %2d/%d: floor %6.1f ms   balancer %6.1f ms   added %+6.1f ms\n", i-warm+1, pairs, direct, through, through-direct)
		floor, balancer = append(floor, direct), append(balancer, through)
	}
	result := summarise(floor, balancer)
	result.print(w)
	return write(out, result)
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
