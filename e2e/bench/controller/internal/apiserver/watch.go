package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const watchAgain = 100 * time.Millisecond

// Scaled is a Deployment as a watch shows it.
type Scaled struct {
	Namespace, Name string
	Replicas        int
}

type deploymentEvent struct {
	Object struct {
		Metadata struct {
			Namespace, Name string
		}
		Spec struct {
			Replicas int
		}
	}
}

// WatchDeployments calls seen for every change of a Deployment from now on, until ctx ends. The watch
// stands when it returns. Where the server ends it, it begins anew: what changed meanwhile is not seen.
func (c *Client) WatchDeployments(ctx context.Context, seen func(Scaled)) error {
	stream, err := c.watch(ctx)
	if err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			follow(stream, seen)
			for stream, err = c.watch(ctx); err != nil && ctx.Err() == nil; stream, err = c.watch(ctx) {
				select {
				case <-time.After(watchAgain):
				case <-ctx.Done():
				}
			}
		}
		if stream != nil {
			_ = stream.Close()
		}
	}()
	return nil
}

func (c *Client) watch(ctx context.Context) (io.ReadCloser, error) {
	const path = "/apis/apps/v1/deployments"
	raw, err := c.Do(ctx, Call{Method: http.MethodGet, Path: path + "?limit=1"})
	if err != nil {
		return nil, err
	}
	var list struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("list of Deployments: %w", err)
	}
	answer, err := c.send(ctx, Call{Method: http.MethodGet, Path: path + "?watch=true&resourceVersion=" + list.Metadata.ResourceVersion})
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("watch of Deployments: status %d", answer.StatusCode)
	}
	return answer.Body, nil
}

// follow reads a watch to its end.
func follow(stream io.ReadCloser, seen func(Scaled)) {
	defer func() { _ = stream.Close() }()
	events := json.NewDecoder(stream)
	for {
		var e deploymentEvent
		if events.Decode(&e) != nil {
			return
		}
		o := e.Object
		seen(Scaled{Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, Replicas: o.Spec.Replicas})
	}
}
