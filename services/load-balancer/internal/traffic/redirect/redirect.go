// Package redirect says where a request that came in clear finds the same over TLS. It is pure: it
// reads the request's own words, and no socket.
package redirect

import (
	"net/netip"
	"strconv"
	"strings"
)

// Status answers a redirected request: 308 keeps method and body, and clients remember it.
const Status = 308

// Request is what a redirect depends on.
type Request struct {
	Secure         bool   // it came over TLS
	Trusted        bool   // the peer is a trusted proxy
	ForwardedProto string // the value of X-Forwarded-Proto, believed only of a trusted proxy
	Host           string // of the Host field, or :authority
	Target         string // as it was sent
}

// To tells whether a request came in clear, and so is not to be served here, and the URL of the same
// over TLS at port. The URL is "" when none can be made of what the request says: that is a bad
// request, and serving it would be a way around the redirect.
func To(r Request, port int) (url string, clear bool) {
	if r.Secure || r.Trusted && forwardedSecurely(r.ForwardedProto) {
		return "", false
	}
	host, target := r.Host, r.Target
	if rest, ok := cutScheme(target); ok { // the absolute form names the host, whatever Host says
		host, target = rest, ""
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			host, target = rest[:i], rest[i:]
		}
		if target == "" || target[0] == '?' {
			target = "/" + target
		}
	}
	name, ok := hostName(host)
	if !ok || target == "" || target[0] != '/' {
		return "", true
	}
	if target, ok = escaped(target); !ok {
		return "", true
	}
	if port != 443 {
		name += ":" + strconv.Itoa(port)
	}
	return "https://" + name + target, true
}

// forwardedSecurely looks at the first of a list: it is what the client spoke.
func forwardedSecurely(proto string) bool {
	proto, _, _ = strings.Cut(proto, ",")
	return strings.EqualFold(strings.TrimSpace(proto), "https")
}

func cutScheme(target string) (string, bool) {
	const scheme = "http://"
	if len(target) < len(scheme) || !strings.EqualFold(target[:len(scheme)], scheme) {
		return "", false
	}
	return target[len(scheme):], true
}

// hostName is the host without its port. What is neither a name nor an address is refused: as part
// of a URL it could lead somewhere else.
func hostName(host string) (string, bool) {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		if len(host)-i > len(":65535") || strings.Trim(host[i+1:], "0123456789") != "" {
			return "", false
		}
		host = host[:i]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		address, err := netip.ParseAddr(inner)
		if !ok || err != nil || !address.Is6() || address.Zone() != "" {
			return "", false
		}
		return "[" + address.String() + "]", true
	}
	if host == "" || len(host) > 253 {
		return "", false
	}
	for i := range len(host) {
		if c := host[i]; !letterOrDigit(c) && c != '-' && c != '.' && c != '_' {
			return "", false
		}
	}
	return host, true
}

func letterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// escaped is the target as it can stand in a header field. Bytes beyond ASCII, which some clients
// send as they are, are written as browsers would have; a control character or a # is refused.
func escaped(target string) (string, bool) {
	beyond := 0
	for i := range len(target) {
		switch c := target[i]; {
		case c <= ' ' || c == 0x7f || c == '#':
			return "", false
		case c > 0x7f:
			beyond++
		}
	}
	if beyond == 0 {
		return target, true
	}
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(target)+2*beyond)
	for i := range len(target) {
		c := target[i]
		if c > 0x7f {
			out = append(out, '%', hex[c>>4], hex[c&15])
			continue
		}
		out = append(out, c)
	}
	return string(out), true
}
