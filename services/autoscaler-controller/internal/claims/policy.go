package claims

import "strings"

// Policy says which namespaces may claim what. The zero value says nothing: then the default holds.
type Policy struct{ Rules []Rule }

// Rule gives what lies within it to some namespaces and to nobody else. Between these, overlaps are no
// concern of anybody's; only the very same host and prefix is still the older one's.
type Rule struct {
	Hosts    []string // *.example.com is every host that ends so; none: every host, and claims without one
	Prefixes []string // and what is longer; none: every prefix
	From     func(namespace string) bool
}

// The ranks of what a rule says of hosts: the more it says, the more it counts.
const (
	noRule     = -1
	everyHost  = 0
	oneHost    = 1 << 16 // between them the length of a *.suffix
	anyPrefix  = 1       // as long as "/"
	wildPrefix = "*."
)

// verdict is what a policy says of an address that a namespace claims.
type verdict uint8

const (
	silent  verdict = iota // the default holds
	granted                // it may have it, whatever others have
	denied                 // it is others'
)

// says decides by the most specific rules, as requests are routed: those that name a host before others,
// then those of the longest prefix. What lies below a namespace's own name is its own where no rule
// speaks of that name, or of a host.
func (p Policy) says(namespace string, a address) verdict {
	best, length, said := noRule, 0, silent
	for i := range p.Rules {
		r := &p.Rules[i]
		host := rankHost(r.Hosts, a.host)
		prefix := rankPrefix(r.Prefixes, a.prefix)
		if host == noRule || prefix == noRule || host < best || host == best && prefix < length {
			continue
		}
		if host > best || prefix > length {
			best, length, said = host, prefix, denied
		}
		if said == denied && r.From(namespace) {
			said = granted
		}
	}
	if best == everyHost && length <= len(namespace) && a.isOf(namespace) { // shorter than /namespace
		return silent
	}
	return said
}

// rankHost is how much a rule's hosts say of a host; noRule: it is not among them.
func rankHost(hosts []string, host string) int {
	if len(hosts) == 0 {
		return everyHost
	}
	best := noRule
	for _, h := range hosts {
		suffix, wild := strings.CutPrefix(h, wildPrefix)
		switch {
		case host == "":
		case !wild && h == host:
			return oneHost
		case wild && strings.HasSuffix(host, "."+suffix):
			best = max(best, len(suffix))
		}
	}
	return best
}

func rankPrefix(prefixes []string, prefix string) int {
	if len(prefixes) == 0 {
		return anyPrefix
	}
	best := noRule
	for _, outer := range prefixes {
		if outer = clean(outer); within(prefix, outer) {
			best = max(best, len(outer))
		}
	}
	return best
}
