package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/asleep"
)

// place is where the sidecar's container stands among a pod's.
type place struct {
	name  string // in the table
	key   string // in the file, and of the namespace
	move  func(podSpec object, sidecar object)
	spec  object // of the CustomAutoscaler
	later bool   // it is put into the pod that has answered
}

type object = map[string]any

// The places. The first two are the application as people have it: without a sidecar, and with the one that comes by
// itself; the others are those that there are besides.
var places = []place{
	{name: "without a sidecar", key: "none"},
	{name: "the injected one: last", key: "injected", spec: object{"sidecar": object{}}},
	{name: "the first container", key: "first", move: func(pod, sidecar object) {
		containers, _ := pod["containers"].([]any)
		pod["containers"] = slices.Concat([]any{sidecar}, containers)
	}},
	{name: "a native sidecar", key: "native", move: func(pod, sidecar object) {
		sidecar["restartPolicy"] = "Always"
		pod["initContainers"] = []any{sidecar}
	}},
	{name: "once it has answered", key: "later", move: func(object, object) {}, later: true},
}

const (
	without      = 0
	injected     = 1
	container    = "nemesis-sidecar"
	withSidecar  = "e2e/apps/fibonacci-with-sidecar"
	plain        = "e2e/apps/fibonacci/k8s.yaml"
	mergePatch   = "application/merge-patch+json"
	dryRunAsking = "?dryRun=All"
)

func (p place) kind() asleep.Kind {
	k := asleep.Kind{
		Namespace: "nemesis-bench-sidecar-" + p.key, Manifest: plain, Deployment: "fibonacci-deployment", Object: "fibonacci",
		Service: "fibonacci-service", Port: 5001, Path: "/healthz", Spec: p.spec,
	}
	if p.move != nil {
		k.Manifest = withSidecar
	}
	return k
}

// standing is an application with the sidecar in a place.
type standing struct {
	*asleep.Application
	place

	sidecar object // the container
}

// arrange moves the sidecar of a Deployment that has it last, as the component puts it in.
func (s *standing) arrange(ctx context.Context) error {
	if s.move == nil {
		return nil
	}
	path := "/apis/apps/v1/namespaces/" + s.Namespace + "/deployments/" + s.Deployment
	var deployment object
	if err := s.Cluster.Do(ctx, http.MethodGet, path, "application/json", nil, &deployment); err != nil {
		return err
	}
	pod, err := dig(deployment, "spec", "template", "spec")
	if err != nil {
		return err
	}
	if s.sidecar, err = take(pod); err != nil {
		return err
	}
	s.move(pod, s.sidecar)
	return s.Cluster.Do(ctx, http.MethodPut, path, "application/json", deployment, nil)
}

// take takes the sidecar out of a pod's containers.
func take(pod object) (object, error) {
	containers, _ := pod["containers"].([]any)
	for i, c := range containers {
		if c, ok := c.(object); ok && c["name"] == container {
			pod["containers"] = slices.Delete(slices.Clone(containers), i, i+1)
			return c, nil
		}
	}
	return nil, fmt.Errorf("the pod has no container %s", container)
}

func dig(o object, path ...string) (object, error) {
	for _, key := range path {
		inner, ok := o[key].(object)
		if !ok {
			return nil, fmt.Errorf("there is no %s", key)
		}
		o = inner
	}
	return o, nil
}

// ephemeral is the container as it may be put into a pod that runs: without resources.
func ephemeral(sidecar object) object {
	out := object{}
	for key, value := range sidecar {
		if key != "resources" {
			out[key] = value
		}
	}
	return out
}

// follow puts the sidecar into the pod that has answered, where that is its place.
func (s *standing) follow(ctx context.Context) error {
	if !s.later {
		return nil
	}
	pod, err := s.pod(ctx)
	if err != nil {
		return err
	}
	path := "/api/v1/namespaces/" + s.Namespace + "/pods/" + pod.name + "/ephemeralcontainers"
	change := object{"spec": object{"ephemeralContainers": []any{ephemeral(s.sidecar)}}}
	return s.Cluster.Do(ctx, http.MethodPatch, path, "application/strategic-merge-patch+json", change, nil)
}

// pod is one that runs.
type pod struct{ name, address string }

func (s *standing) pod(ctx context.Context) (pod, error) {
	var list struct {
		Items []struct {
			Metadata struct {
				Name              string `json:"name"`
				DeletionTimestamp string `json:"deletionTimestamp"`
			} `json:"metadata"`
			Status struct {
				PodIP string `json:"podIP"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := s.Cluster.Do(ctx, http.MethodGet, "/api/v1/namespaces/"+s.Namespace+"/pods", "application/json", nil, &list); err != nil {
		return pod{}, err
	}
	for _, p := range list.Items {
		if p.Metadata.DeletionTimestamp == "" && p.Status.PodIP != "" {
			return pod{p.Metadata.Name, p.Status.PodIP}, nil
		}
	}
	return pod{}, fmt.Errorf("%s has no pod", s.Namespace)
}
