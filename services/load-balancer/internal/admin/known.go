package admin

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// maxAllowed bounds how much is listed of what is known; the contract allows as much in one field.
const maxAllowed = 1900

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
