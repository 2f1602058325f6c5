// Package asleep is an application that a benchmark puts to sleep and wakes, by a request through the load balancer or by
// hand.
package asleep

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/internal/kube"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

const (
	system     = "nemesis-system"
	pollEvery  = 5 * time.Millisecond
	eachWithin = 60 * time.Second
	idle       = 86400 // seconds: it is put to sleep here alone
)

// Kind is a sample application.
type Kind struct {
	Namespace, Manifest         string // the manifest is a file or a kustomize folder
	Deployment, Object, Service string
	Port                        int
	Path                        string         // that answers once it can work
	Spec                        map[string]any // more of the CustomAutoscaler's
}

// Application is what is woken, and the ways to it.
type Application struct {
	Kind
	Cluster  *kube.Cluster
	api      *autoscaler.ClientWithResponses
	balancer string
	client   *http.Client // to the balancer, kept alive
	prefix   string       // of its own: other applications may have the usual one
	path     string       // of its CustomAutoscaler
	times    int          // that it was put to sleep
}

// Install puts an application into a namespace of its own, asleep and not to be put to sleep by Nemesis itself: the benchmark does that.
func Install(ctx context.Context, cluster *kube.Cluster, k Kind) (*Application, error) {
	raw, err := read(ctx, k.Manifest)
	if err != nil {
		return nil, err
	}
	prefix := "/" + k.Namespace
	ns := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, k.Namespace)
	if _, err := kube.Kubectl(ctx, bytes.NewBufferString(ns), "apply", "-f", "-"); err != nil {
		return nil, err
	}
	if _, err := kube.Kubectl(ctx, strings.NewReader(raw), "-n", k.Namespace, "apply", "-f", "-"); err != nil {
		return nil, err
	}
	spec := map[string]any{
		"idleTime": idle,
		"targetDeployments": []map[string]any{
			{"name": k.Deployment, "apiPrefix": prefix, "port": strconv.Itoa(k.Port), "service": k.Service},
		},
	}
	maps.Copy(spec, k.Spec)
	path := "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/" + k.Namespace + "/customautoscalers/" + k.Object
	if err := cluster.Do(ctx, http.MethodPatch, path, "application/merge-patch+json", map[string]any{"spec": spec}, nil); err != nil {
		return nil, err
	}
	a := &Application{Kind: k, Cluster: cluster, client: &http.Client{Timeout: eachWithin}, prefix: prefix, path: path}
	if a.balancer, err = cluster.ServiceURL(ctx, system, "load-balancer", 80, "NEMESIS_LOAD_BALANCER_URL"); err != nil {
		return nil, err
	}
	controller, err := cluster.ServiceURL(ctx, system, "autoscaler-controller", 8080, "NEMESIS_CONTROLLER_URL")
	if err != nil {
		return nil, err
	}
	reader, err := cluster.Member(ctx, k.Namespace, "reader", "view")
	if err != nil {
		return nil, err
	}
	a.api, err = autoscaler.NewClientWithResponses(controller, autoscaler.WithRequestEditorFn(reader.Sign))
	return a, err
}

func read(ctx context.Context, manifest string) (string, error) {
	info, err := os.Stat(manifest)
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return kube.Kubectl(ctx, nil, "kustomize", manifest)
	}
	raw, err := os.ReadFile(manifest) //nolint:gosec // G304: the caller names it
	return string(raw), err
}

// Remove removes it with its namespace.
func (a *Application) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, eachWithin)
	defer cancel()
	_, err := kube.Kubectl(ctx, nil, "delete", "namespace", a.Namespace, "--wait=true")
	return err
}

// Sleep scales the application to zero and waits until no pod is left and the controller says so. It
// begins when the controller has heard that the last request is over: one that waits would have it
// scaled up again, and rightly so.
func (a *Application) Sleep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, eachWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last string
	scaled := false
	for {
		res, err := a.api.GetApplicationWithResponse(ctx, a.Namespace, a.Deployment)
		switch {
		case err != nil:
			last = err.Error()
		case res.JSON200 == nil:
			last = res.Status()
		case !scaled && res.JSON200.Traffic.Waiting+res.JSON200.Traffic.InFlight > 0:
			last = "it has requests"
		case !scaled:
			if err := a.Cluster.Scale(ctx, a.Namespace, a.Deployment, 0); err != nil {
				return err
			}
			if err := a.agree(ctx); err != nil {
				return err
			}
			scaled = true
			continue
		case res.JSON200.State == autoscaler.ApplicationStateAsleep && len(res.JSON200.Pods) == 0:
			return nil
		default:
			last = fmt.Sprintf("%s with %d replicas, pods %+v", res.JSON200.State, res.JSON200.Replicas, res.JSON200.Pods)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s/%s does not fall asleep: %w (last seen: %s)", a.Namespace, a.Deployment, ctx.Err(), last)
		case <-tick.C:
		}
	}
}

// agree has the controller forget that somebody sets back what it scaled: the third time in a row it would let go.
// It does so when what is wanted changes, however little.
func (a *Application) agree(ctx context.Context) error {
	a.times++
	change := map[string]any{"spec": map[string]any{"idleTime": idle - a.times%2}}
	return a.Cluster.Do(ctx, http.MethodPatch, a.path, "application/merge-patch+json", change, nil)
}

// Through sends one request through the balancer, and returns the milliseconds to its first byte.
func (a *Application) Through(ctx context.Context) (float64, error) {
	var first time.Time
	trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { first = time.Now() }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, a.balancer+a.prefix+a.Path, nil)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	res, err := a.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the balancer answered %s: %s", res.Status, body)
	}
	return milliseconds(first.Sub(begin)), nil
}

// Floor scales the application up and polls its pod, and returns the milliseconds to the first
// byte of the first answer.
func (a *Application) Floor(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, eachWithin)
	defer cancel()
	watch, err := a.Cluster.Open(ctx, http.MethodGet, "/api/v1/namespaces/"+a.Namespace+"/pods?watch=true", "application/json", nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = watch.Body.Close() }()
	begin := time.Now()
	if err := a.Cluster.Scale(ctx, a.Namespace, a.Deployment, 1); err != nil {
		return 0, err
	}
	address, err := podAddress(json.NewDecoder(watch.Body))
	if err != nil {
		return 0, err
	}
	return poll(ctx, begin, "http://"+net.JoinHostPort(address, strconv.Itoa(a.Port))+a.Path)
}

// podAddress reads a watch of pods until one has an address.
func podAddress(events *json.Decoder) (string, error) {
	for {
		var event struct {
			Object struct {
				Metadata struct {
					DeletionTimestamp string `json:"deletionTimestamp"`
				} `json:"metadata"`
				Status struct {
					PodIP string `json:"podIP"`
				} `json:"status"`
			} `json:"object"`
		}
		if err := events.Decode(&event); err != nil {
			return "", fmt.Errorf("watch of pods: %w", err)
		}
		if event.Object.Status.PodIP != "" && event.Object.Metadata.DeletionTimestamp == "" {
			return event.Object.Status.PodIP, nil
		}
	}
}

// poll asks every 5 ms, on a new connection each time, until the first good answer.
func poll(ctx context.Context, begin time.Time, url string) (float64, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		var first time.Time
		trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { first = time.Now() }}
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, url, nil)
		if err != nil {
			return 0, err
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return milliseconds(first.Sub(begin)), nil
			}
			err = errors.New(res.Status)
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s does not answer: %w", url, err)
		case <-tick.C:
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
