package proxy

import (
	"context"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
)

// hopByHop are the fields that concern one connection only (RFC 9110, section 7.6.1).
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// prepare makes the request for the pod out of the client's. The header is changed in place: nobody
// reads the client's version after this.
func (x *exchange) prepare() {
	r := x.r
	target := x.match.Path
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		target += "?" + r.URL.RawQuery
	}
	upgrade, trailers := upgradeOf(r.Header), acceptsTrailers(r.Header)
	stripHopByHop(r.Header)
	if trailers {
		r.Header["Te"] = []string{"trailers"}
	}
	x.forwarded()
	x.request.Method, x.request.Target, x.request.Host = r.Method, target, r.Host
	x.request.Header, x.request.ContentLength, x.request.Trailer = r.Header, r.ContentLength, r.Trailer
	x.request.Upgrade, x.request.Inform = upgrade, x.inform
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	x.request.Expect = strings.EqualFold(r.Header.Get("Expect"), "100-continue")
	x.body.source, x.body.length, x.body.limit = r.Body, r.ContentLength, x.p.o.Limits.Body
	x.body.patience, x.body.control, x.body.touch = x.p.o.Limits.StreamIdle, x.control, x.match.Target.Touch
	// An answer may begin before the request ends: without this the server reads the rest first.
	_ = x.control.EnableFullDuplex()
}

// stripHopByHop removes what the Connection field names first: it may name fields that would
// otherwise look harmless.
func stripHopByHop(h http.Header) {
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// upgradeOf is the protocol that the client wants to change to; "" is none. HTTP/2 in clear text is
// not offered on: the pod would speak past this proxy.
func upgradeOf(h http.Header) string {
	protocol := h.Get("Upgrade")
	if protocol == "" || strings.HasPrefix(strings.ToLower(protocol), "h2c") || !lists(h["Connection"], "upgrade") {
		return ""
	}
	return protocol
}

func acceptsTrailers(h http.Header) bool { return lists(h["Te"], "trailers") }

// lists tells whether comma-separated values have the word.
func lists(values []string, word string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			item, _, _ = strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(item), word) {
				return true
			}
		}
	}
	return false
}

// forwarded says who asked. What the peer says of that itself is believed only of a trusted proxy.
func (x *exchange) forwarded() {
	h := x.r.Header
	peer := peerOf(x.r.RemoteAddr)
	x.peer = peer
	chain := peer
	x.scheme = plain[0]
	if x.trusts(peer) {
		if scheme, _, _ := strings.Cut(first(h["X-Forwarded-Proto"]), ","); strings.EqualFold(scheme, "https") {
			x.scheme = "https"
		}
		if before := h["X-Forwarded-For"]; len(before) > 0 {
			chain = strings.Join(before, ", ") + ", " + peer
		}
	} else {
		for _, name := range []string{"Forwarded", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-Ip"} {
			delete(h, name)
		}
	}
	x.set("X-Forwarded-For", 0, chain)
	if _, ok := h["X-Forwarded-Proto"]; !ok {
		h["X-Forwarded-Proto"] = plain
	}
	if _, ok := h["X-Forwarded-Host"]; !ok {
		x.set("X-Forwarded-Host", 1, x.r.Host)
	}
	if x.match.Prefix != "" {
		x.set("X-Forwarded-Prefix", 2, strings.Join(h["X-Forwarded-Prefix"], "")+x.match.Prefix)
	}
}

// set sets a header whose value lives in the exchange.
func (x *exchange) set(name string, i int, value string) {
	x.headers[i] = value
	x.r.Header[name] = x.headers[i : i+1 : i+1]
}

// plain is shared by all requests, so it is never appended to.
var plain = []string{"http"}

func (x *exchange) trusts(peer string) bool {
	if len(x.p.o.TrustedProxies) == 0 {
		return false
	}
	address, err := netip.ParseAddr(peer)
	if err != nil {
		return false
	}
	address = address.Unmap().WithZone("")
	for _, prefix := range x.p.o.TrustedProxies {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// inject hands the trace on to the pod.
func (x *exchange) inject(ctx context.Context) {
	x.p.propagator.Inject(ctx, propagation.HeaderCarrier(x.r.Header))
}

// inform passes an informational answer on to the client, such as 103 Early Hints.
func (x *exchange) inform(status int, header http.Header) {
	stripHopByHop(header)
	h := x.w.Header()
	maps.Copy(h, header)
	x.w.WriteHeader(status)
	for name := range header {
		delete(h, name)
	}
	x.visit.App.Touch(time.Now())
}
