package proxy

import (
	"net/netip"
	"strings"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// prepare makes the request for the pod out of the client's: fields that are not passed on are
// marked, and what is added stands beside them.
func (x *exchange) prepare() {
	r := x.r
	r.Fields.DropHopByHop()
	r.Fields.Drop(message.Host)
	r.Fields.Drop(message.ContentLength)
	r.Fields.Drop(message.Expect)
	if r.Trailers {
		x.set("TE", "trailers")
	}
	x.forwarded()
	x.affinity = x.common()
	x.out = Outgoing{
		Head: r, Add: x.add, Path: x.podPath(), Host: r.Host, Length: r.Length, Expect: r.Expect, Upgrade: r.Upgrade,
		Client: x.c, Silence: x.p.o.Silence(), Resend: repeatable(r.Method), Inform: x, Answer: &x.head,
	}
	switch {
	case x.body.complete && len(x.c.Trailer()) == 0:
		x.out.Whole, x.out.Length = x.body.bytes, int64(len(x.body.bytes))
	default:
		if r.Length < 0 {
			x.add = announced(x.add, r.Fields)
		}
		x.out.Begun, x.out.Streams, x.out.Client = x.body.bytes, true, rest{x.c, x}
		if x.holdsPlace() {
			x.body.pace.begin()
		}
	}
}

// repeatable methods may be sent again when it is not known whether they were worked on (RFC 9110,
// section 9.2.2); of the idempotent ones those that change nothing.
func repeatable(method string) bool {
	return method == "GET" || method == "HEAD" || method == "OPTIONS"
}

func (x *exchange) set(name, value string) {
	x.add = append(x.add, message.Field{Name: name, Value: value})
}

// forwarded says who asked. What the peer says of that itself is believed only of a trusted proxy.
func (x *exchange) forwarded() {
	fields := x.r.Fields
	x.peer = x.c.Peer()
	chain, prefix := x.peer.Address, ""
	x.scheme = "http"
	if x.peer.TLS {
		x.scheme = "https"
	}
	if x.trusts(x.peer.IP) {
		if scheme, _, _ := strings.Cut(fields.First(message.XForwardedProto), ","); scheme != "" {
			x.scheme = "http"
			if strings.EqualFold(strings.TrimSpace(scheme), "https") {
				x.scheme = "https"
			}
		}
		if before := joined(fields, message.XForwardedFor); before != "" {
			chain = before + ", " + x.peer.Address
		}
		prefix = joined(fields, message.XForwardedPrefix)
	} else {
		for i := range fields {
			if fields[i].Known.Says() {
				fields[i].Dropped = true
			}
		}
	}
	fields.Drop(message.XForwardedFor)
	x.set("X-Forwarded-For", chain)
	if !passes(fields, message.XForwardedProto) {
		x.set("X-Forwarded-Proto", x.scheme)
	}
	if !passes(fields, message.XForwardedHost) {
		x.set("X-Forwarded-Host", x.r.Host)
	}
	if x.stripped() {
		fields.Drop(message.XForwardedPrefix)
		x.set("X-Forwarded-Prefix", prefix+x.match.Prefix)
	}
}

// passes tells whether such a field goes out.
func passes(fields message.Fields, k message.Known) bool {
	for i := range fields {
		if fields[i].Known == k && !fields[i].Dropped {
			return true
		}
	}
	return false
}

// joined is the values of all such fields.
func joined(fields message.Fields, k message.Known) string {
	all := ""
	for i := range fields {
		if fields[i].Known == k {
			if all != "" {
				all += ", "
			}
			all += fields[i].Value
		}
	}
	return all
}

func (x *exchange) trusts(peer netip.Addr) bool {
	for _, prefix := range x.p.o.TrustedProxies {
		if prefix.Contains(peer) {
			return true
		}
	}
	return false
}

// Inform passes an informational answer on to the client, such as 103 Early Hints.
func (x *exchange) Inform(h *message.Response) {
	h.Fields.DropHopByHop()
	h.Fields.Drop(message.ContentLength)
	if x.r.Version != message.HTTP10 {
		x.rewriteAnswer(h.Fields)
		_ = x.c.Inform(h) // when it cannot be written, neither can the answer
	}
	x.visit.Touch(x.p.o.Now())
}
