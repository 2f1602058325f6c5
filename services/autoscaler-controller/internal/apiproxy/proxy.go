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
	client, token := p.caller, in.Header.Get("Authorization")
	if token == "" {
		if !p.anonymous || in.Method != http.MethodGet {
			return nil, fault.New(fault.Unauthenticated,
				"send your Kubernetes token in the header Authorization, as: Bearer TOKEN (kubectl create token NAME makes one)")
		}
		client = p.self
	}
	ctx, cancel := context.WithTimeout(in.Context(), 6*kube.CallTimeout)
	defer cancel()
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
		return nil, fault.New(fault.Unavailable, "the Kubernetes API server does not answer").Because(err).After(time.Second)
	}
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
