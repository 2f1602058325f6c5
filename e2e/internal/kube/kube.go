// Package kube is what the demo and the benchmarks need of a Kubernetes cluster: an authorised
// HTTP client for its API, and a way to reach a Service from here. It takes its connection from
// kubectl, so that every kubeconfig works, and knows no Kubernetes types.
package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"time"
)

// Cluster is one cluster's API.
type Cluster struct {
	Server string // the API server's URL
	HTTP   *http.Client
	tls    *tls.Config
}

// Anonymous is a transport that trusts the API server and brings no identity.
func (c *Cluster) Anonymous() http.RoundTripper {
	settings := c.tls.Clone()
	settings.Certificates = nil
	return &http.Transport{TLSClientConfig: settings}
}

// StatusError is a refusal of the API server.
type StatusError struct {
	Method, Path string
	Code         int
	Body         string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Code, e.Body)
}

// NotFound tells whether err says that there is no such object.
func NotFound(err error) bool {
	status, ok := errors.AsType[*StatusError](err)
	return ok && status.Code == http.StatusNotFound
}

// config is the part of a kubeconfig that is used here, as kubectl prints it.
type config struct {
	Clusters []struct {
		Cluster struct {
			Server   string `json:"server"`
			CA       string `json:"certificate-authority-data"`
			Insecure bool   `json:"insecure-skip-tls-verify"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		User struct {
			Token string `json:"token"`
			Cert  string `json:"client-certificate-data"`
			Key   string `json:"client-key-data"`
		} `json:"user"`
	} `json:"users"`
}

// Connect uses the current context of kubectl. A kubeconfig whose user is a credential plugin is
// refused with a word on what to do.
func Connect(ctx context.Context) (*Cluster, error) {
	out, err := exec.CommandContext(ctx, "kubectl", "config", "view", "--raw", "--minify", "--flatten", "-o", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("kubectl config view: %w (is KUBECONFIG set, is kubectl on the PATH?)", explain(err))
	}
	var c config
	if err := json.Unmarshal(out, &c); err != nil {
		return nil, fmt.Errorf("kubectl config view: %w", err)
	}
	if len(c.Clusters) == 0 || len(c.Users) == 0 {
		return nil, errors.New("the kubeconfig has no current context")
	}
	cluster, user := c.Clusters[0].Cluster, c.Users[0].User
	settings := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: cluster.Insecure} //nolint:gosec // G402: as the kubeconfig says
	if cluster.CA != "" {
		pem, err := base64.StdEncoding.DecodeString(cluster.CA)
		if err != nil {
			return nil, fmt.Errorf("certificate-authority-data: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		settings.RootCAs.AppendCertsFromPEM(pem)
	}
	switch {
	case user.Cert != "":
		pair, err := keyPair(user.Cert, user.Key)
		if err != nil {
			return nil, err
		}
		settings.Certificates = []tls.Certificate{pair}
	case user.Token == "":
		return nil, errors.New("the kubeconfig's user has neither a token nor a certificate; run `kubectl proxy` and point KUBECONFIG at it")
	}
	transport := &http.Transport{TLSClientConfig: settings, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute}
	return &Cluster{Server: cluster.Server, tls: settings, HTTP: &http.Client{Transport: bearer{user.Token, transport}}}, nil
}

// Do calls the API: body is marshalled when not nil, the answer goes into out when not nil.
func (c *Cluster) Do(ctx context.Context, method, path, contentType string, body, out any) error {
	res, err := c.Open(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if out == nil {
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// Open calls the API and leaves the answer's body to the caller: a watch, or a log.
func (c *Cluster) Open(ctx context.Context, method, path, contentType string, body any) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Server+path, reader)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		_ = res.Body.Close()
		return nil, &StatusError{Method: method, Path: path, Code: res.StatusCode, Body: string(text)}
	}
	return res, nil
}

// Scale sets the replica count of a Deployment through its scale subresource.
func (c *Cluster) Scale(ctx context.Context, namespace, deployment string, replicas int) error {
	path := fmt.Sprintf("/apis/apps/v1/namespaces/%s/deployments/%s/scale", namespace, deployment)
	return c.Do(ctx, http.MethodPatch, path, "application/merge-patch+json", map[string]any{"spec": map[string]any{"replicas": replicas}}, nil)
}

// Kubectl runs kubectl with manifest on its standard input.
func Kubectl(ctx context.Context, manifest io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", args...) //nolint:gosec // G204: the arguments are ours
	cmd.Stdin = manifest
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("kubectl %v: %w", args, explain(err))
	}
	return string(out), nil
}

// explain adds what the program wrote on standard error.
func explain(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}

func keyPair(cert, key string) (tls.Certificate, error) {
	certPEM, err := base64.StdEncoding.DecodeString(cert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("client-certificate-data: %w", err)
	}
	keyPEM, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("client-key-data: %w", err)
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// bearer sends the token with every request.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(r)
}
