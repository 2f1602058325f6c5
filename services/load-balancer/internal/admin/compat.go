package admin

import (
	"encoding/hex"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
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

func logState(l LogState) *loadbalancer.LogState {
	out := &loadbalancer.LogState{WaitingRecords: l.Waiting, Trouble: make([]loadbalancer.LogTrouble, 0, len(l.Trouble))}
	if l.Waiting > 0 {
		age := l.Age.Seconds()
		out.WaitingSeconds = &age
	}
	for _, t := range l.Trouble {
		out.Trouble = append(out.Trouble, loadbalancer.LogTrouble{Kind: t.Kind, Message: t.Message[:min(len(t.Message), maxError)]})
	}
	return out
}

func applicationState(s dispatch.Snapshot) loadbalancer.ApplicationState {
	out := loadbalancer.ApplicationState{
		Namespace: s.Route.Application.Namespace, Deployment: s.Route.Application.Deployment,
		ApiPrefix: s.Route.Prefix, Hosts: s.Route.Hosts, Algorithm: s.Algorithm, State: string(s.Route.State),
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

func balancerSettings(s tuning.Settings) common.BalancerSettings {
	policy, connections, timeout := common.BalancingPolicy(s.Policy), int32of(s.MaxConnections), int32of(int(s.Timeout.Seconds()))
	return common.BalancerSettings{Policy: &policy, MaxConnections: &connections, TimeoutSeconds: &timeout}
}

// settings are those of a request; what is left out takes its default.
func settings(s common.BalancerSettings) tuning.Settings {
	return tuning.Settings{
		Policy: string(value(s.Policy)), MaxConnections: int(value(s.MaxConnections)),
		Timeout: time.Duration(value(s.TimeoutSeconds)) * time.Second,
	}.OrDefaults()
}

// pageSize is that of a page of the log when the request names none, as in the contract.
const pageSize = 100

func logQuery(p loadbalancer.ListProxyLogsParams) (accesslog.Query, error) {
	q := accesslog.Query{
		Since: value(p.Since), Until: value(p.Until), Namespace: value(p.Namespace), Deployment: value(p.Deployment),
		Method: value(p.HttpMethod), Text: value(p.Text), Limit: pageSize, After: value(p.After),
	}
	if p.Limit != nil {
		q.Limit = *p.Limit
	}
	if p.Status != nil { // 404 or 4xx, as the contract has made sure
		if status, err := strconv.Atoi(*p.Status); err == nil {
			q.Status = status
		} else {
			q.Status = int((*p.Status)[0] - '0')
		}
	}
	if p.ClientIp != nil {
		var err error
		if q.Client, err = netip.ParseAddr(*p.ClientIp); err != nil {
			return q, fault.New(fault.Invalid, "").With("client_ip", *p.ClientIp, "an IPv4 or IPv6 address").Because(err)
		}
	}
	return q, nil
}

func logPage(page accesslog.Page) loadbalancer.ProxyLogPage {
	out := loadbalancer.ProxyLogPage{Items: make([]loadbalancer.ProxyLog, 0, len(page.Entries)), Next: optional(page.Next)}
	for _, e := range page.Entries {
		out.Items = append(out.Items, proxyLog(e))
	}
	return out
}

func proxyLog(e accesslog.Entry) loadbalancer.ProxyLog {
	tries, waited := int32of(e.Tries), milliseconds(e.Waited)
	out := loadbalancer.ProxyLog{
		Id: e.ID, Timestamp: e.ArrivedAt.UTC(), TargetUrl: e.Target(), Status: int32of(e.ShownStatus()), ClientIp: e.Client,
		HttpMethod: e.Method, LatencyMs: milliseconds(e.Took), Path: &e.Path, Host: optional(e.Host),
		Namespace: optional(e.Application.Namespace), Deployment: optional(e.Application.Deployment),
		Pod: optional(e.Pod), Policy: optional(e.Policy), WaitedMs: &waited, Tries: &tries,
		RequestBytes: &e.RequestBytes, ResponseBytes: &e.ResponseBytes, Error: optional(e.Error),
	}
	if e.TraceID != [16]byte{} {
		out.TraceId = optional(hex.EncodeToString(e.TraceID[:]))
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func int32of(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }
