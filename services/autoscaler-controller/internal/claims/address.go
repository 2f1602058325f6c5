package claims

import (
	"iter"
	"strings"
)

// address is a prefix for one host, or for every host ("").
type address struct{ host, prefix string }

// addresses are those of a target.
func (t Target) addresses() iter.Seq[address] {
	return func(yield func(address) bool) {
		prefix := clean(t.Prefix)
		if len(t.Hosts) == 0 {
			yield(address{prefix: prefix})
			return
		}
		for _, h := range t.Hosts {
			if !yield(address{h, prefix}) {
				return
			}
		}
	}
}

// on says of which hosts a target is, for a sentence.
func (t Target) on() string {
	switch len(t.Hosts) {
	case 0:
		return ""
	case 1:
		return " of the host " + t.Hosts[0]
	default:
		return " of its hosts"
	}
}

// isOf tells whether an address lies below the name of a namespace.
func (a address) isOf(namespace string) bool { return within(a.prefix, "/"+namespace) }

// clean is a prefix as the load balancers understand it: a slash at its end says nothing.
func clean(prefix string) string {
	if prefix = strings.TrimRight(prefix, "/"); prefix == "" {
		return "/"
	}
	return prefix
}

// within tells whether a prefix is another one, or longer.
func within(prefix, outer string) bool {
	return outer == "/" || strings.HasPrefix(prefix, outer) && (len(prefix) == len(outer) || prefix[len(outer)] == '/')
}

// meet tells whether there are paths that two prefixes have in common.
func meet(a, b string) bool { return within(a, b) || within(b, a) }

// maxDepth is how many segments of a prefix the index looks at; longer ones are compared one by one. It
// bounds what one object can have kept of it.
const maxDepth = 8

// cut is a prefix as the index files it.
func cut(prefix string) string {
	depth := 0
	for i := 1; i < len(prefix); i++ {
		if prefix[i] != '/' {
			continue
		}
		if depth++; depth == maxDepth {
			return prefix[:i]
		}
	}
	return prefix
}

// shorter are all prefixes that are shorter than one, from the longest to "/".
func shorter(prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for prefix != "/" {
			i := strings.LastIndexByte(prefix, '/')
			if prefix = prefix[:max(i, 0)]; prefix == "" {
				prefix = "/"
			}
			if !yield(prefix) {
				return
			}
		}
	}
}

// firstSegment is the namespace to which a prefix would belong; "" for "/".
func firstSegment(prefix string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(prefix, "/"), "/")
	return first
}
