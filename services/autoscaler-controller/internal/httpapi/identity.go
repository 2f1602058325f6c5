package httpapi

import (
	"context"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// ReviewAccess says what the bearer of a token may do.
func (a *api) ReviewAccess(context.Context, autoscaler.ReviewAccessRequestObject) (autoscaler.ReviewAccessResponseObject, error) {
	return nil, fault.New(fault.Unavailable, "this controller does not judge tokens yet")
}

// GetIdentityKeys shows the keys by which the tokens of services are verified.
func (a *api) GetIdentityKeys(context.Context, autoscaler.GetIdentityKeysRequestObject) (autoscaler.GetIdentityKeysResponseObject, error) {
	return nil, fault.New(fault.Unavailable, "this controller does not judge tokens yet")
}
