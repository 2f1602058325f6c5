package apiserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// The types of a body.
const (
	JSON       = "application/json"
	YAML       = "application/yaml"
	MergePatch = "application/merge-patch+json"
	apply      = "application/apply-patch+yaml"
)

const (
	connections = 64
	callTimeout = 30 * time.Second
	maxComplain = 300 // bytes of a refusal that are shown
)

// Client speaks to the API server in JSON.
type Client struct {
	base, token string
	http        *http.Client
}

func newClient(base, token string, authority []byte) (*Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New("the API server's certificate cannot be read")
	}
	return &Client{base: base, token: token, http: &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: connections, MaxConnsPerHost: 2 * connections,
	}}}, nil
}

// Call is one request.
type Call struct {
	Method, Path string
	Type         string // of the body; "" is JSON
	Body         []byte
}

// StatusError is a refusal.
type StatusError struct {
	Call    Call
	Code    int
	Message string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: status %d: %s", e.Call.Method, e.Call.Path, e.Code, e.Message)
}

// IsStatus tells whether an error is a refusal with this code.
func IsStatus(err error, code int) bool {
	var refusal *StatusError
	return errors.As(err, &refusal) && refusal.Code == code
}

// Do sends a request and returns the answer's body.
func (c *Client) Do(ctx context.Context, call Call) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := c.send(ctx, call)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", call.Method, call.Path, err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return nil, &StatusError{Call: call, Code: answer.StatusCode, Message: string(body[:min(len(body), maxComplain)])}
	}
	return body, nil
}

func (c *Client) send(ctx context.Context, call Call) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, call.Method, c.base+call.Path, bytes.NewReader(call.Body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", JSON)
	if call.Type != "" {
		r.Header.Set("Content-Type", call.Type)
	}
	return c.http.Do(r)
}

// Create makes an object; one that is there already is as good.
func (c *Client) Create(ctx context.Context, path string, body []byte) error {
	_, err := c.Do(ctx, Call{Method: http.MethodPost, Path: path, Body: body})
	if IsStatus(err, http.StatusConflict) {
		return nil
	}
	return err
}

// Patch merges a patch into an object.
func (c *Client) Patch(ctx context.Context, path string, body []byte) error {
	_, err := c.Do(ctx, Call{Method: http.MethodPatch, Path: path, Type: MergePatch, Body: body})
	return err
}

// Apply applies what a field manager wants of an object (server-side), whoever else wants it.
func (c *Client) Apply(ctx context.Context, path, manager string, body []byte) error {
	path += "?force=true&fieldManager=" + url.QueryEscape(manager)
	_, err := c.Do(ctx, Call{Method: http.MethodPatch, Path: path, Type: apply, Body: body})
	return err
}

// Parallel calls do for 0 to n-1, many at a time, and ends early with the first error.
func Parallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var running sync.WaitGroup
	for range connections / 2 {
		running.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	running.Wait()
	return context.Cause(ctx)
}
