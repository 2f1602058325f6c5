package controller

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/access"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
)

var _ access.Asker = (*Client)(nil)

// judgeAgain is when to come back while nobody can say what a caller may.
const judgeAgain = time.Second

// ReviewAccess asks the controller what the bearer of a token may do. The error is a *fault.Error.
func (c *Client) ReviewAccess(ctx context.Context, q access.Question) (access.Answer, error) {
	body := autoscaler.AccessReview{Token: q.Token, Verb: autoscaler.AccessReviewVerb(q.Verb), Resource: autoscaler.AccessReviewResource(q.Resource)}
	if len(q.Namespaces) > 0 {
		body.Namespaces = &q.Namespaces
	}
	answer, err := c.api.ReviewAccessWithResponse(ctx, body)
	if err != nil {
		c.counted("access", err)
		return access.Answer{}, fault.New(fault.Unavailable,
			"the autoscaler-controller, which says what callers may do, cannot be reached").After(judgeAgain).Because(err)
	}
	if a := answer.JSON200; a != nil {
		c.counted("access", nil)
		return access.Answer{
			Authenticated: a.Authenticated, User: value(a.User), Reason: value(a.Reason), Everywhere: a.Everywhere, Namespaces: a.Namespaces,
		}, nil
	}
	err = refused(answer.StatusCode(), answer.Body)
	c.counted("access", err)
	return access.Answer{}, notJudged(answer.StatusCode(), answer.Body, err)
}

// notJudged says why a caller could not be judged. That is never the caller's fault.
func notJudged(status int, body []byte, err error) *fault.Error {
	refusal, _ := fault.Read(status, body)
	after := max(refusal.RetryAfter, judgeAgain)
	switch {
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return fault.New(fault.Unavailable, "the autoscaler-controller is of an older version, which cannot say what callers may do: bring it up to date, "+
			"or set authentication to optional here until then").After(after).Because(err)
	case errors.Is(err, errNotLet):
		return fault.New(fault.Unavailable, "the autoscaler-controller does not tell this load balancer what callers may do: it refuses this one itself; GET /readyz here has why").
			After(after).Because(err)
	case status == http.StatusTooManyRequests:
		return fault.New(fault.TooMany, "the autoscaler-controller is asked about more callers than it answers").After(after).Because(err)
	}
	return fault.New(fault.Unavailable, "the autoscaler-controller cannot say now what callers may do").After(after).Because(err)
}

// IdentityKeys asks for the keys by which the tokens of services are verified.
func (c *Client) IdentityKeys(ctx context.Context) (identity.Published, error) {
	answer, err := c.api.GetIdentityKeysWithResponse(ctx)
	if err == nil && answer.JSON200 == nil {
		err = refused(answer.StatusCode(), answer.Body)
	}
	c.counted("keys", err)
	if err != nil {
		return identity.Published{}, err
	}
	text, err := json.Marshal(map[string]any{"keys": answer.JSON200.Keys})
	return identity.Published{Issuer: answer.JSON200.Issuer, JWKS: text}, err
}
