package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
)

// spareRecords are used again: the access log keeps nothing of them.
var spareRecords = sync.Pool{New: func() any { return new(accesslog.Record) }}

// keep gives the access log its record.
func (x *exchange) keep(now time.Time) {
	r := spareRecords.Get().(*accesslog.Record) //nolint:forcetypeassert // the pool holds nothing else
	*r = x.record(now)
	x.p.o.AccessLog.Add(r)
	*r = accesslog.Record{}
	spareRecords.Put(r)
}

// record is what the access log is told of the exchange when it has ended. It makes no texts.
func (x *exchange) record(now time.Time) accesslog.Record {
	h, span := x.r.Header, x.span.SpanContext()
	r := accesslog.Record{
		ArrivedAt: x.began, Took: now.Sub(x.began), Waited: x.visit.Waited, FirstByte: x.first,
		Method: x.r.Method, Scheme: x.scheme, Host: x.r.Host, Path: x.path, Query: x.r.URL.RawQuery,
		Version: strings.TrimPrefix(x.r.Proto, "HTTP/"), RequestID: first(h["X-Request-Id"]),
		UserAgent: first(h["User-Agent"]), Referrer: first(h["Referer"]), RequestType: first(h["Content-Type"]), RequestHeaders: x.asked,
		Client: x.client(), Peer: x.peer, PeerPort: portOf(x.r.RemoteAddr),
		Tries: x.tries, WakeUp: x.visit.WakeUp,
		Status: x.status, RequestBytes: x.body.taken, ResponseBytes: x.sent,
		TraceID: span.TraceID(), SpanID: span.SpanID(), Refusal: string(x.refused),
	}
	if x.visit.App != nil {
		r.Application = accesslog.Application(x.visit.App.ID)
	}
	if x.pod != nil {
		r.Pod, r.Address, r.PodPath, r.Policy = x.pod.Name, x.pod.Address, x.match.Path, x.visit.Reason
		r.Upstream = now.Sub(x.visit.SentAt)
	}
	if x.fault != nil {
		r.Error = x.fault.Error()
	}
	answer := x.w.Header() // of a refusal; the server takes nothing back from it
	if x.answer != nil {
		answer = x.answer.Header
	}
	r.ResponseType, r.ResponseHeaders = first(answer["Content-Type"]), logged(answer, x.p.response)
	if x.tap != nil {
		r.GenAI = x.tap.Facts()
	}
	return r
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// field is the name of a header field, as it is looked up and as it is logged.
type field struct{ canonical, lower string }

func fields(lower []string) []field {
	all := make([]field, 0, len(lower))
	for _, name := range lower {
		all = append(all, field{http.CanonicalHeaderKey(name), name})
	}
	return all
}

// logged are those fields of a header.
func logged(h http.Header, fields []field) []accesslog.Header {
	var all []accesslog.Header
	for _, f := range fields {
		if values := h[f.canonical]; len(values) > 0 {
			all = append(all, accesslog.Header{Name: f.lower, Values: values})
		}
	}
	return all
}

// peerOf is the address of who holds the connection.
func peerOf(remote string) string {
	peer, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return peer
}

// portOf is the port of who holds the connection; 0 when there is none.
func portOf(remote string) uint16 {
	port, err := strconv.ParseUint(remote[strings.LastIndexByte(remote, ':')+1:], 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
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
