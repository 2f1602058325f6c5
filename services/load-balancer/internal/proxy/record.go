package proxy

import (
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/accesslog"
)

// keptURI is the length of a request's target from which on the log keeps copies of its parts: they
// would keep the whole of it alive.
const keptURI = 1024

// record is what the access log is told of the exchange when it has ended. It makes no texts.
func (x *exchange) record(now time.Time) accesslog.Record {
	r := accesslog.Record{
		ArrivedAt: x.began, Took: now.Sub(x.began), Waited: x.visit.Waited,
		Method: x.r.Method, Host: x.r.Host, Path: x.path, Client: x.client(), Peer: x.peer,
		Tries: x.tries, Status: x.status, RequestBytes: x.body.taken, ResponseBytes: x.sent,
		TraceID: x.span.SpanContext().TraceID(),
	}
	if x.visit.App != nil {
		r.Application = x.visit.App.ID
	}
	if x.pod != nil {
		r.Pod, r.Address, r.PodPath, r.Policy = x.pod.Name, x.pod.Address, x.match.Path, x.visit.Reason
	}
	if x.fault != nil {
		r.Error = x.fault.Error()
	}
	if len(x.r.RequestURI) > keptURI {
		r.Method, r.Path, r.PodPath = strings.Clone(r.Method), strings.Clone(r.Path), strings.Clone(r.PodPath)
	}
	return r
}

// peerOf is the address of who holds the connection.
func peerOf(remote string) string {
	peer, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return peer
}

// client is who really asks: the nearest address in the chain of proxies that is not a trusted
// one's. What stands before it in the chain, anyone may have written.
func (x *exchange) client() string {
	if x.peer == "" { // it was refused before its header was looked at
		x.peer = peerOf(x.r.RemoteAddr)
	}
	client := x.peer
	chain := x.r.Header["X-Forwarded-For"]
	for i := len(chain) - 1; i >= 0 && x.trusts(client); i-- {
		for rest, more := chain[i], true; more && x.trusts(client); {
			var hop string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, hop = rest[:comma], rest[comma+1:]
			} else {
				hop, more = rest, false
			}
			address, ok := addressOf(strings.TrimSpace(hop))
			if !ok {
				return client
			}
			client = address
		}
	}
	return client
}

// addressOf is the address in a part of X-Forwarded-For, which may have a port.
func addressOf(hop string) (string, bool) {
	if address, err := netip.ParseAddr(hop); err == nil {
		return address.Unmap().String(), true
	}
	if both, err := netip.ParseAddrPort(hop); err == nil {
		return both.Addr().Unmap().String(), true
	}
	return "", false
}
