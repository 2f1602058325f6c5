package routing

import (
	"errors"
	"strings"
)

// The ways in which a request matches nothing.
var (
	ErrNoRoute   = errors.New("no application has this host and path")
	ErrAmbiguous = errors.New("the path can be read in two ways: an encoded slash or backslash (%2f, %5c), a dot segment or an empty segment " +
		"hides which application is meant, or leaves it")
)

// Entry is one row of a table: the requests for these hosts under this prefix go to Target.
type Entry[T any] struct {
	Hosts  []string // none: every host
	Prefix string
	Target T
}

// Table finds the target of a host and path. It is never altered, so any number of goroutines may
// read it.
type Table[T comparable] struct {
	hosts   split[*prefixes[T]]
	anyHost *prefixes[T]
}

// Match is what was found.
type Match[T comparable] struct {
	Target T
	Prefix string // the prefix that matched, without a slash at its end; "" for "/"
	Path   string // the normalised path after the prefix, at least "/"
	Raw    string // the same part of the path, byte for byte as the client sent it, at least "/"
}

// same reports whether both are of one row of the table.
func (m Match[T]) same(other Match[T]) bool {
	return m.Target == other.Target && m.Prefix == other.Prefix
}

// prefixes are the routes of one host.
type prefixes[T comparable] struct {
	byPrefix split[T]
	longest  int // the length of the longest prefix: no longer part of a path need be looked up
}

// NewTable makes a table. Where two entries claim the same host and prefix the first one keeps it;
// the targets that lost a claim are returned. For one that changes there are Claims.
func NewTable[T comparable](entries []Entry[T]) (*Table[T], []T) {
	b := newBuilder[T]()
	var lost []T
	for i := range entries {
		for _, s := range entries[i].spots() {
			if owner, taken := b.at(s).entries.get(s.prefix); !taken {
				b.set(s, entries[i].Target)
			} else if owner != entries[i].Target {
				lost = append(lost, entries[i].Target)
			}
		}
	}
	return b.table(), lost
}

// Match finds the target of an escaped path as the client sent it. Routes that name the host come
// first, whatever their length; then the longest prefix wins. A prefix ends at a segment's end:
// /fib does not match /fibonacci. The errors are ErrPathForm, ErrPathNUL, ErrAmbiguous, ErrNoRoute.
//
// The normalised path is for matching alone: what a pod gets is the path as it came. So every other
// reading of that one, by a server that resolves less or more than Normalise does, must mean the
// same application, and must not lead out of it.
func (t *Table[T]) Match(host, path string) (Match[T], error) {
	host = canonicalHost(host)
	if plain(path) {
		match, ok := t.find(host, path)
		if !ok {
			return Match[T]{}, ErrNoRoute
		}
		match.Raw = match.Path
		return match, nil
	}
	return t.matchReadings(host, path)
}

// matchReadings finds the target of a path that can be read in more than one way.
func (t *Table[T]) matchReadings(host, path string) (Match[T], error) {
	normal, err := Normalise(path)
	if err != nil {
		return Match[T]{}, err
	}
	match, ok := t.find(host, normal)
	if other, known := t.find(host, revealed(normal)); known && (!ok || !match.same(other)) {
		return Match[T]{}, ErrAmbiguous
	}
	if bare, differs := withoutParameters(normal); differs {
		if other, known := t.find(host, bare); known && (!ok || !match.same(other)) {
			return Match[T]{}, ErrAmbiguous
		}
	}
	if !ok {
		return Match[T]{}, ErrNoRoute
	}
	if other, known := t.find(host, path); known && !match.same(other) {
		return Match[T]{}, ErrAmbiguous
	}
	if match.Raw, ok = behind(path, match.Prefix); !ok {
		return Match[T]{}, ErrAmbiguous
	}
	return match, nil
}

func (t *Table[T]) find(host, path string) (Match[T], bool) {
	if p, ok := t.hosts.get(host); ok {
		if m, ok := p.find(path); ok {
			return m, true
		}
	}
	return t.anyHost.find(path)
}

// find tries each part of the path that ends at a segment's end, from the longest down.
func (p *prefixes[T]) find(path string) (Match[T], bool) {
	end := len(path)
	if end > p.longest { // no prefix is longer, and the rest of the path begins with a slash
		end = strings.LastIndexByte(path[:p.longest+1], '/')
	}
	for {
		if end < 0 {
			return Match[T]{}, false
		}
		if target, ok := p.byPrefix.get(path[:end]); ok {
			rest := path[end:]
			if rest == "" {
				rest = "/"
			}
			return Match[T]{Target: target, Prefix: path[:end], Path: rest}, true
		}
		if end == 0 {
			return Match[T]{}, false
		}
		end = strings.LastIndexByte(path[:end], '/')
	}
}

func trimPrefix(prefix string) string {
	prefix = strings.TrimRight(prefix, "/")
	if prefix != "" && prefix[0] != '/' {
		prefix = "/" + prefix
	}
	return prefix
}

// canonicalHost is the host in lower case, without port and final dot.
func canonicalHost(host string) string {
	// An IPv6 address has its colons in brackets; without them it is no host of a route anyway.
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host, ']') < i {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	for i := range len(host) {
		if c := host[i]; c >= 'A' && c <= 'Z' {
			return strings.ToLower(host)
		}
	}
	return host
}
