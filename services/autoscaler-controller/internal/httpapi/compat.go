package httpapi

import (
	"math"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// The files named compat translate our types into the contract's; what a CustomAutoscaler's status has
// too is translated by package contract.

func routesUpdate(u fleet.Update, now time.Time) autoscaler.RoutesUpdate {
	out := autoscaler.RoutesUpdate{
		Version: u.Version, Complete: u.Complete, Settings: balancerSettings(u.Settings), SettingsVersion: settingsVersion(u.Settings),
		Applications: make([]autoscaler.Route, len(u.Routes)), Removed: make([]autoscaler.ApplicationKey, len(u.Removed)),
	}
	if u.Buckets != nil {
		out.Buckets = &u.Buckets
	}
	if u.Shards > 1 {
		out.Shard, out.Shards = new(int32(u.Shard)), new(int32(u.Shards)) //nolint:gosec // G115: at most 64
	}
	if u.Balancers != nil {
		list := make([]autoscaler.LiveBalancer, len(u.Balancers))
		for i, b := range u.Balancers {
			list[i] = autoscaler.LiveBalancer{Name: b.Name, StartedAt: b.StartedAt, Address: optional(b.Address)}
		}
		out.Balancers = &list
	}
	for i, r := range u.Routes {
		out.Applications[i] = route(r, now)
	}
	for i, k := range u.Removed {
		out.Removed[i] = autoscaler.ApplicationKey{Namespace: k.Namespace, Deployment: k.Deployment}
	}
	return out
}

func startResponse(s fleet.Started) autoscaler.StartResponse {
	return autoscaler.StartResponse{
		State: autoscaler.ApplicationState(s.State), Replicas: s.Replicas, Scaled: s.Scaled,
		DecisionId: optional(s.DecisionID), ExpectedStartSeconds: seconds(s.ExpectedStart),
		ElapsedStartSeconds: seconds(s.Elapsed), Blocked: blocked(s.Blocked), Message: s.Message,
	}
}

func application(v fleet.View, last *fleet.Record, conditions []fleet.Condition) autoscaler.Application {
	out := autoscaler.Application{
		Namespace: v.Namespace, Deployment: v.Key.Deployment, Autoscaler: v.Autoscaler,
		State: autoscaler.ApplicationState(v.State), Mode: new(autoscaler.ScalingMode(modeOf(v))), Replicas: v.Observation.Deployment.Replicas, ReadyReplicas: v.Ready,
		MinReplicas: v.Spec.MinReplicas, MaxReplicas: v.Spec.MaxReplicas, IdleTime: wholeSeconds(v.Spec.IdleTime),
		ExpectedStartSeconds: seconds(v.ExpectedStart), LastActivityTime: moment(v.LastActivity),
		Pods: make([]autoscaler.Pod, len(v.Pods)), Traffic: traffic(v.Traffic),
		Conditions: make([]autoscaler.Condition, len(conditions)), LastWakeUp: wakeUp(v.WakeUp), Blocked: blocked(v.Blocked),
	}
	if v.SleepsIn >= 0 {
		in := v.SleepsIn.Seconds()
		out.SleepsInSeconds = &in
	}
	for i, p := range v.Pods {
		out.Pods[i] = pod(p)
	}
	for i, c := range conditions {
		out.Conditions[i] = contract.Condition(c)
	}
	means := metricMeans(v.Means)
	out.Metrics = &means
	if last != nil {
		d := contract.Decision(*last)
		out.LastDecision = &d
	}
	return out
}

func traffic(t fleet.Summary) autoscaler.TrafficSummary {
	out := autoscaler.TrafficSummary{
		InFlight: t.InFlight, Streaming: t.Streaming, Waiting: t.Waiting,
		Requests: t.Requests, Failures: t.Failures, Rejected: t.Rejected,
	}
	out.Balancers = make([]struct {
		AgeSeconds float64 `json:"ageSeconds"`
		Name       string  `json:"name"`
	}, len(t.Balancers))
	for i, b := range t.Balancers {
		out.Balancers[i].Name, out.Balancers[i].AgeSeconds = b.Name, b.Age.Seconds()
	}
	if l := t.Latency; l != nil {
		out.LatencyMs = &struct {
			Mean float64 `json:"mean"`
			P50  float64 `json:"p50"`
			P95  float64 `json:"p95"`
			P99  float64 `json:"p99"`
		}{l.Mean, l.P50, l.P95, l.P99}
	}
	return out
}

func wakeUp(w *fleet.WakeUp) *autoscaler.WakeUp {
	if w == nil {
		return nil
	}
	out := &autoscaler.WakeUp{
		Id: w.ID, ArrivedAt: w.ArrivedAt.UTC(), Outcome: autoscaler.WakeUpOutcome(w.Outcome),
		Pod: optional(w.Pod), Phases: make([]autoscaler.WakeUpPhase, len(w.Phases)),
	}
	if w.Waited > 0 {
		out.Waited = &w.Waited
	}
	for i, p := range w.Phases {
		seenBy := autoscaler.AutoscalerController
		if p.ByBalancer {
			seenBy = autoscaler.LoadBalancer
		}
		out.Phases[i] = autoscaler.WakeUpPhase{
			Phase: autoscaler.WakeUpPhasePhase(p.Name), At: p.At.UTC(), SeenBy: seenBy,
			SinceArrivalMs: float64(p.At.Sub(w.ArrivedAt).Microseconds()) / 1000,
		}
	}
	return out
}

func seconds(d time.Duration) *float64 {
	if d <= 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func optional[S ~string](s S) *S {
	if s == "" {
		return nil
	}
	return &s
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// wholeSeconds is a duration as the contract has it; what was stored is within the schema's ranges.
func wholeSeconds(d time.Duration) int32 {
	return int32(min(d/time.Second, math.MaxInt32)) //nolint:gosec // G115: bounded
}
