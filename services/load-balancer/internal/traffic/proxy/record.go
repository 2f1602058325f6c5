package proxy

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// fillRecord puts together what the access log is given of the exchange when it has ended. It makes
// no texts.
func (x *exchange) fillRecord(r *accesslog.Record, now time.Time) {
	if x.peer.Address == "" { // it was refused before its head was looked at
		x.peer = x.c.Peer()
	}
	fields, ids := x.r.Fields, x.ids()
	r.ArrivedAt, r.Took, r.Waited, r.FirstByte = x.began, now.Sub(x.began), x.visit.Waited, x.first
	r.Method, r.Scheme, r.Host, r.Path, r.Query = x.r.Method, x.scheme, x.r.Host, x.r.Path, x.r.Query
	r.Version, r.RequestHeaders = x.r.Version.String(), logged(fields, x.p.o.LogRequest)
	r.Client, r.Peer, r.PeerPort = x.client(), x.peer.Address, x.peer.Port
	r.Tries, r.WakeUp, r.Uncounted = x.visit.Tries, x.visit.WakeUp, x.uncounted.is
	r.Status, r.RequestBytes, r.ResponseBytes = x.status, x.body.taken, x.sent
	r.TraceID, r.SpanID, r.Refusal = ids.TraceID(), ids.SpanID(), string(x.refused)
	for i := range fields {
		f := &fields[i]
		switch f.Known {
		case message.XRequestID:
			r.RequestID = f.Value
		case message.UserAgent:
			r.UserAgent = f.Value
		case message.Referer:
			r.Referrer = f.Value
		case message.ContentType:
			r.RequestType = f.Value
		default: // the log has no place of its own for it
		}
	}
	if x.visit.App != nil || x.crowdsOut {
		r.Application = accesslog.Application(x.match.Target.ID)
	}
	if x.pod != nil {
		r.Pod, r.Address, r.PodPath, r.Policy = x.pod.Name, x.to.Address, x.out.Path, x.visit.Reason
		r.Upstream = now.Sub(x.visit.SentAt)
	}
	if x.fault != nil {
		r.Error = x.fault.Error()
	}
	r.ResponseType, r.ResponseHeaders = x.answered.First(message.ContentType), logged(x.answered, x.p.o.LogResponse)
	if x.tap != nil {
		r.GenAI = x.tap.Facts()
	}
}

// logged are those fields of a head; names are in lower case.
func logged(fields message.Fields, names []string) []accesslog.Header {
	var all []accesslog.Header
	for _, name := range names {
		var values []string
		for i := range fields {
			if fields[i].Is(name) {
				values = append(values, fields[i].Value)
			}
		}
		if len(values) > 0 {
			all = append(all, accesslog.Header{Name: name, Values: values})
		}
	}
	return all
}

// client is who really asks: the nearest address in the chain of proxies that is not a trusted
// one's. What stands before it in the chain, anyone may have written.
func (x *exchange) client() string {
	if !x.trusts(x.peer.IP) {
		return x.peer.Address
	}
	client := x.peer.Address
	fields := x.r.Fields
	for _, field := range slices.Backward(fields) {
		if field.Known != message.XForwardedFor {
			continue
		}
		for rest, more := field.Value, true; more; {
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
			if client = address.String(); !x.trusts(address) {
				return client
			}
		}
	}
	return client
}

// addressOf is the address in a part of X-Forwarded-For, which may have a port.
func addressOf(hop string) (netip.Addr, bool) {
	if address, err := netip.ParseAddr(hop); err == nil {
		return address.Unmap().WithZone(""), true
	}
	if both, err := netip.ParseAddrPort(hop); err == nil {
		return both.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}
