package httpapi

import (
	"context"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Claims are those that are refused now, by namespace, Deployment and CustomAutoscaler.
type Claims interface{ RefusedClaims() []fleet.RefusedClaim }

type noClaims struct{}

func (noClaims) RefusedClaims() []fleet.RefusedClaim { return nil }

// shardClaims are those of a shard.
type shardClaims struct {
	Claims
	shard, shards int
}

// RefusedClaims are those of its namespaces.
func (c shardClaims) RefusedClaims() []fleet.RefusedClaim {
	return slices.DeleteFunc(c.Claims.RefusedClaims(), func(r fleet.RefusedClaim) bool { return shard.Of(r.Of.Namespace, c.shards) != c.shard })
}

// The bounds, as in the contract, and of how many other namespaces is asked for one call whether the caller sees them:
// what more of them hold is told without a name.
const (
	refusedOfOne = 16
	refusedOfAll = 1000
	mostHolders  = 50
)

// holders are who keeps others from what they ask for, as far as a caller may see them.
type holders struct {
	sees  func(namespace string) bool
	known map[string]bool // by namespace
}

func (a *api) holders(ctx context.Context) *holders {
	g := a.granted(ctx)
	return &holders{func(namespace string) bool { return g.SeesToo(ctx, namespace) }, map[string]bool{}}
}

// seen tells whether the caller may be told of a namespace.
func (h *holders) seen(namespace string) bool {
	seen, known := h.known[namespace]
	if !known && len(h.known) < mostHolders {
		seen = h.sees(namespace)
		h.known[namespace] = seen
	}
	return seen
}

// claims are some that are refused, as the caller is told of them; nil: none are.
func (h *holders) claims(list []fleet.RefusedClaim, most int) *[]autoscaler.RefusedClaim {
	if len(list) == 0 {
		return nil
	}
	out := make([]autoscaler.RefusedClaim, min(len(list), most))
	for i := range out {
		c := &list[i]
		out[i] = autoscaler.RefusedClaim{
			Namespace: c.Of.Namespace, Deployment: c.Deployment, Autoscaler: c.Of.Name, ApiPrefix: c.Prefix,
			Reason: autoscaler.RefusedClaimReason(contract.RefusedFor(c.Foreign)), Message: contract.Cut(c.Text),
		}
		if len(c.Hosts) > 0 {
			out[i].Hosts = &c.Hosts
		}
		if by := c.By; by.Name != "" && (by.Namespace == c.Of.Namespace || h.seen(by.Namespace)) {
			out[i].HeldBy = &struct {
				Autoscaler string `json:"autoscaler"`
				Namespace  string `json:"namespace"`
			}{by.Name, by.Namespace}
		}
	}
	return &out
}

// refusedBeside are the claims on the first page of a list that none of its applications has.
func (a *api) refusedBeside(q asked, h *holders) *[]autoscaler.RefusedClaim {
	if q.after != nil || q.some() {
		return nil
	}
	return h.claims(slices.DeleteFunc(a.Claims.RefusedClaims(), func(c fleet.RefusedClaim) bool {
		return !q.shows(c.Of.Namespace) || q.namespace != "" && c.Of.Namespace != q.namespace || q.deployment != "" && c.Deployment != q.deployment || a.isOf(c)
	}), refusedOfAll)
}

// isOf tells whether a claim stands with an application.
func (a *api) isOf(c fleet.RefusedClaim) bool {
	v, known := a.Fleet.View(fleet.Key{Namespace: c.Of.Namespace, Deployment: c.Deployment}, time.Now())
	return known && v.Autoscaler == c.Of.Name
}

// unknown says that a Deployment is no application, to who may see its namespace.
func (a *api) unknown(k fleet.Key) error {
	for _, c := range a.Claims.RefusedClaims() {
		if c.Of.Namespace == k.Namespace && c.Deployment == k.Deployment {
			return fault.New(fault.NotFound, "%s is no application: the CustomAutoscaler %s asks for it and is refused: %s", k, c.Of.Name, contract.Cut(c.Text))
		}
	}
	return fault.New(fault.NotFound, "no CustomAutoscaler names the Deployment %s; %s", k, a.known(k.Namespace))
}
