package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// comes waits until a pod of the application would get the sidecar by itself: the controller must have seen that it
// is asked for, and the API server must know the webhook.
func (s *standing) comes(ctx context.Context) error {
	if s.spec == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		there, err := s.would(ctx)
		if there {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("no sidecar comes to %s by itself: is the webhook in the cluster (kustomize/components/webhook)?", s.Namespace), err)
		case <-tick.C:
		}
	}
}

// would asks the API server for the pod that it would make.
func (s *standing) would(ctx context.Context) (bool, error) {
	var deployment object
	path := "/apis/apps/v1/namespaces/" + s.Namespace + "/deployments/" + s.Deployment
	if err := s.Cluster.Do(ctx, http.MethodGet, path, "application/json", nil, &deployment); err != nil {
		return false, err
	}
	template, err := dig(deployment, "spec", "template")
	if err != nil {
		return false, err
	}
	labels := object{"pod-template-hash": "5d9c5b8f6d"}
	if own, err := dig(template, "metadata", "labels"); err == nil {
		maps.Copy(labels, own)
	}
	owner := object{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": s.Deployment + "-5d9c5b8f6d", "uid": "0", "controller": true}
	tried := object{
		"apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
		"metadata": object{"generateName": s.Deployment + "-5d9c5b8f6d-", "labels": labels, "ownerReferences": []any{owner}},
	}
	var made struct {
		Spec struct {
			Containers []struct {
				Name string `json:"name"`
			} `json:"containers"`
		} `json:"spec"`
	}
	err = s.Cluster.Do(ctx, http.MethodPost, "/api/v1/namespaces/"+s.Namespace+"/pods"+dryRunAsking, "application/json", tried, &made)
	return slices.ContainsFunc(made.Spec.Containers, func(c struct {
		Name string `json:"name"`
	}) bool {
		return c.Name == container
	}), err
}
