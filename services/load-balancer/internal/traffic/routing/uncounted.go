package routing

import (
	"slices"
	"strings"
)

// UncountedRule names requests that are no traffic: they neither wake an application nor keep it
// awake. Of each list that is not empty one entry must fit.
type UncountedRule struct {
	Paths      []string // behind the prefix, as Match.Path; one that ends with * is a beginning
	Methods    []string
	UserAgents []string // how the User-Agent field begins
	Status     int      // how such a request is answered while no pod serves
}

// Uncounted finds such requests. The zero value finds none.
type Uncounted struct{ rules []uncountedRule }

// uncountedRule is a rule whose paths are sorted into whole ones and beginnings.
type uncountedRule struct {
	whole, beginnings []string
	methods, agents   []string
	status            int
}

// NewUncounted compiles the rules. One without any list is left out: it would fit every request.
func NewUncounted(rules []UncountedRule) Uncounted {
	var u Uncounted
	for _, r := range rules {
		if len(r.Paths)+len(r.Methods)+len(r.UserAgents) == 0 {
			continue
		}
		compiled := uncountedRule{methods: r.Methods, agents: r.UserAgents, status: r.Status}
		for _, path := range r.Paths {
			if beginning, ok := strings.CutSuffix(path, "*"); ok {
				compiled.beginnings = append(compiled.beginnings, beginning)
			} else {
				compiled.whole = append(compiled.whole, path)
			}
		}
		u.rules = append(u.rules, compiled)
	}
	return u
}

// Match reports whether the request is no traffic, and the status that answers it while no pod serves.
// path is Match.Path.
func (u Uncounted) Match(method, path, userAgent string) (status int, ok bool) {
	for i := range u.rules {
		if u.rules[i].fits(method, path, userAgent) {
			return u.rules[i].status, true
		}
	}
	return 0, false
}

func (r *uncountedRule) fits(method, path, userAgent string) bool {
	return (len(r.whole)+len(r.beginnings) == 0 || slices.Contains(r.whole, path) || begins(r.beginnings, path)) &&
		(len(r.methods) == 0 || slices.Contains(r.methods, method)) &&
		(len(r.agents) == 0 || begins(r.agents, userAgent))
}

func begins(beginnings []string, s string) bool {
	for _, beginning := range beginnings {
		if strings.HasPrefix(s, beginning) {
			return true
		}
	}
	return false
}
