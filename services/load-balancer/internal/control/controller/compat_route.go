package controller

import (
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// route is a route in our own words. What an older controller leaves out has its default; of what a
// newer one says and is not known here, what does no harm is taken.
func route(r autoscaler.Route) routing.Route {
	out := routing.Route{
		Application:    routing.Application{Namespace: r.Namespace, Deployment: r.Deployment},
		Prefix:         r.ApiPrefix,
		Hosts:          r.Hosts,
		StripPrefix:    otherwise(r.StripPrefix, true),
		RewriteAnswers: otherwise(r.RewriteAnswers, true),
		Protocol:       protocol(r.Protocol),
		Uncounted:      uncounted(r.UncountedRequests),
		WhileWaiting:   whileWaiting(r.WhileWaiting),
		Algorithm:      string(value(r.Algorithm)),
		HashOn:         hashOn(r.ConsistentHash),
		State:          routing.State(r.State),
		AsleepFor:      lease(r.DrainLeaseSeconds),
		Concurrency:    int(r.ContainerConcurrency),
		WakeUpTimeout:  time.Duration(r.WakeUpTimeoutSeconds) * time.Second,
		StartTimeout:   wholeSeconds(r.StartTimeoutSeconds),
		BusyTimeout:    wholeSeconds(r.BusyTimeoutSeconds),
		ExpectedStart:  seconds(r.ExpectedStartSeconds),
		Blocked:        blocked(r.Blocked),
		ServiceAddress: value(r.ServiceAddress),
	}
	for _, a := range value(r.AlsoAt) {
		out.AlsoAt = append(out.AlsoAt, place(a))
	}
	for _, e := range r.Endpoints {
		endpoint := routing.Endpoint{Pod: e.Pod, Address: e.Address, AlsoAt: value(e.AlsoAt), Ready: e.Ready, Terminating: e.Terminating, Probeable: e.Probeable,
			Draining: value(e.Draining), DrainLease: lease(e.DrainLeaseSeconds), Load: load(e.Load)}
		for _, p := range e.Probes {
			endpoint.Probes = append(endpoint.Probes, probe(p))
		}
		out.Endpoints = append(out.Endpoints, endpoint)
	}
	return out
}

func place(a autoscaler.RouteAddress) routing.Place {
	out := routing.Place{
		Prefix: a.ApiPrefix, Hosts: a.Hosts, StripPrefix: otherwise(a.StripPrefix, true), RewriteAnswers: otherwise(a.RewriteAnswers, true),
		Protocol: routing.HTTP1, ServiceAddress: value(a.ServiceAddress),
	}
	if value(a.Protocol) == autoscaler.RouteAddressH2C {
		out.Protocol = routing.H2C
	}
	return out
}

func hashOn(h *autoscaler.ConsistentHashKey) routing.HashOn {
	if h == nil {
		return routing.HashOn{}
	}
	return routing.HashOn{
		Header: value(h.Header), Cookie: value(h.Cookie), Query: value(h.Query), ClientAddress: value(h.ClientAddress), MCPSession: value(h.McpSession),
	}
}

func load(l *autoscaler.EndpointLoad) *routing.Load {
	if l == nil {
		return nil
	}
	return &routing.Load{Running: value(l.Running), Waiting: value(l.Waiting), Cache: value(l.CacheUsage), At: l.At}
}

// lease is how long something holds; 0 is that it is not said. One that is over by now holds for a
// moment.
func lease(left *float64) time.Duration {
	if left == nil {
		return 0
	}
	return max(seconds(left), time.Millisecond)
}

func protocol(p *autoscaler.RouteProtocol) routing.Protocol {
	if value(p) == autoscaler.H2C {
		return routing.H2C
	}
	return routing.HTTP1
}

func whileWaiting(w *autoscaler.WhileWaiting) routing.WhileWaiting {
	switch known := routing.WhileWaiting(value(w)); known {
	case routing.ShowProgress, routing.Accept, routing.RefuseAtOnce, routing.ShowPage:
		return known
	default:
		return routing.Hold
	}
}

func uncounted(list *[]autoscaler.UncountedRequest) routing.Uncounted {
	rules := make([]routing.UncountedRule, 0, len(value(list)))
	for _, u := range value(list) {
		rule := routing.UncountedRule{Paths: value(u.Paths), Methods: value(u.Methods), UserAgents: value(u.UserAgents), Status: http.StatusOK}
		if value(u.StatusWhileAsleep) == autoscaler.AnswerUnavailable {
			rule.Status = http.StatusServiceUnavailable
		}
		rules = append(rules, rule)
	}
	return routing.NewUncounted(rules)
}

func blocked(b *autoscaler.Blocked) routing.Blocked {
	if b == nil {
		return routing.Blocked{}
	}
	return routing.Blocked{Reason: b.Reason, Message: b.Message, Since: b.Since}
}

func probe(p autoscaler.Probe) routing.Probe {
	out := routing.Probe{
		TCP:     p.Type == autoscaler.Tcp,
		Port:    int(p.Port),
		HTTPS:   value(p.Scheme) == autoscaler.HTTPS,
		Host:    value(p.Host),
		Path:    value(p.Path),
		Timeout: time.Duration(p.TimeoutSeconds) * time.Second,

		Delay: seconds(p.DelaySeconds), Successes: int(value(p.SuccessThreshold)), Period: wholeSeconds(p.PeriodSeconds),
	}
	if p.Headers != nil {
		for _, h := range *p.Headers {
			out.Headers = append(out.Headers, routing.Header{Name: h.Name, Value: h.Value})
		}
	}
	return out
}
