// Command sidecar measures what the sidecar costs an application: the time of its wake-up, by where the sidecar's
// container stands in the pod; and what it takes while the application runs.
//
// The same application is woken through the load balancer by turns, in one run, from zero pods everywhere: without a
// sidecar, with the one that comes by itself, and with it in each of the other places. The order within a round
// changes at random, so that a machine that grows slower is unfair to none.
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

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/asleep"
	"github.com/nemesis-scaling/nemesis/e2e/internal/kube"
)

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 20, "rounds of measurements, at least 20 for a figure that is shown")
	flag.IntVar(&o.warm, "warm", 2, "rounds before, which are not counted")
	flag.DurationVar(&o.watch, "watch", 2*time.Minute, "how long a running sidecar is watched")
	out := flag.String("out", "build/bench/sidecar.json", "where the figures go")
	limit := flag.Duration("limit", 30*time.Minute, "give up after this long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	if err := run(ctx, os.Stdout, o, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench sidecar:", err)
		os.Exit(1) //nolint:gocritic // exitAfterDefer: the process ends
	}
}

// options say how often, and how long.
type options struct {
	rounds, warm int
	watch        time.Duration
}

func run(ctx context.Context, w io.Writer, o options, out string) error {
	cluster, err := kube.Connect(ctx)
	if err != nil {
		return err
	}
	rounds, err := wake(ctx, cluster, w, o)
	if err != nil {
		return err
	}
	result := summarise(rounds)
	if result.Cost, err = measure(ctx, cluster, w, o.watch); err != nil {
		return err
	}
	result.print(w)
	return write(out, result)
}

// wake wakes the application in each place, by turns.
func wake(ctx context.Context, cluster *kube.Cluster, w io.Writer, o options) (all [][]float64, err error) {
	apps := make([]*standing, len(places))
	defer func() {
		for _, app := range apps {
			if app != nil {
				err = errors.Join(err, app.Remove(context.WithoutCancel(ctx)))
			}
		}
	}()
	for i, p := range places {
		app, err := asleep.Install(ctx, cluster, p.kind())
		if err != nil {
			return nil, err
		}
		apps[i] = &standing{Application: app, place: p}
		if err := errors.Join(apps[i].arrange(ctx), apps[i].comes(ctx)); err != nil {
			return nil, err
		}
	}
	for i := range o.warm + o.rounds {
		one, err := round(ctx, apps)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		name := fmt.Sprintf("%2d/%d", i-o.warm+1, o.rounds)
		if i < o.warm {
			name = "warm-up"
		} else {
			all = append(all, one)
		}
		fmt.Fprintf(w, "%-7s", name)
		for at, ms := range one {
			fmt.Fprintf(w, "   %s %7.1f ms", places[at].key, ms)
		}
		fmt.Fprintln(w)
	}
	return all, nil
}

// round takes the places in a random order, each from zero pods everywhere.
func round(ctx context.Context, apps []*standing) ([]float64, error) {
	one := make([]float64, len(apps))
	for _, at := range rand.Perm(len(apps)) {
		for _, app := range apps {
			if err := app.Sleep(ctx); err != nil {
				return nil, err
			}
		}
		var err error
		if one[at], err = apps[at].Through(ctx); err == nil {
			err = apps[at].follow(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", places[at].key, err)
		}
	}
	return one, nil
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
