package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// maxAllowed bounds how much is listed of what is known; the contract allows as much in one field.
const maxAllowed = 1900

// meant finds the application that a call is about, among those that the caller may send requests to. To him
// there are no others: a refusal does not tell one that is not his from one that is not there.
func meant[T any](ctx context.Context, o Options, find func([]routing.Route) (T, string, error)) (T, error) {
	var nothing T
	who, err := callerOf(ctx)
	if err != nil {
		return nothing, err
	}
	routes := o.routes()
	found, namespace, err := find(routes)
	if who.everywhere {
		return found, err
	}
	if err == nil {
		v, err := who.among(ctx, []string{namespace})
		if err != nil {
			return nothing, err
		}
		if v.has(namespace) {
			who.guard.o.Judged(Allowed)
			return found, nil
		}
	}
	v, err := who.among(ctx, o.namespaces())
	if err != nil {
		return nothing, err
	}
	his := slices.DeleteFunc(routes, func(r routing.Route) bool { return !v.has(r.Application.Namespace) })
	found, _, err = find(his)
	if refusal, ok := errors.AsType[*fault.Error](err); ok {
		who.guard.o.Judged(Forbidden)
		refusal.Detail += fmt.Sprintf("; it was looked for among those in whose namespaces %s may %s", who.user, who.right)
		return nothing, refusal
	}
	who.guard.o.Judged(Allowed)
	return found, nil
}

// targetOf finds what a target_url names.
func targetOf(routes []routing.Route, url string) (routing.Target, error) {
	target, err := routing.Resolve(routes, url)
	switch {
	case err == nil:
		return target, nil
	case errors.Is(err, routing.ErrUnknownTarget):
		var names []string
		for _, r := range routes {
			names = append(names, r.Names()...)
		}
		return target, fault.New(fault.Forbidden, "target_url names no application that is known here: requests go nowhere else").
			With("target_url", url, listed(names))
	}
	return target, fault.New(fault.Invalid, "").With("target_url", url, err.Error())
}

// routeOf finds the route of a target that is named by its Deployment.
func routeOf(routes []routing.Route, name string) (routing.Route, error) {
	route, meant, err := routing.Choose(routes, name)
	switch {
	case err == nil:
		return route, nil
	case errors.Is(err, routing.ErrManyTargets):
		return route, fault.New(fault.Invalid, "more than one application is meant: target must say which").With("target", name, listed(applications(meant)))
	case name == "":
		return route, fault.New(fault.Invalid, "no application is known here yet: a CustomAutoscaler makes one known").With("target", name, listed(nil))
	}
	return route, fault.New(fault.Forbidden, "target names no application that is known here").With("target", name, listed(applications(routes)))
}

func applications(routes []routing.Route) []string {
	names := make([]string, 0, len(routes))
	for _, r := range routes {
		names = append(names, r.Application.String())
	}
	return names
}

// listed is what is allowed, as one text within its bound.
func listed(names []string) string {
	if len(names) == 0 {
		return "nothing: no application is known"
	}
	var b strings.Builder
	for i, name := range names {
		if b.Len()+len(name) > maxAllowed {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
	}
	return b.String()
}
