// Package apiproxy passes the calls of people on custom resources to the API server, with their own token, so
// that it is the API server which judges them. Which calls those are is httpapi's matter; what the controller
// itself asks of the API server does not go through here.
package apiproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// maxAnswer bounds an answer of the API server, in bytes.
const maxAnswer = 32 << 20

// Proxy passes calls on custom resources to the API server.
type Proxy struct {
	base      *url.URL
	caller    *http.Client // no credentials of its own
	self      *http.Client // the controller's own account
	anonymous bool
}

// New makes it. With anonymous, a caller without a token may read with the controller's own
// account; nobody ever writes with it.
func New(c *kube.Clients, anonymous bool) (*Proxy, error) {
	base, _, err := rest.DefaultServerUrlFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	caller, err := rest.HTTPClientFor(rest.AnonymousClientConfig(c.Config))
	if err != nil {
		return nil, fmt.Errorf("client of the API server: %w", err)
	}
	self, err := rest.HTTPClientFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("client of the API server: %w", err)
	}
	return &Proxy{base: base, caller: caller, self: self, anonymous: anonymous}, nil
}

// Do passes a call on and returns the API server's answer, its body bounded. The path and query of
// the request's URL, its Authorization, Content-Type and body count; nothing else of it is sent.
// Errors are those of pkg/fault: Unauthenticated, Unavailable, TooLarge.
func (p *Proxy) Do(in *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(in.Context(), 6*kube.CallTimeout)
	defer cancel()
	answer, err := p.send(ctx, in)
	if err != nil {
		return nil, err
	}
	return whole(answer)
}

// Watch passes a watch on, and returns the API server's answer as it comes: its head came in time, its body goes on
// until the request's context ends or the API server ends it. One that refuses the watch is whole, as that of Do.
// Errors are those of Do.
func (p *Proxy) Watch(in *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(in.Context())
	patience := time.AfterFunc(6*kube.CallTimeout, cancel)
	answer, err := p.send(ctx, in)
	if !patience.Stop() && err == nil { // it was cancelled just as the head came
		_ = answer.Body.Close()
		err = unanswered(context.DeadlineExceeded)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer cancel()
		return whole(answer)
	}
	answer.Body = &stream{answer.Body, cancel}
	return answer, nil
}

// stream is a body whose request ends with it.
type stream struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close ends the request.
func (s *stream) Close() error {
	s.cancel()
	return s.ReadCloser.Close() //nolint:wrapcheck // nobody looks
}

// send sends a call with the caller's token, or for readers with the controller's own account.
func (p *Proxy) send(ctx context.Context, in *http.Request) (*http.Response, error) {
	client, token := p.caller, in.Header.Get("Authorization")
	if token == "" {
		if !p.anonymous || in.Method != http.MethodGet {
			return nil, fault.New(fault.Unauthenticated,
				"send your Kubernetes token in the header Authorization, as: Bearer TOKEN (kubectl create token NAME makes one)")
		}
		client = p.self
	}
	out := in.Clone(ctx)
	out.RequestURI, out.Host = "", ""
	out.URL.Scheme, out.URL.Host = p.base.Scheme, p.base.Host
	out.Header = http.Header{"Accept": {"application/json"}}
	for _, name := range []string{"Authorization", "Content-Type"} {
		if v := in.Header.Get(name); v != "" {
			out.Header.Set(name, v)
		}
	}
	answer, err := client.Do(out)
	if err != nil {
		return nil, unanswered(err)
	}
	return answer, nil
}

func unanswered(err error) error {
	return fault.New(fault.Unavailable, "the Kubernetes API server does not answer").Because(err).After(time.Second)
}

// whole reads an answer to its end.
func whole(answer *http.Response) (*http.Response, error) {
	defer func() { _ = answer.Body.Close() }()
	body, err := httpclient.ReadAll(answer.Body, maxAnswer)
	if errors.Is(err, httpclient.ErrTooLarge) {
		return nil, fault.New(fault.TooLarge, "the answer is larger than %d bytes: ask for less with limit", maxAnswer)
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the Kubernetes API server broke off its answer").Because(err).After(time.Second)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}
