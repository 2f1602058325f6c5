package guard

import (
	"context"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

// Review is what the bearer of a token may, for who is asked by that one.
type Review struct {
	Authenticated bool
	User          string
	Reason        string // why the token is not good
	Everywhere    bool
	Namespaces    []string // in the order of the question
}

// Review says what the bearer of a token may. The token of a service is no person's: it is known, if its pod is not gone,
// and may nothing.
func (g *Guard) Review(ctx context.Context, token string, right access.Right, namespaces []string) (Review, error) {
	caller, err := g.bearer(ctx, token)
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden) {
		return Review{Reason: fault.From(err).Detail}, nil
	}
	if err != nil {
		return Review{}, err
	}
	out := Review{Authenticated: true, User: caller.Name}
	if caller.Kind == access.Service {
		return out, nil
	}
	if out.Everywhere, err = g.People.May(ctx, token, right, g.Watched); err != nil {
		return Review{}, err
	}
	if out.Everywhere {
		out.Namespaces = namespaces
		return out, nil
	}
	if right.Metrics {
		return out, nil
	}
	seen, err := among(ctx, g.People, token, right, namespaces)
	if err != nil {
		return Review{}, err
	}
	for _, one := range namespaces {
		if seen[one] {
			out.Namespaces = append(out.Namespaces, one)
		}
	}
	return out, nil
}

func (g *Guard) bearer(ctx context.Context, token string) (access.Caller, error) {
	if !identity.ForUs(token) {
		return g.person(ctx, token)
	}
	who, err := g.Services.Verify(ctx, token)
	if err == nil {
		err = g.gone(who)
	}
	return access.Caller{Kind: access.Service, Name: who.Name}, err
}
