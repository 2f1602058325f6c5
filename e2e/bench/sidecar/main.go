// Command sidecar measures what the sidecar costs an application: the time of its wake-up, by where the sidecar's
// container stands in the pod; and what it takes while the application runs.
//
// The same application is woken through the load balancer by turns, in one run, from zero pods everywhere: without a
// sidecar, with the one that comes by itself, and with it in each of the other places. The order within a round
// changes at random, so that a machine that grows slower is unfair to none.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/asleep"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/summary"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/turns"
	"github.com/nemesis-scaling/nemesis/e2e/internal/kube"
)

func main() {
	var o turns.Options
	o.Flags(flag.CommandLine, "rounds", "build/bench/sidecar.json")
	watch := flag.Duration("watch", 2*time.Minute, "how long a running sidecar is watched")
	flag.Parse()
	o.Main("sidecar", func(ctx context.Context, w io.Writer) error { return run(ctx, w, o, *watch) })
}

func run(ctx context.Context, w io.Writer, o turns.Options, watch time.Duration) error {
	cluster, err := kube.Connect(ctx)
	if err != nil {
		return err
	}
	all, err := wake(ctx, cluster, w, o)
	if err != nil {
		return err
	}
	result := summarise(all)
	if result.Cost, err = measure(ctx, cluster, w, watch); err != nil {
		return err
	}
	result.print(w)
	return summary.Write(o.Out, result)
}

// wake wakes the application in each place, by turns.
func wake(ctx context.Context, cluster *kube.Cluster, w io.Writer, o turns.Options) (all [][]float64, err error) {
	var apps []*standing
	defer func() {
		for _, app := range apps {
			err = errors.Join(err, app.Remove(context.WithoutCancel(ctx)))
		}
	}()
	keys := make([]string, len(places))
	for i, p := range places {
		app, err := asleep.Install(ctx, cluster, p.kind())
		if err != nil {
			return nil, err
		}
		s := &standing{Application: app, place: p}
		apps, keys[i] = append(apps, s), p.key
		if err := errors.Join(s.arrange(ctx), s.comes(ctx)); err != nil {
			return nil, err
		}
	}
	return o.Take(w, keys, func(at int) (float64, error) { return apps[at].wake(ctx, apps) })
}

// wake wakes it from zero pods everywhere.
func (s *standing) wake(ctx context.Context, all []*standing) (float64, error) {
	for _, app := range all {
		if err := app.Sleep(ctx); err != nil {
			return 0, err
		}
	}
	ms, err := s.Through(ctx)
	if err != nil {
		return 0, err
	}
	return ms, s.follow(ctx)
}
