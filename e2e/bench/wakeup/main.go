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
	"errors"
	"flag"
	"io"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/asleep"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/summary"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/turns"
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
	var o turns.Options
	o.Flags(flag.CommandLine, "pairs", "build/bench/wakeup.json")
	flag.Parse()
	o.Main("wakeup", func(ctx context.Context, w io.Writer) error { return run(ctx, w, o) })
}

func run(ctx context.Context, w io.Writer, o turns.Options) (err error) {
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
	all, err := o.Take(w, ways[:], func(way int) (float64, error) { return wake(ctx, apps, way) })
	if err != nil {
		return err
	}
	result := summarise(all)
	result.print(w)
	return summary.Write(o.Out, result)
}

// wake takes one of the five ways, from zero pods everywhere.
func wake(ctx context.Context, apps []*asleep.Application, way int) (float64, error) {
	for _, app := range apps {
		if err := app.Sleep(ctx); err != nil {
			return 0, err
		}
	}
	app := apps[max(way-1, 0)] // the floor and the balancer wake the same one
	if way == floor {
		return app.Floor(ctx)
	}
	return app.Through(ctx)
}
