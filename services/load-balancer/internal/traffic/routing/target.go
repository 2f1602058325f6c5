package routing

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The ways in which a target that someone names is none.
var (
	ErrTargetForm    = errors.New("it is neither a URL such as http://service.namespace.svc:port/path nor a path such as /prefix/path")
	ErrUnknownTarget = errors.New("it names no application that is known here")
	ErrManyTargets   = errors.New("more than one application is meant")
	ErrLeaves        = errors.New("the path must stay within the application: no .. above its root, no encoded slash that hides one")
)

// Target is a place in an application. It is only ever a route's: that a name has another meaning
// elsewhere (in the DNS, say) is of no account, since nothing is looked up.
type Target struct {
	Application Application
	Host        string // to ask for
	Prefix      string // of the route, without a slash at its end; "" for "/"
	At          string // the prefix of the address that is meant, which Prefix is where it is removed
	Path        string // the normalised path in the application
	Query       string
}

// Resolve finds what a URL or path names: the Service of a route and a path there, or the path that
// a client would ask for, of a route that is bound to no host.
func Resolve(routes []Route, target string) (Target, error) {
	u, err := url.Parse(target)
	if err != nil {
		return Target{}, ErrTargetForm
	}
	routes = each(routes)
	if strings.HasPrefix(target, "/") && u.Host == "" && !strings.HasPrefix(target, "//") {
		return resolvePath(routes, u)
	}
	switch other := u.Scheme != "" && u.Scheme != "http"; {
	case u.Opaque != "", u.Host == "" && !other:
		return Target{}, ErrTargetForm
	case u.Scheme != "http", u.User != nil:
		return Target{}, ErrUnknownTarget
	}
	for _, r := range routes {
		if named(r.ServiceAddress, u) {
			path := u.EscapedPath()
			if path == "" {
				path = "/"
			}
			at := trimPrefix(r.Prefix)
			if !r.StripPrefix {
				r.Prefix = "/" // the URL has it, where it is wanted
			}
			t, err := Inside(r, path, escapedQuery(u))
			t.At = at
			t.Host = r.ServiceAddress // also where clients ask for another host
			return t, err
		}
	}
	return Target{}, ErrUnknownTarget
}

// Inside is a place in the application of the route.
func Inside(r Route, path, query string) (Target, error) {
	prefix := trimPrefix(r.Prefix)
	path, err := within(prefix, path)
	if err != nil {
		return Target{}, err
	}
	host := r.Application.Deployment + "." + r.Application.Namespace
	switch {
	case len(r.Hosts) > 0:
		host = r.Hosts[0]
	case r.ServiceAddress != "":
		host = r.ServiceAddress
	}
	return Target{Application: r.Application, Host: host, Prefix: prefix, At: prefix, Path: path, Query: query}, nil
}

// Choose finds the route of a Deployment's name or of namespace/name. "" is the only one that is
// known. With ErrManyTargets come those that are meant.
func Choose(routes []Route, name string) (Route, []Route, error) {
	var meant []Route
	for _, r := range routes {
		if name == "" || name == r.Application.Deployment || name == r.Application.String() {
			meant = append(meant, r)
		}
	}
	switch {
	case len(meant) == 1:
		return meant[0], nil, nil
	case len(meant) > 1:
		return Route{}, meant, ErrManyTargets
	}
	return Route{}, nil, ErrUnknownTarget
}

// Names are how Resolve knows the application of a route.
func (r Route) Names() []string {
	var names []string
	for _, r := range each([]Route{r}) {
		if r.ServiceAddress != "" {
			names = append(names, "http://"+r.ServiceAddress)
		}
		if len(r.Hosts) == 0 {
			names = append(names, r.Prefix)
		}
	}
	return names
}

func resolvePath(routes []Route, u *url.URL) (Target, error) {
	var entries []Entry[*Route]
	for i := range routes {
		if len(routes[i].Hosts) == 0 {
			entries = append(entries, Entry[*Route]{Prefix: routes[i].Prefix, Target: &routes[i]})
		}
	}
	table, _ := NewTable(entries)
	match, err := table.Match("", u.EscapedPath())
	if errors.Is(err, ErrNoRoute) {
		return Target{}, ErrUnknownTarget
	}
	if err != nil {
		return Target{}, err
	}
	return Inside(*match.Target, match.Path, escapedQuery(u))
}

// named reports whether the URL's host and port are those of the Service at address
// (name.namespace.svc:port), in any of its forms that have the namespace.
func named(address string, u *url.URL) bool {
	service, port, ok := strings.Cut(address, ":")
	if !ok {
		return false
	}
	asked := u.Port()
	if asked == "" {
		asked = "80"
	}
	short := strings.TrimSuffix(strings.TrimSuffix(service, ".cluster.local"), ".svc")
	host := canonicalHost(u.Host)
	return asked == port && (host == short || host == short+".svc" || host == short+".svc.cluster.local")
}

// within is the normalised path in an application that clients reach under the prefix. A path that
// would lead out of it, in whichever way a server reads encoded slashes, is refused.
func within(prefix, path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", ErrPathForm
	}
	// A root of its own, so that also the application that has no prefix can be left.
	const root = "/root"
	whole, err := Normalise(root + prefix + path)
	if err != nil {
		return "", err
	}
	for _, reading := range []string{whole, revealed(whole)} {
		if reading != root+prefix && !strings.HasPrefix(reading, root+prefix+"/") {
			return "", ErrLeaves
		}
	}
	return strings.TrimPrefix(whole, root+prefix), nil
}

// escapedQuery is the query with everything escaped that has no place in a request line: url.Parse
// lets blanks and other bytes pass there.
func escapedQuery(u *url.URL) string {
	var b strings.Builder
	for i := range len(u.RawQuery) {
		if c := u.RawQuery[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
