package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/access"
	"github.com/nemesis-scaling/nemesis/pkg/bearer"
	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/pace"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/admin/rights"
)

// Access says what callers may do. The error is a *fault.Error.
type Access interface {
	Review(ctx context.Context, q access.Question) (access.Answer, error)
}

// Judgement is what became of a call; a label of a metric.
type Judgement string

// The judgements.
const (
	Allowed         Judgement = "allowed"
	Unauthenticated Judgement = "unauthenticated" // without a token, or with one that is not good
	Forbidden       Judgement = "forbidden"
	Unjudged        Judgement = "unjudged" // nobody could say; refused
	Unasked         Judgement = "unasked"  // let through, since authentication is optional
	TooOften        Judgement = "too-often"
)

// Judgements are all there are.
var Judgements = []Judgement{Allowed, Unauthenticated, Forbidden, Unjudged, Unasked, TooOften}

// GuardOptions say whom the admin port serves.
type GuardOptions struct {
	Access Access
	// Optional lets a call through that has no token, as those of 0.1.0 had none; and one whose token nobody
	// can judge now, which without it would pass.
	Optional    bool
	OpenMetrics bool // to everybody
	// CallsPerSecond is how many calls of one person are served, four times as many at once; 0: any number.
	CallsPerSecond int
	Judged         func(Judgement) // is told each; nil is nobody
	// WithoutToken is told of each call that is let through without a token, since that is optional; nil is nobody.
	WithoutToken func()
}

// Guard has every operation of the contract asked for by those alone who may.
type Guard struct {
	o          GuardOptions
	operations map[string]string // the operationId, by method and path
	paces      *pace.Paces[string]
}

// How many callers are known to the limit, beyond which the one that called longest ago begins anew, and how many
// seconds' worth of calls one may make at once.
const (
	maxPaced    = 10_000
	callsAtOnce = 4
)

// NewGuard makes one. An operation without a row among the rights is nobody's, and so an error.
func NewGuard(o GuardOptions) (*Guard, error) {
	spec, err := loadbalancer.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("contract of the admin API: %w", err)
	}
	if o.Judged == nil {
		o.Judged = func(Judgement) {}
	}
	g := &Guard{o: o, paces: pace.New[string](maxPaced), operations: map[string]string{
		"GET /healthz": "getLiveness", "GET /readyz": "getReadiness", "GET /metrics": "getMetrics", // the generated copy has none of them
	}}
	for path, item := range spec.Paths.Map() {
		for method, operation := range item.Operations() {
			id := strings.ToLower(operation.OperationID[:1]) + operation.OperationID[1:] // the generated copy has it as a Go name
			if _, ok := rights.Of(id); !ok {
				return nil, fmt.Errorf("contract of the admin API: nothing says who may call %s", id)
			}
			g.operations[method+" "+path] = id
		}
	}
	return g, nil
}

// Wrap serves what is behind it to those who may. What the contract does not have goes through, to be
// refused there.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead { // the operations' are served as GET
			method = http.MethodGet
		}
		right, ok := rights.Of(g.operations[method+" "+r.URL.Path])
		if !ok || right.Kind == rights.Open {
			next.ServeHTTP(w, r)
			return
		}
		r = r.WithContext(fairshare.From(r.Context(), r.RemoteAddr))
		who, err := g.judge(r, right)
		if err != nil {
			fault.Write(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
	})
}

// judge finds out who calls, and whether he may.
func (g *Guard) judge(r *http.Request, right rights.Right) (*caller, error) {
	token, given := bearer.Of(r.Header)
	who := &caller{guard: g, token: token, right: right, everywhere: true}
	if !given && g.o.Optional || right.Resource == rights.Metrics && g.o.OpenMetrics {
		g.o.Judged(Unasked)
		if !given && g.o.Optional && g.o.WithoutToken != nil {
			g.o.WithoutToken()
		}
		return who, nil
	}
	if !given {
		g.o.Judged(Unauthenticated)
		return nil, fault.New(fault.Unauthenticated, "send a token in the header %s, as: Bearer TOKEN", bearer.Header)
	}
	answer, err := who.ask(r.Context(), nil)
	switch {
	case fault.Is(err, fault.Unavailable) && g.o.Optional:
		g.o.Judged(Unasked)
		return who, nil
	case err != nil:
		return nil, err
	}
	who.user, who.everywhere = answer.User, answer.Everywhere
	if n := g.o.CallsPerSecond; n > 0 && !g.paces.Take(who.user, pace.Pace{PerSecond: float64(n), Burst: callsAtOnce * n}, time.Now()) {
		g.o.Judged(TooOften)
		return nil, fault.New(fault.TooMany, "%s makes more than %d calls a second", who.user, n).After(time.Second)
	}
	if !answer.Everywhere && right.Kind == rights.Whole {
		return nil, who.mayNot("")
	}
	if answer.Everywhere || right.Kind == rights.List {
		g.o.Judged(Allowed)
	}
	return who, nil
}

// caller is who is served, and what he may.
type caller struct {
	guard      *Guard
	token      string // "" where he has none
	user       string
	right      rights.Right
	everywhere bool
}

type callerKey struct{}

// callerOf is the caller of a request that the guard let through.
func callerOf(ctx context.Context) (*caller, error) {
	who, ok := ctx.Value(callerKey{}).(*caller)
	if !ok {
		return nil, fault.New(fault.Internal, "nobody judged this call")
	}
	return who, nil
}

// ask asks what he may in these namespaces; an error is a refusal.
func (c *caller) ask(ctx context.Context, namespaces []string) (access.Answer, error) {
	answer, err := c.guard.o.Access.Review(ctx, access.Question{Token: c.token, Verb: c.right.Verb, Resource: c.right.Resource, Namespaces: namespaces})
	switch {
	case err != nil:
		if !fault.Is(err, fault.Unavailable) || !c.guard.o.Optional {
			c.guard.o.Judged(Unjudged)
		}
		return answer, err
	case !answer.Authenticated:
		c.guard.o.Judged(Unauthenticated)
		return answer, fault.New(fault.Unauthenticated, "the token is not good: %s", answer.Reason)
	}
	return answer, nil
}

// view is what he may see.
type view struct {
	all   bool
	names []string // sorted; where not all
}

func (v view) has(namespace string) bool {
	if v.all {
		return true
	}
	_, found := slices.BinarySearch(v.names, namespace)
	return found
}

// among is which of these namespaces he may see.
func (c *caller) among(ctx context.Context, namespaces []string) (view, error) {
	if c.everywhere || len(namespaces) == 0 {
		return view{all: c.everywhere}, nil
	}
	answer, err := c.ask(ctx, namespaces)
	if err != nil {
		return view{}, err
	}
	// Others may be given the same answer at this moment.
	return view{all: answer.Everywhere, names: slices.Sorted(slices.Values(answer.Namespaces))}, nil
}

// list is what he may see of a list: of the namespace that he names, or of those that there are.
func (c *caller) list(ctx context.Context, named string, there func() []string) (view, error) {
	if named == "" {
		return c.among(ctx, there())
	}
	v, err := c.among(ctx, []string{named})
	if err == nil && !v.has(named) {
		err = c.mayNot(named)
	}
	return v, err
}

// mayNot is the refusal of somebody who is known.
func (c *caller) mayNot(namespace string) *fault.Error {
	c.guard.o.Judged(Forbidden)
	where := " in all namespaces"
	switch {
	case namespace != "":
		where = " in the namespace " + namespace
	case c.right.Resource == rights.Metrics:
		where = ""
	}
	return fault.New(fault.Forbidden, "%s may not %s%s", c.user, c.right, where)
}
