// Command wakeup measures what Nemesis adds to the wake-up of a sleeping application.
//
// Five ways are taken in turn, in one run, on applications that stand at zero pods
// before each: (a) the floor: the Deployment's /scale is patched over a kept-alive connection and
// the pod's address, as soon as the API shows it, is polled every 5 ms until it first answers;
// (b) the balancer: one request is sent through the load balancer, until its first byte; (c) the
// same with the sidecar in the pod; (d) and (e) the same two with a model server that loads for
// seconds, as those that the sidecar is meant for do. The order within a round changes at random,
// so that a machine that grows slower is unfair to none.
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

// kinds are in the order of the ways: the same application without and with the sidecar, twice.
var kinds = []asleep.Kind{
	{Namespace: "nemesis-bench", Manifest: "e2e/apps/fibonacci/k8s.yaml", Deployment: "fibonacci-deployment", Object: "fibonacci", Service: "fibonacci-service", Port: 5001, Path: "/healthz"},
	{Namespace: "nemesis-bench-sidecar", Manifest: "e2e/apps/fibonacci-with-sidecar", Deployment: "fibonacci-deployment", Object: "fibonacci", Service: "fibonacci-service", Port: 5001, Path: "/healthz"},
	{Namespace: "nemesis-bench-model", Manifest: "e2e/apps/modelserver/k8s.yaml", Deployment: "modelserver", Object: "modelserver", Service: "modelserver", Port: 8000, Path: "/v1/models"},
	{Namespace: "nemesis-bench-model-sidecar", Manifest: "e2e/apps/modelserver-with-sidecar", Deployment: "modelserver", Object: "modelserver", Service: "modelserver", Port: 8000, Path: "/v1/models"},
}

func main() {
	var o options
	flag.IntVar(&o.pairs, "pairs", 20, "rounds of measurements, at least 20 for a figure that is shown")
	flag.IntVar(&o.warm, "warm", 2, "rounds before, which are not counted")
	out := flag.String("out", "build/bench/wakeup.json", "where the figures go")
	limit := flag.Duration("limit", 30*time.Minute, "give up after this long")
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
	pairs, warm int
}

func run(ctx context.Context, w io.Writer, o options, out string) (err error) {
	cluster, err := kube.Connect(ctx)
	if err != nil {
		return err
	}
	var apps []*asleep.Application
	defer func() {
		for _, app := range apps {
			err = errors.Join(err, app.Remove(context.WithoutCancel(ctx)))
		}
	}()
	for _, k := range kinds {
		app, err := asleep.Install(ctx, cluster, k)
		if err != nil {
			return err
		}
		apps = append(apps, app)
	}

	var all samples
	for i := range o.warm + o.pairs {
		one, err := round(ctx, apps)
		if err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
		name := fmt.Sprintf("%2d/%d", i-o.warm+1, o.pairs)
		if i < o.warm {
			name = "warm-up"
		} else {
			all.add(one)
		}
		fmt.Fprintf(w, "%-7s", name)
		for way, ms := range one {
			fmt.Fprintf(w, "   %s %7.1f ms", ways[way], ms)
		}
		fmt.Fprintln(w)
	}
	result := summarise(all)
	result.print(w)
	return write(out, result)
}

// round takes the five ways in a random order, each from zero pods everywhere.
func round(ctx context.Context, apps []*asleep.Application) (s sample, err error) {
	for _, way := range rand.Perm(len(s)) {
		for _, app := range apps {
			if err := app.Sleep(ctx); err != nil {
				return s, err
			}
		}
		app := apps[max(way-1, 0)] // the floor and the balancer wake the same one
		if way == floor {
			s[way], err = app.Floor(ctx)
		} else {
			s[way], err = app.Through(ctx)
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", ways[way], err)
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
