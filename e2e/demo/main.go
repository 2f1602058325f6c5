// Command demo shows Nemesis at work on a cluster where it is installed: a model server sleeps at
// zero pods, a request comes, it wakes, the answer arrives; then it says where each millisecond
// went and why the controller did what it did. Then load comes to another application until a
// threshold adds pods, and goes, until that sleeps as well; and the log has every request. It uses the outer interfaces alone, through the
// generated client, as any user would.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/internal/kube"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

const (
	namespace  = "nemesis-demo"
	deployment = "modelserver"
	system     = "nemesis-system"
	reader     = "reader" // the account that the demo asks with, and its reader after it
	// firstRequest is more than a pod needs on a slow machine, and less than a person waits.
	firstRequest = 2 * time.Minute
)

func main() {
	kubeconfig := flag.String("kubeconfig", os.Getenv("KUBECONFIG"), "what to tell the reader to export")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *kubeconfig); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1) //nolint:gocritic // exitAfterDefer: the signal handler ends with the process
	}
}

func run(ctx context.Context, out io.Writer, kubeconfig string) error {
	cluster, err := kube.Connect(ctx)
	if err != nil {
		return err
	}
	balancer, err := cluster.ServiceURL(ctx, system, "load-balancer", 80, "NEMESIS_LOAD_BALANCER_URL")
	if err != nil {
		return err
	}
	controller, err := cluster.ServiceURL(ctx, system, "autoscaler-controller", 8080, "NEMESIS_CONTROLLER_URL")
	if err != nil {
		return err
	}
	viewer, err := cluster.Member(ctx, namespace, reader, "view")
	if err != nil {
		return err
	}
	api, err := autoscaler.NewClientWithResponses(controller, autoscaler.WithRequestEditorFn(viewer.Sign))
	if err != nil {
		return err
	}

	app, err := asleep(ctx, out, api)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n1. %s/%s sleeps: %d pods, nothing is paid for.\n", namespace, deployment, len(app.Pods))

	fmt.Fprintf(out, "2. A client asks it to complete a sentence (it loads a model for 3 s first) ...\n\n")
	fmt.Fprint(out, "   ")
	took, err := ask(ctx, out, balancer)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n\n   The first word came after %.1f s; the client did nothing but wait.\n\n", took.Seconds())

	app, err = settled(ctx, api)
	if err != nil {
		return err
	}
	timeline(out, *app.LastWakeUp)
	reasons(out, app)
	if err := underLoad(ctx, out, cluster, api, balancer); err != nil {
		return err
	}
	admin, err := cluster.ServiceURL(ctx, system, "load-balancer", 8081, "NEMESIS_LOAD_BALANCER_ADMIN_URL")
	if err != nil {
		return err
	}
	elastic := os.Getenv("NEMESIS_ELASTICSEARCH_URL")
	if err := lastRequests(ctx, out, admin, elastic, viewer.Sign); err != nil {
		return err
	}
	farewell(out, balancer, controller, admin, kubeconfig, elastic, app.IdleTime)
	return nil
}

// asleep waits until the application sleeps; after an earlier demo that takes its idleTime.
func asleep(ctx context.Context, out io.Writer, api *autoscaler.ClientWithResponses) (*autoscaler.Application, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	told := false
	return until(ctx, api, "the application sleeps", func(app *autoscaler.Application) bool {
		if app.State == autoscaler.ApplicationStateAwake && !told {
			fmt.Fprintf(out, "It is awake from before; it falls asleep after %d s without traffic ...\n", app.IdleTime)
			told = true
		}
		return app.State == autoscaler.ApplicationStateAsleep && len(app.Pods) == 0
	})
}

// settled waits until both the balancer and the controller have told their part of the wake-up.
func settled(ctx context.Context, api *autoscaler.ClientWithResponses) (*autoscaler.Application, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return until(ctx, api, "the wake-up is recorded", func(app *autoscaler.Application) bool {
		if app.LastWakeUp == nil || app.LastWakeUp.Outcome != autoscaler.WakeUpOutcomeAnswered {
			return false
		}
		seen := map[autoscaler.WakeUpPhasePhase]bool{}
		for _, p := range app.LastWakeUp.Phases {
			seen[p.Phase] = true
		}
		return seen[autoscaler.WakeUpPhasePhaseFirstByte] && seen[autoscaler.WakeUpPhasePhaseContainerStarted] && seen[autoscaler.WakeUpPhasePhaseReady]
	})
}

// until asks for the application, a few times a second, until it is as wanted.
func until(ctx context.Context, api *autoscaler.ClientWithResponses, what string, wanted func(*autoscaler.Application) bool) (*autoscaler.Application, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last string
	for {
		res, err := api.GetApplicationWithResponse(ctx, namespace, deployment)
		switch {
		case err != nil:
			last = err.Error()
		case res.JSON200 == nil:
			last = fmt.Sprintf("%s %s", res.Status(), res.Body)
		case wanted(res.JSON200):
			return res.JSON200, nil
		default:
			last = fmt.Sprintf("state %s, %d pods", res.JSON200.State, len(res.JSON200.Pods))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting until %s: %w (last seen: %s)", what, ctx.Err(), last)
		case <-tick.C:
		}
	}
}

// ask sends the one request that wakes the application, and writes the answer word by word as it
// is streamed. It returns how long the first word took.
func ask(ctx context.Context, out io.Writer, balancer string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, firstRequest)
	defer cancel()
	body := `{"prompt": "Once upon a time", "max_tokens": 24, "stream": true}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, balancer+"/modelserver/v1/completions", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	begin := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		return 0, fmt.Errorf("the balancer answered %s: %s", res.Status, text)
	}
	var first time.Duration
	err = words(res.Body, func(word string) {
		if first == 0 {
			first = time.Since(begin)
		}
		fmt.Fprint(out, word)
	})
	return first, err
}
