package proxy

import (
	"strings"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// rewriteAnswer puts the prefix back into what a pod that does not know it says of its own paths:
// where to go on, where the content is and what belongs to it, and which paths a cookie is for. Values
// are replaced in place; relative ones are right as they are.
func (x *exchange) rewriteAnswer(fields message.Fields) {
	if !x.stripped() || !x.place.RewriteAnswers {
		return
	}
	for i := range fields {
		f := &fields[i]
		switch f.Known {
		case message.Location, message.ContentLocation:
			f.Value = x.rewrite().location(f.Value)
		case message.Link:
			f.Value = x.rewrite().links(f.Value)
		case message.Refresh:
			f.Value = x.rewrite().refresh(f.Value)
		case message.SetCookie:
			f.Value = x.rewrite().cookie(f.Value)
		default:
		}
	}
}

// rewrite is made when there is something to be rewritten, which is seldom.
func (x *exchange) rewrite() rewriting {
	r := rewriting{prefix: x.match.Prefix, asked: []string{x.r.Host}, own: []string{x.to.Address, x.place.ServiceAddress}}
	if x.trusts(x.peer.IP) {
		r.known = joined(x.r.Fields, message.XForwardedPrefix) + r.prefix
		if host, _, _ := strings.Cut(x.r.Fields.First(message.XForwardedHost), ","); host != "" {
			r.asked = append(r.asked, strings.TrimSpace(host))
		}
	}
	return r
}

// rewriting is how the values of an answer change.
type rewriting struct {
	prefix string   // without a slash at its end
	known  string   // with what a proxy before us has cut off; the pod may have put both back itself
	asked  []string // the hosts that the client may have asked for, with ports
	own    []string // the addresses of the pod and its Service, which no client can reach
}

// location is a reference as the client must have it: a path, or a URL of this very application.
func (r rewriting) location(value string) string {
	if strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "//") {
		return r.path(value)
	}
	scheme, rest := "", value
	if colon := strings.Index(value, "://"); colon >= 0 {
		scheme, rest = strings.ToLower(value[:colon]), value[colon+1:]
	}
	if scheme != "http" && scheme != "https" && scheme != "" || !strings.HasPrefix(rest, "//") {
		return value
	}
	host := rest[2:]
	if end := strings.IndexAny(host, "/?#"); end >= 0 {
		host = host[:end]
	}
	path := rest[2+len(host):]
	switch {
	case matches(r.own, host, scheme):
		return r.path(path) // a reference to the host that the client asked for
	case matches(r.asked, host, scheme):
		return value[:len(value)-len(path)] + r.path(path)
	}
	return value
}

// links are the targets of a Link field: references in angle brackets, with parameters behind them
// that may be quoted (RFC 8288, section 3).
func (r rewriting) links(value string) string {
	var b strings.Builder
	done := 0 // up to which the value was copied
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '"':
			i = quotedEnd(value, i)
		case '<':
			length := strings.IndexByte(value[i:], '>')
			if length < 0 {
				return value
			}
			b.WriteString(value[done : i+1])
			b.WriteString(r.location(value[i+1 : i+length]))
			i += length
			done = i
		}
	}
	return b.String() + value[done:]
}

// quotedEnd is where the text in quotes ends that begins here.
func quotedEnd(value string, at int) int {
	for i := at + 1; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(value)
}

// refresh is where a page goes by itself after so many seconds: 5; url=/there. Browsers take a comma,
// too, and quotes around the reference (html.spec.whatwg.org, shared declarative refresh steps).
func (r rewriting) refresh(value string) string {
	at := strings.IndexAny(value, ";,")
	if at < 0 {
		return value
	}
	name, there, ok := strings.Cut(value[at+1:], "=")
	if !ok || !strings.EqualFold(strings.Trim(name, " \t"), "url") {
		return value
	}
	reference := strings.Trim(there, " \t")
	if len(reference) > 1 && strings.IndexByte("\"'", reference[0]) >= 0 {
		reference, _, _ = strings.Cut(reference[1:], reference[:1])
	}
	begin := len(value) - len(there) + strings.Index(there, reference)
	return value[:begin] + r.location(reference) + value[begin+len(reference):]
}

// path is a path, perhaps with a query behind it, with the prefix before it.
func (r rewriting) path(value string) string {
	if within(value, r.prefix) || r.known != "" && within(value, r.known) {
		return value
	}
	return r.prefix + value
}

// within tells whether a path is the prefix, or one behind it.
func within(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '?' || rest[0] == '#')
}

// matches tells whether a URL's host is one of these. A port that is left out is the scheme's.
func matches(hosts []string, host, scheme string) bool {
	for _, h := range hosts {
		if h != "" && strings.EqualFold(withoutPort(h, scheme), withoutPort(host, scheme)) {
			return true
		}
	}
	return false
}

func withoutPort(host, scheme string) string {
	switch scheme {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// cookie is a cookie whose Path is behind the prefix. One without a Path belongs where it was asked
// for, and one named __Host- must be for /, or no browser takes it.
func (r rewriting) cookie(value string) string {
	const hostOnly = "__Host-"
	if len(value) >= len(hostOnly) && strings.EqualFold(value[:len(hostOnly)], hostOnly) {
		return value
	}
	for from := strings.IndexByte(value, ';'); from >= 0 && from < len(value); {
		begin, end := from+1, len(value)
		if next := strings.IndexByte(value[begin:], ';'); next >= 0 {
			end = begin + next
		}
		name, path, ok := strings.Cut(value[begin:end], "=")
		if trimmed := strings.Trim(path, " \t"); ok && strings.EqualFold(strings.Trim(name, " \t"), "path") && strings.HasPrefix(trimmed, "/") {
			at := begin + len(name) + 1 + strings.Index(path, trimmed)
			changed := r.cookiePath(trimmed)
			value = value[:at] + changed + value[at+len(trimmed):]
			end += len(changed) - len(trimmed)
		}
		from = end
	}
	return value
}

// cookiePath is a cookie's Path. That of / becomes the prefix itself: with a slash at its end it
// would not be for the prefix alone.
func (r rewriting) cookiePath(path string) string {
	if path == "/" {
		return r.prefix
	}
	return r.path(path)
}
