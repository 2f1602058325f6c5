// Package guard holds the door of the API: it finds out whose the token of a call is, has access decide by its
// table, and asks the API server for the rights of people. What it lets in it hands a Grant, which says who calls
// and of which namespaces that one may see anything.
//
// An API server that does not answer is never a yes: what it said lately counts for ten seconds, then the answer is
// 503. The tokens of services need no API server.
package guard

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fairshare"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

// Verifier says whose the token of a service is.
type Verifier interface {
	Verify(ctx context.Context, token string) (identity.Identity, error)
}

// People says whose the token of a person is, and what it may. Errors are those of pkg/fault.
type People interface {
	Who(ctx context.Context, token string) (name string, err error)
	May(ctx context.Context, token string, right access.Right, namespace string) (bool, error)
}

// Keys are what is published of the issuer of service-account tokens.
type Keys interface {
	Published(ctx context.Context) (identity.Published, error)
}

// Pods tells which pods are known to be no more: deleted, or replaced by one of the same name.
type Pods interface {
	Gone(namespace, name, uid string) bool
}

// Options are what a Guard needs.
type Options struct {
	Services Verifier
	People   People
	Keys     Keys
	// Balancers and Collectors are the service accounts that make a service one.
	Balancers, Collectors, Controllers []access.Account
	// Pods are those of services; a token of one that is no more is no good. Several may know some each.
	Pods []Pods
	// Watched is the only namespace that there is to see: a right everywhere is one there. "": all are.
	Watched string
	// Optional lets callers without a token as before there were any.
	Optional bool
	// WithoutToken is told of each call that is let in so without one; nil: nobody.
	WithoutToken func()
	// OpenMetrics lets anybody read /metrics.
	OpenMetrics bool
	// Paces are how often callers may call; the zero value bounds nobody.
	Paces Paces
	Now   func() time.Time // nil: time.Now
	// Refused is told of each call that is refused; nil: nobody.
	Refused func(ctx context.Context, r Refusal)
}

// Refusal is a call that was refused for who made it.
type Refusal struct {
	Operation, Namespace string // the namespace that the call names; "": none
	Who, Pod             string // who called; "" where that is not known
	Code                 fault.Code
	Why                  string
}

// Guard judges calls. Any number of goroutines may use it at once.
type Guard struct {
	Options
	roles   map[access.Account]role
	buckets *buckets
}

type role struct{ balancer, collector, controller bool }

// New makes it.
func New(o Options) *Guard {
	if o.Refused == nil {
		o.Refused = func(context.Context, Refusal) {}
	}
	g := &Guard{Options: o, roles: map[access.Account]role{}, buckets: newBuckets(o.Paces, o.Now, maxPaced)}
	for _, a := range o.Balancers {
		g.roles[a] = role{balancer: true}
	}
	for _, a := range o.Collectors {
		r := g.roles[a]
		r.collector = true
		g.roles[a] = r
	}
	for _, a := range o.Controllers {
		r := g.roles[a]
		r.controller = true
		g.roles[a] = r
	}
	return g
}

// A namespace's name, as Kubernetes allows it: no other one is known there, and asked about.
const maxNamespace = 63

var namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// Judge says who calls an operation and lets it in, or says why not: an error of pkg/fault, Unauthenticated, Forbidden,
// TooMany or Unavailable. namespace is the one that the call names; "" is none.
func (g *Guard) Judge(ctx context.Context, operation string, header http.Header, namespace string) (Grant, error) {
	grant, err := g.judge(ctx, operation, header, namespace)
	if err != nil {
		e := fault.From(err)
		g.Refused(ctx, Refusal{operation, namespace, grant.Caller.Name, grant.Caller.Pod, e.Code, e.Detail})
		return Grant{}, err
	}
	return grant, nil
}

// judge does; with an error the grant says who called, as far as that is known.
func (g *Guard) judge(ctx context.Context, operation string, header http.Header, namespace string) (Grant, error) {
	rule, known := access.Of(operation)
	if !known {
		return Grant{}, fault.New(fault.Forbidden, "nobody may call this operation")
	}
	if rule.Open || g.OpenMetrics && operation == "getMetrics" {
		return Grant{everywhere: true}, nil
	}
	if namespace != "" && (len(namespace) > maxNamespace || !namespaceName.MatchString(namespace)) {
		return Grant{}, fault.New(fault.Invalid, "").With("namespace", namespace, "the name of a namespace: at most 63 of a-z, 0-9 and -, which begins and ends with one of a-z and 0-9")
	}
	token, given, err := Token(header)
	if err != nil {
		return Grant{}, err
	}
	if rule.Passed {
		return g.passed(ctx, operation, token)
	}
	var caller access.Caller
	if given {
		caller, err = g.identify(ctx, rule, token)
		if g.Optional && fault.Is(err, fault.Unavailable) {
			err = nil // without the token it would be let in too
		}
		if err != nil {
			return Grant{}, err
		}
		if err := g.buckets.take(operation, &caller); err != nil {
			return Grant{Caller: caller}, err
		}
	}
	d := access.Decide(rule, &caller, namespace, g.Optional)
	switch d.Verdict {
	case access.Allowed:
		if caller.Kind == access.Unnamed && g.WithoutToken != nil {
			g.WithoutToken()
		}
		return Grant{Caller: caller, everywhere: true}, nil
	case access.Unknown:
		return Grant{}, fault.New(fault.Unauthenticated, "%s", d.Reason)
	case access.Asked:
		return g.ask(ctx, caller, token, &d)
	case access.Refused:
	}
	return Grant{Caller: caller}, fault.New(fault.Forbidden, "%s", d.Reason)
}

// passed lets a call on that the API server is to judge. Whose token it has is asked for the pace of that one and for
// the audit; where nobody says, the token itself or the address has one, and the API server goes on to judge.
func (g *Guard) passed(ctx context.Context, operation, token string) (Grant, error) {
	var caller access.Caller
	if token != "" {
		var err error
		caller, err = g.person(ctx, token)
		if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.TooMany) {
			return Grant{}, err
		}
	}
	if err := g.buckets.pass(operation, &caller, token, fairshare.Of(ctx)); err != nil {
		return Grant{Caller: caller}, err
	}
	return Grant{Caller: caller, everywhere: true}, nil
}

// identify says whose a token is.
func (g *Guard) identify(ctx context.Context, rule access.Rule, token string) (access.Caller, error) {
	// Where services alone are let in, their tokens are known without a look into them.
	services := rule.People == nil
	if !services && !identity.ForUs(token) {
		return g.person(ctx, token)
	}
	who, err := g.Services.Verify(ctx, token)
	if err != nil {
		if services && fault.Is(err, fault.Unauthenticated) && !identity.ForUs(token) {
			return g.person(ctx, token)
		}
		return access.Caller{}, err
	}
	for _, pods := range g.Pods {
		if who.PodUID != "" && pods.Gone(who.Namespace, who.Pod, who.PodUID) {
			return access.Caller{}, fault.New(fault.Unauthenticated, "the token is of a pod %s in the namespace %s that is gone", who.Pod, who.Namespace)
		}
	}
	account := access.Account{Namespace: who.Namespace, Name: who.Account}
	is := g.roles[account]
	return access.Caller{
		Kind: access.Service, Name: who.Name, Account: account, Pod: who.Pod, PodUID: who.PodUID, Node: who.Node, Balancer: is.balancer, Collector: is.collector, Controller: is.controller,
	}, nil
}

func (g *Guard) person(ctx context.Context, token string) (access.Caller, error) {
	name, err := g.People.Who(ctx, token)
	if err != nil {
		return access.Caller{}, err
	}
	return access.Caller{Kind: access.Person, Name: name}, nil
}

// ask asks the API server for a right.
func (g *Guard) ask(ctx context.Context, caller access.Caller, token string, d *access.Decision) (Grant, error) {
	allowed, err := g.People.May(ctx, token, d.Right, cmp.Or(d.Namespace, g.Watched))
	switch {
	case err != nil:
		return Grant{Caller: caller}, err
	case allowed:
		return Grant{Caller: caller, everywhere: d.Namespace == "", namespace: d.Namespace}, nil
	case d.Narrows:
		return Grant{Caller: caller, people: g.People, token: token, right: d.Right}, nil
	}
	return Grant{Caller: caller}, fault.New(fault.Forbidden, "%s", access.Lacks(&caller, d.Right, d.Namespace))
}

// Token is that of a call; false: it has none. Nemesis-Authorization wins: something between may have put its own into
// the other one.
func Token(header http.Header) (token string, given bool, err error) {
	name, values := "Nemesis-Authorization", header["Nemesis-Authorization"]
	if len(values) == 0 {
		name, values = "Authorization", header["Authorization"]
	}
	switch {
	case len(values) == 0:
		return "", false, nil
	case len(values) > 1:
		return "", true, fault.New(fault.Unauthenticated, "the header %s is given %d times: must be once", name, len(values))
	}
	token = identity.Bearer(values[0])
	scheme, _, _ := strings.Cut(values[0], " ")
	switch {
	case token != "":
		return token, true, nil
	case name == "Authorization" && !strings.EqualFold(scheme, "Bearer"):
		return "", false, nil // somebody else's credentials
	}
	return "", true, fault.New(fault.Unauthenticated, "").With(name, "", "Bearer TOKEN")
}

// Published are the issuer and its keys, each as JSON.
func (g *Guard) Published(ctx context.Context) (issuer string, keys []json.RawMessage, err error) {
	published, err := g.Keys.Published(ctx)
	if err != nil {
		return "", nil, fault.New(fault.Unavailable, "the Kubernetes API server does not show the keys of its tokens").Because(err).After(retryAfter)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(published.JWKS, &set); err != nil {
		return "", nil, fault.New(fault.Unavailable, "the keys of tokens cannot be read").Because(err).After(retryAfter)
	}
	return published.Issuer, set.Keys, nil
}
