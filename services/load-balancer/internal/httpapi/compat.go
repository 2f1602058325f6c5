package httpapi

import (
	"math"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/dispatch"
)

// maxError bounds what the contract lets an error text have.
const maxError = 1024

func controllerLink(l Link, now time.Time) loadbalancer.ControllerLink {
	out := loadbalancer.ControllerLink{Connected: l.Connected}
	if l.RoutesVersion != "" {
		out.RoutesVersion = &l.RoutesVersion
	}
	if !l.LastGood.IsZero() {
		age := max(now.Sub(l.LastGood).Seconds(), 0)
		out.AgeSeconds = &age
	}
	if l.LastError != "" {
		text := l.LastError[:min(len(l.LastError), maxError)]
		out.LastError = &text
	}
	return out
}

func applicationState(s dispatch.Snapshot) loadbalancer.ApplicationState {
	out := loadbalancer.ApplicationState{
		Namespace: s.Route.Application.Namespace, Deployment: s.Route.Application.Deployment,
		ApiPrefix: s.Route.Prefix, Hosts: s.Route.Hosts, Algorithm: s.Route.Algorithm, State: string(s.Route.State),
		InFlight: int32of(s.InFlight), Streaming: int32of(s.Streaming), Waiting: int32of(s.Waiting), WaitingBytes: s.WaitingBytes,
		Endpoints: make([]loadbalancer.EndpointState, 0, len(s.Pods)),
	}
	if out.Hosts == nil {
		out.Hosts = []string{}
	}
	for _, p := range s.Pods {
		out.Endpoints = append(out.Endpoints, loadbalancer.EndpointState{
			Pod: p.Name, Address: p.Address, Usable: p.Usable, Why: &p.Why, InFlight: int32of(p.InFlight),
		})
	}
	return out
}

func int32of(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }
