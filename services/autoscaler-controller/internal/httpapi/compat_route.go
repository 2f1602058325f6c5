package httpapi

import (
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// route is a route as of now: leases are told by what is left of them. Where the same route is put into
// other words, its hash must be another one: see fleet.
func route(r *fleet.Route, now time.Time) autoscaler.Route {
	out := autoscaler.Route{
		Namespace: r.Namespace, Deployment: r.Deployment, Autoscaler: r.Autoscaler, Hash: hash(r.Hash),
		ApiPrefix: r.Address.Prefix, Hosts: orEmpty(r.Address.Hosts),
		Algorithm: optional(autoscaler.LoadBalancingAlgorithm(r.Address.Algorithm)), ConsistentHash: consistentHash(r.Address.Hash), State: autoscaler.ApplicationState(r.State),
		ContainerConcurrency: r.Address.Concurrency, WakeUpTimeoutSeconds: wholeSeconds(r.WakeUpTimeout),
		StartTimeoutSeconds: optionalSeconds(r.Waiting.StartTimeout), BusyTimeoutSeconds: optionalSeconds(r.Waiting.BusyTimeout),
		WhileWaiting: optional(autoscaler.WhileWaiting(r.Waiting.While)), UncountedRequests: uncounted(r.Uncounted),
		StripPrefix: &r.Address.StripPrefix, RewriteAnswers: &r.Address.RewriteAnswers, Protocol: protocol(r.Address.H2C), AlsoAt: alsoAt(r.Address.AlsoAt),
		Blocked: blocked(r.Blocked), ExpectedStartSeconds: seconds(r.ExpectedStart), ServiceAddress: optional(r.Address.Service),
		Endpoints: make([]autoscaler.Endpoint, len(r.Endpoints)),
	}
	if !r.AsleepUntil.IsZero() {
		left := max(r.AsleepUntil.Sub(now), 0).Seconds()
		out.DrainLeaseSeconds = &left
	}
	for i, e := range r.Endpoints {
		out.Endpoints[i] = autoscaler.Endpoint{
			Pod: e.Pod, Address: e.Address, AlsoAt: optionalList(e.AlsoAt), Ready: e.Ready, Terminating: e.Terminating, Probeable: e.Probeable,
			Probes: make([]autoscaler.Probe, len(e.Probes)), Load: load(e.Load),
		}
		if left := e.DrainsUntil.Sub(now); left > 0 {
			draining, lease := true, left.Seconds()
			out.Endpoints[i].Draining, out.Endpoints[i].DrainLeaseSeconds = &draining, &lease
		}
		for j, p := range e.Probes {
			out.Endpoints[i].Probes[j] = probe(p, now)
		}
	}
	return out
}

func hash(sum uint64) *string {
	if sum == 0 {
		return nil
	}
	text := fmt.Sprintf("%016x", sum)
	return &text
}

// alsoAt are the further addresses of an application.
func alsoAt(places []fleet.Place) *[]autoscaler.RouteAddress {
	if len(places) == 0 {
		return nil
	}
	out := make([]autoscaler.RouteAddress, len(places))
	for i, p := range places {
		spoken := autoscaler.RouteAddressProtocol(*protocol(p.H2C))
		out[i] = autoscaler.RouteAddress{
			ApiPrefix: p.Prefix, Hosts: orEmpty(p.Hosts), StripPrefix: &p.StripPrefix, RewriteAnswers: &p.RewriteAnswers,
			Protocol: &spoken, ServiceAddress: optional(p.Service),
		}
	}
	return &out
}

func consistentHash(h fleet.HashOn) *autoscaler.ConsistentHashKey {
	if h == (fleet.HashOn{}) {
		return nil
	}
	return &autoscaler.ConsistentHashKey{
		Header: optional(h.Header), Cookie: optional(h.Cookie), Query: optional(h.Query),
		ClientAddress: ifTrue(h.ClientAddress), McpSession: ifTrue(h.MCPSession),
	}
}

func ifTrue(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}

func load(l *fleet.Load) *autoscaler.EndpointLoad {
	if l == nil {
		return nil
	}
	return &autoscaler.EndpointLoad{Running: l.Running, Waiting: l.Waiting, CacheUsage: l.CacheUsage, At: l.At.UTC()}
}

func protocol(h2c bool) *autoscaler.RouteProtocol {
	p := autoscaler.HTTP1
	if h2c {
		p = autoscaler.H2C
	}
	return &p
}

func uncounted(list []fleet.UncountedRequest) *[]autoscaler.UncountedRequest {
	if len(list) == 0 {
		return nil
	}
	out := make([]autoscaler.UncountedRequest, len(list))
	for i, u := range list {
		status := autoscaler.UncountedRequestStatusWhileAsleep(u.StatusWhileAsleep)
		out[i] = autoscaler.UncountedRequest{
			Paths: optionalList(u.Paths), Methods: optionalList(u.Methods), UserAgents: optionalList(u.UserAgents), StatusWhileAsleep: &status,
		}
	}
	return &out
}

func blocked(b fleet.Blocked) *autoscaler.Blocked {
	if b.Reason == "" {
		return nil
	}
	return &autoscaler.Blocked{Reason: b.Reason, Message: shortened(b.Message), Since: b.Since.UTC()}
}

// shortened is a text within the contract's bound.
func shortened(s string) string {
	const limit = 1024
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

func optionalSeconds(d time.Duration) *int32 {
	if d <= 0 {
		return nil
	}
	s := wholeSeconds(d)
	return &s
}

func optionalList(list []string) *[]string {
	if len(list) == 0 {
		return nil
	}
	return &list
}

func probe(p fleet.Probe, now time.Time) autoscaler.Probe {
	out := autoscaler.Probe{Type: autoscaler.Tcp, Port: p.Port, TimeoutSeconds: wholeSeconds(p.Timeout), DelaySeconds: seconds(p.Remaining(now))}
	if p.Successes > 1 {
		out.SuccessThreshold, out.PeriodSeconds = &p.Successes, optionalSeconds(p.Period)
	}
	if !p.HTTP {
		return out
	}
	out.Type = autoscaler.Http
	scheme := autoscaler.ProbeScheme(p.Scheme)
	out.Scheme, out.Path, out.Host = &scheme, optional(p.Path), optional(p.Host)
	if len(p.Headers) > 0 {
		headers := make([]struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		}, len(p.Headers))
		for i, h := range p.Headers {
			headers[i].Name, headers[i].Value = h.Name, h.Value
		}
		out.Headers = &headers
	}
	return out
}
