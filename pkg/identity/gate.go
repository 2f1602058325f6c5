package identity

import (
	"context"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// Gate says whose a request is that a service of ours sends.
type Gate struct {
	Verifier *Verifier
	Ready    func() bool // the issuer's keys are known; nil: they always are
	// Optional lets a request pass that has no token, as those of 0.1.0 have none; and one whose token cannot
	// be judged now, which without it would pass.
	Optional bool
	// WithoutToken is told of each request that passes so without one; nil: nobody.
	WithoutToken func()
}

// Caller is whose a request is; known is false where that is not known and does not matter. The error is a
// *fault.Error of the code Unauthenticated or Unavailable.
func (g *Gate) Caller(ctx context.Context, h http.Header) (who Identity, known bool, err error) {
	token, given := bearer.Of(h)
	switch {
	case !given && g.Optional:
		if g.WithoutToken != nil {
			g.WithoutToken()
		}
		return Identity{}, false, nil
	case g.Ready != nil && !g.Ready() && token != "":
		err = fault.New(fault.Unavailable, "tokens cannot be verified yet: the keys of their issuer are not known here").After(time.Second)
	default:
		who, err = g.Verifier.Verify(ctx, token)
	}
	if g.Optional && fault.Is(err, fault.Unavailable) {
		return Identity{}, false, nil
	}
	return who, err == nil, err
}
