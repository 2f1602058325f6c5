package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

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
// stands when it returns.
func (c *Client) WatchDeployments(ctx context.Context, seen func(Scaled)) error {
	const path = "/apis/apps/v1/deployments"
	raw, err := c.Do(ctx, Call{Method: http.MethodGet, Path: path + "?limit=1"})
	if err != nil {
		return err
	}
	var list struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("list of Deployments: %w", err)
	}
	answer, err := c.send(ctx, Call{Method: http.MethodGet, Path: path + "?watch=true&resourceVersion=" + list.Metadata.ResourceVersion}) //nolint:bodyclose // closed when the watch ends
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()
		return fmt.Errorf("watch of Deployments: status %d", answer.StatusCode)
	}
	go func() {
		defer func() { _ = answer.Body.Close() }()
		events := json.NewDecoder(answer.Body)
		for {
			var e deploymentEvent
			if events.Decode(&e) != nil {
				return // ctx has ended
			}
			o := e.Object
			seen(Scaled{Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, Replicas: o.Spec.Replicas})
		}
	}()
	return nil
}
