// Package judge asks the autoscaler-controller about those who call a collector: by which keys sidecars'
// tokens are verified, and what people may. The sidecar itself judges nobody.
package judge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/access"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
)

// The bounds of an exchange, and when to come back while nobody can say what a caller may.
const (
	timeout   = 5 * time.Second
	maxAnswer = 1 << 20
	again     = time.Second
)

// Controller is who is asked.
type Controller struct {
	api autoscaler.ClientWithResponsesInterface
}

var _ access.Asker = (*Controller)(nil)

// New makes one; wrap goes around every exchange, and the authorities verify the controller. It connects to nothing yet.
func New(url string, wrap func(http.RoundTripper) http.RoundTripper, authorities httpclient.Authorities) (*Controller, error) {
	api, err := autoscaler.NewClientWithResponses(url, autoscaler.WithHTTPClient(httpclient.New(httpclient.Options{
		MaxAnswer: maxAnswer, Timeout: timeout, Wrap: wrap, Authorities: authorities,
	})))
	if err != nil {
		return nil, fmt.Errorf("controller at %q: %w", url, err)
	}
	return &Controller{api}, nil
}

// IdentityKeys asks for the keys by which the tokens of services are verified.
func (c *Controller) IdentityKeys(ctx context.Context) (identity.Published, error) {
	answer, err := c.api.GetIdentityKeysWithResponse(ctx)
	if err != nil {
		return identity.Published{}, err
	}
	if answer.JSON200 == nil {
		refusal, _ := fault.Read(answer.StatusCode(), answer.Body)
		return identity.Published{}, refusal
	}
	text, err := json.Marshal(map[string]any{"keys": answer.JSON200.Keys})
	return identity.Published{Issuer: answer.JSON200.Issuer, JWKS: text}, err
}

// ReviewAccess asks what the bearer of a token may do. The error is a *fault.Error, and never the caller's fault.
func (c *Controller) ReviewAccess(ctx context.Context, q access.Question) (access.Answer, error) {
	body := autoscaler.AccessReview{Token: q.Token, Verb: autoscaler.AccessReviewVerb(q.Verb), Resource: autoscaler.AccessReviewResource(q.Resource)}
	if len(q.Namespaces) > 0 {
		body.Namespaces = &q.Namespaces
	}
	answer, err := c.api.ReviewAccessWithResponse(ctx, body)
	if err != nil {
		return access.Answer{}, fault.New(fault.Unavailable,
			"the autoscaler-controller, which says what callers may do, cannot be reached").After(again).Because(err)
	}
	if answer.JSON200 == nil {
		refusal, _ := fault.Read(answer.StatusCode(), answer.Body)
		return access.Answer{}, fault.New(fault.Unavailable,
			"the autoscaler-controller does not say what callers may do: it answered %d", answer.StatusCode()).After(max(refusal.RetryAfter, again)).Because(refusal)
	}
	a := access.Answer{Authenticated: answer.JSON200.Authenticated, Everywhere: answer.JSON200.Everywhere, Namespaces: answer.JSON200.Namespaces}
	if user := answer.JSON200.User; user != nil {
		a.User = *user
	}
	if reason := answer.JSON200.Reason; reason != nil {
		a.Reason = *reason
	}
	return a, nil
}
