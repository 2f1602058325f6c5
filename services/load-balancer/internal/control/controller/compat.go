package controller

import (
	"math"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func update(u *autoscaler.RoutesUpdate) routing.Update {
	out := routing.Update{Version: u.Version, Complete: u.Complete}
	for _, r := range u.Applications {
		out.Routes = append(out.Routes, route(r))
	}
	if u.Balancers != nil {
		out.Balancers = make([]routing.Balancer, 0, len(*u.Balancers))
		for _, b := range *u.Balancers {
			out.Balancers = append(out.Balancers, routing.Balancer{Name: b.Name, StartedAt: b.StartedAt, Address: value(b.Address)})
		}
	}
	for _, k := range u.Removed {
		out.Removed = append(out.Removed, routing.Application{Namespace: k.Namespace, Deployment: k.Deployment})
	}
	return out
}

// balancerSettings are the settings of an answer; what is left out takes its default.
func balancerSettings(s *common.BalancerSettings) tuning.Settings {
	return tuning.Settings{
		Policy: string(value(s.Policy)), MaxConnections: int(value(s.MaxConnections)),
		Timeout: time.Duration(value(s.TimeoutSeconds)) * time.Second,
	}.OrDefaults()
}

// settingsVersion is 0 where there is none.
func settingsVersion(v *autoscaler.SettingsVersion) uint64 { return uint64(max(value(v), 0)) }

func settingsRequest(s tuning.Settings) common.BalancerSettings {
	policy, connections, timeout := common.BalancingPolicy(s.Policy), int32of(s.MaxConnections), int32of(int(s.Timeout.Seconds()))
	return common.BalancerSettings{Policy: &policy, MaxConnections: &connections, TimeoutSeconds: &timeout}
}

func startRequest(identity string, call dispatch.StartCall) autoscaler.StartRequest {
	return autoscaler.StartRequest{Balancer: identity, Waiting: int32of(call.Waiting), ArrivedAt: at(call.ArrivedAt)}
}

func started(r *autoscaler.StartResponse) dispatch.Started {
	return dispatch.Started{
		Scaled: r.Scaled, ExpectedStart: seconds(r.ExpectedStartSeconds), Elapsed: seconds(r.ElapsedStartSeconds), Blocked: blocked(r.Blocked), Message: r.Message,
	}
}

// applicationTraffic is an application's part of a report; with later, in the words of a controller
// whose receipts have an epoch.
func applicationTraffic(t *dispatch.Traffic, later bool) autoscaler.ApplicationTraffic {
	out := autoscaler.ApplicationTraffic{
		Namespace: t.App.Namespace, Deployment: t.App.Deployment,
		InFlight: int32of(t.InFlight), Streaming: int32of(t.Streaming), Waiting: int32of(t.Waiting), WaitingBytes: t.WaitingBytes,
		LastActivity: at(t.LastActivity), Requests: t.Requests, Failures: t.Failures, Rejected: t.Rejected,
		Latency: latency(t.Times.Response()),
	}
	if later {
		tunnels := int32of(t.Tunnels)
		out.Arrivals, out.Tunnels = &t.Arrivals, &tunnels
		out.BusySeconds, out.StreamSeconds, out.TunnelSeconds = &t.BusySeconds, &t.StreamSeconds, &t.TunnelSeconds
		out.FirstByte, out.Total = latency(t.Times.FirstByte()), latency(t.Times.Whole)
	}
	if later && t.Pods != nil {
		pods := make([]autoscaler.PodTraffic, 0, len(t.Pods))
		for _, p := range t.Pods {
			streaming := int32of(p.Streaming)
			pods = append(pods, autoscaler.PodTraffic{Pod: p.Pod, InFlight: int32of(p.InFlight), Streaming: &streaming})
		}
		out.Pods = &pods
	}
	if len(t.WakeUps) > 0 {
		reports := make([]autoscaler.WakeUpReport, 0, len(t.WakeUps))
		for _, w := range t.WakeUps {
			reports = append(reports, wakeUp(w))
		}
		out.WakeUps = &reports
	}
	return out
}

func latency(s *dispatch.Sketch) *autoscaler.LatencySketch {
	if s == nil {
		return nil
	}
	out := &autoscaler.LatencySketch{Count: s.Count, SumMs: s.SumMs}
	for i, n := range s.Buckets {
		if n > 0 {
			out.Buckets = append(out.Buckets, struct {
				Count int64 `json:"count"`
				Index int32 `json:"index"`
			}{Count: n, Index: int32of(i + dispatch.LowestBucket)})
		}
	}
	return out
}

func wakeUp(w dispatch.WakeUp) autoscaler.WakeUpReport {
	waited := int32of(w.Waited)
	out := autoscaler.WakeUpReport{
		Id: w.ID, ArrivedAt: w.ArrivedAt, StartCalledAt: at(w.StartCalledAt), StartAnsweredAt: at(w.StartAnsweredAt),
		FirstProbeAt: at(w.FirstProbeAt), FirstByteAt: at(w.FirstByteAt), Waited: &waited, Outcome: autoscaler.WakeUpOutcome(w.Outcome),
	}
	if w.Pod != "" {
		out.Pod = &w.Pod
	}
	return out
}

// at is a time that may not have come.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func seconds(s *float64) time.Duration {
	if s == nil || *s <= 0 {
		return 0
	}
	return time.Duration(min(*s, 86400) * float64(time.Second))
}

func wholeSeconds(s *int32) time.Duration {
	return time.Duration(max(value(s), 0)) * time.Second
}

// otherwise is what p points to, or what stands for it when an older controller leaves it out.
func otherwise[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func int32of(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }
