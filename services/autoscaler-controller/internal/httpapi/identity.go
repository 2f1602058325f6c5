package httpapi

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

type rawMessage = json.RawMessage

var errNoGuard = fault.New(fault.Unavailable, "this controller judges no tokens")

// ReviewAccess says what the bearer of a token may do.
func (a *api) ReviewAccess(ctx context.Context, in autoscaler.ReviewAccessRequestObject) (autoscaler.ReviewAccessResponseObject, error) {
	if a.Guard == nil {
		return nil, errNoGuard
	}
	by := a.granted(ctx).Caller
	ctx = fairshare.For(ctx, by.Name+"/"+by.Pod) // whose the tokens are that come to it, it looks to itself
	review, err := a.Guard.Review(ctx, in.Body.Token, rightTo(string(in.Body.Verb), string(in.Body.Resource)), value(in.Body.Namespaces, nil))
	if err != nil {
		return nil, err
	}
	return autoscaler.ReviewAccess200JSONResponse{
		Authenticated: review.Authenticated, User: optional(review.User), Everywhere: review.Everywhere,
		Namespaces: orEmpty(review.Namespaces), Reason: optional(review.Reason),
	}, nil
}

// rightTo is a right as the contract names it.
func rightTo(verb, resource string) access.Right {
	if resource == "metrics" {
		return access.Right{Verb: verb, Metrics: true}
	}
	_, subresource, _ := strings.Cut(resource, "/")
	return access.Right{Verb: verb, Subresource: subresource}
}

// GetIdentityKeys shows the keys by which the tokens of services are verified.
func (a *api) GetIdentityKeys(ctx context.Context, _ autoscaler.GetIdentityKeysRequestObject) (autoscaler.GetIdentityKeysResponseObject, error) {
	if a.Guard == nil {
		return nil, errNoGuard
	}
	issuer, keys, err := a.Guard.Published(ctx)
	if err != nil {
		return nil, err
	}
	out := autoscaler.GetIdentityKeys200JSONResponse{Issuer: issuer, Keys: make([]map[string]any, len(keys))}
	for i, text := range keys {
		if err := json.Unmarshal(text, &out.Keys[i]); err != nil {
			return nil, fault.New(fault.Unavailable, "a key of the issuer is no JSON object").Because(err)
		}
	}
	return out, nil
}
