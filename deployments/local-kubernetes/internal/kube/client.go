// Package kube asks the API server of the local cluster how it and its objects fare. It is a plain
// HTTPS client: the questions are few, and a client library would double the time this program
// takes to build.
package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// Files says where the administrator's credentials are.
type Files struct {
	Authority, Certificate, Key string
}

// Client speaks to one API server.
type Client struct {
	base string
	http *http.Client
}

// NewClient makes a client of the API server at base (https://host:port).
func NewClient(base string, files Files) (*Client, error) {
	authority, err := os.ReadFile(files.Authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New(files.Authority + " holds no certificate")
	}
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		// The node is on this machine: whatever proxy the environment names does not know it.
		Proxy: nil,
		TLSClientConfig: &tls.Config{
			RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13,
		},
		ForceAttemptHTTP2: true,
	}
	return &Client{base: base, http: &http.Client{Transport: transport, Timeout: 10 * time.Second}}, nil
}

// get answers the body of a 200, and an error that carries the answer otherwise.
func (c *Client) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	const limit = 8 << 20
	body, err := io.ReadAll(io.LimitReader(response.Body, limit))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %s", path, response.Status, firstBytes(body))
	}
	return body, nil
}

func firstBytes(body []byte) string {
	const most = 400
	text := strings.TrimSpace(string(body))
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// Ready asks whether the API server takes requests.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.get(ctx, "/readyz")
	return err
}

// NodeReady asks whether the node takes pods.
func (c *Client) NodeReady(ctx context.Context, name string) error {
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := c.read(ctx, "/api/v1/nodes/"+name, &node); err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" {
			if condition.Status == "True" {
				return nil
			}
			return fmt.Errorf("node %s: %s", name, condition.Message)
		}
	}
	return fmt.Errorf("node %s has not reported yet", name)
}

// DeploymentAvailable asks whether all replicas of a Deployment serve.
func (c *Client) DeploymentAvailable(ctx context.Context, namespace, name string) error {
	var deployment struct {
		Spec   struct{ Replicas int }
		Status struct{ AvailableReplicas, UpdatedReplicas int }
	}
	if err := c.read(ctx, "/apis/apps/v1/namespaces/"+namespace+"/deployments/"+name, &deployment); err != nil {
		return err
	}
	if deployment.Status.AvailableReplicas < deployment.Spec.Replicas || deployment.Spec.Replicas == 0 {
		return fmt.Errorf("%s/%s: %d of %d pods are available", namespace, name,
			deployment.Status.AvailableReplicas, deployment.Spec.Replicas)
	}
	return nil
}

// MetricsOf asks whether the resource metrics API knows the node.
func (c *Client) MetricsOf(ctx context.Context, node string) error {
	_, err := c.get(ctx, "/apis/metrics.k8s.io/v1beta1/nodes/"+node)
	return err
}

func (c *Client) read(ctx context.Context, path string, into any) error {
	body, err := c.get(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}
