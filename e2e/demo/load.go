package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/internal/kube"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// The second scene: load on the application that burns CPU, until its CPU threshold adds pods; then
// quiet, until they are gone.
const (
	burner     = "fibonacci-deployment"
	burnerRule = "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/" + namespace + "/customautoscalers/fibonacci"
	clients    = 3
	burnPath   = "/fibonacci/fib/38" // a good part of a second of one core
	// Shorter than anyone would set them, so that nobody waits for minutes here.
	shortened = `{"spec":{"idleTime":60,"scaleDownWindow":5}}`
	restored  = `{"spec":{"idleTime":90,"scaleDownWindow":60}}`
	// The metrics are some 15 s old where no sidecar pushes them; these are several times what it takes.
	risesWithin = 3 * time.Minute
	fallsWithin = 4 * time.Minute
)

// scene follows the decisions on one application, and prints those that scaled it.
type scene struct {
	out   io.Writer
	api   *autoscaler.ClientWithResponses
	began time.Time
	told  map[string]bool
}

// underLoad plays the second scene.
func underLoad(ctx context.Context, out io.Writer, cluster *kube.Cluster, api *autoscaler.ClientWithResponses, balancer string) error {
	patch := func(ctx context.Context, body string) error {
		return cluster.Do(ctx, http.MethodPatch, burnerRule, "application/merge-patch+json", json.RawMessage(body), nil)
	}
	if err := patch(ctx, shortened); err != nil {
		return fmt.Errorf("shorten the times of the rule: %w", err)
	}
	defer func() { _ = patch(context.WithoutCancel(ctx), restored) }() // make samples restores it too
	s := &scene{out: out, api: api, began: time.Now(), told: map[string]bool{}}
	if _, err := s.news(ctx, false); err != nil { // what was decided before is no news
		return err
	}
	fmt.Fprintf(out, "\n5. %d clients ask %s for Fibonacci numbers as fast as they can; its cpuThreshold is 700 m per pod ...\n\n", clients, burner)
	load, end := context.WithCancel(ctx)
	defer end()
	var running sync.WaitGroup
	for range clients {
		running.Go(func() { burn(load, balancer+burnPath) })
	}
	err := s.until(ctx, risesWithin, "the CPU threshold has added a pod", func(d autoscaler.Decision) bool { return d.Trigger == "Threshold" && d.To > d.From })
	end()
	running.Wait()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n6. Quiet. (For this demo it may go down after 5 s and sleep after 60 s; usual are minutes.)\n\n")
	return s.until(ctx, fallsWithin, "it sleeps", func(d autoscaler.Decision) bool { return d.To == 0 })
}

// until prints the decisions that scaled the application until one is as wanted.
func (s *scene) until(ctx context.Context, within time.Duration, what string, wanted func(autoscaler.Decision) bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		fresh, err := s.news(ctx, true)
		if slices.ContainsFunc(fresh, wanted) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waiting until %s: %w", what, ctx.Err()), err)
		case <-tick.C:
		}
	}
}

// news are the decisions that scaled the application since the last call, oldest first.
func (s *scene) news(ctx context.Context, tell bool) ([]autoscaler.Decision, error) {
	ns, name, applied := namespace, burner, autoscaler.ListDecisionsParamsResult("applied")
	res, err := s.api.ListDecisionsWithResponse(ctx, &autoscaler.ListDecisionsParams{Namespace: &ns, Deployment: &name, Result: &applied})
	if err != nil {
		return nil, err
	}
	if res.JSON200 == nil {
		return nil, fmt.Errorf("decisions: %s %s", res.Status(), res.Body)
	}
	var fresh []autoscaler.Decision
	for _, d := range slices.Backward(res.JSON200.Items) {
		if s.told[d.Id] {
			continue
		}
		s.told[d.Id] = true
		fresh = append(fresh, d)
		if tell {
			fmt.Fprintf(s.out, "   %6.1f s  %s\n", time.Since(s.began).Seconds(), d.Summary)
		}
	}
	return fresh, nil
}

// burn asks again and again until ctx ends. An answer that does not come is asked for again: the
// scene waits for the decision, and says so when it never comes.
func burn(ctx context.Context, url string) {
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
		_ = res.Body.Close()
	}
}
