package command

import (
	"encoding/json"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
)

func sorted(m map[string]any) string {
	text, _ := json.Marshal(m) // keys come in their order
	return string(text)
}

func decision(id string, from, to int32, summary, result string) autoscaler.Decision {
	return autoscaler.Decision{
		Id: id, Time: now.Add(-time.Minute), Namespace: "shop", Deployment: "cart", From: from, To: to, Trigger: "Idle", Applied: result == "applied",
		Result: new(autoscaler.DecisionResult(result)), Summary: summary,
		Reasons: []autoscaler.Reason{{Rule: "Idle", Effect: autoscaler.Wish, Replicas: to, Message: "no traffic for 90.2 s (idleTime 90 s)"}},
	}
}

// awake is an application that works.
func awake() autoscaler.Application {
	d := decision("01-cart-17", 1, 2, "1 → 2: CPU is above 700 m", "applied")
	d.Trigger = "Threshold"
	d.Reasons = []autoscaler.Reason{
		{Rule: "CPU", Effect: autoscaler.Wish, Replicas: 3, Message: "CPU is 812 m, above 700 m"},
		{Rule: "Rule:busy", Effect: autoscaler.Note, Replicas: 1, Message: "holds for 2 s of 10 s"},
		{Rule: "MaxReplicas", Effect: autoscaler.Clamp, Replicas: 2, Message: "maxReplicas is 2"},
	}
	inputs := []struct {
		AgeSeconds *float64 `json:"ageSeconds,omitempty"`
		Name       string   `json:"name"`
		Unit       *string  `json:"unit,omitempty"`
		Value      float64  `json:"value"`
	}{{Name: "cpu", Value: 812.25, Unit: new("m"), AgeSeconds: new(3.2)}, {Name: "pods", Value: 1}}
	d.Reasons[0].Inputs = &inputs
	return autoscaler.Application{
		Namespace: "shop", Deployment: "cart", Autoscaler: "cart-scaler", State: autoscaler.ApplicationStateAwake, Replicas: 2, ReadyReplicas: 1,
		MinReplicas: 0, MaxReplicas: 2, IdleTime: 90, ExpectedStartSeconds: new(12.4), SleepsInSeconds: new(75.0), LastActivityTime: new(now.Add(-15 * time.Second)),
		Pods: []autoscaler.Pod{
			{Name: "cart-1", State: autoscaler.PodStateReady, Alive: true, Restarts: 0, Node: new("n1"), CreatedAt: new(now.Add(-time.Hour)),
				Metrics: &autoscaler.PodUse{Fresh: true, Source: autoscaler.Sidecar, AgeSeconds: 2, Values: common.Measurements{CpuUsage: new(812.25), MemoryUsage: new(11.5)}}},
			{Name: "cart-2", State: autoscaler.PodStateStarting, Restarts: 1, CreatedAt: new(now.Add(-3 * time.Second))},
		},
		Traffic: autoscaler.TrafficSummary{InFlight: 5, Streaming: 1, Waiting: 2, Requests: 1000, Failures: 3, LatencyMs: &struct {
			Mean float64 `json:"mean"`
			P50  float64 `json:"p50"`
			P95  float64 `json:"p95"`
			P99  float64 `json:"p99"`
		}{20, 12.5, 80, 1500}},
		Metrics: &[]autoscaler.MetricMean{
			{MetricType: "CPU_USAGE", Unit: "m", Mean: new(812.25), Pods: 1, Missing: 1, AgeSeconds: new(2.0)},
			{MetricType: "MEMORY_USAGE", Unit: "MiB", Missing: 2},
		},
		LastDecision: &d,
	}
}

// asleep is one that sleeps, and woke before.
func asleep() autoscaler.Application {
	d := decision("01-search-3", 1, 0, "1 → 0: no traffic for 90 s", "applied")
	d.Deployment = "search"
	return autoscaler.Application{
		Namespace: "shop", Deployment: "search", Autoscaler: "search", State: autoscaler.ApplicationStateAsleep, MaxReplicas: 3, IdleTime: 90,
		LastDecision: &d, Conditions: []autoscaler.Condition{{Type: "Active", Status: autoscaler.ConditionStatusFalse, Reason: "Asleep"}},
		LastWakeUp: &autoscaler.WakeUp{
			Id: "4bf92f3577b34da6a3ce929d0e0e4736", ArrivedAt: now.Add(-10 * time.Minute), Outcome: autoscaler.WakeUpOutcomeAnswered, Waited: new(int32(2)), Pod: new("search-1"),
			Phases: []autoscaler.WakeUpPhase{
				{Phase: autoscaler.WakeUpPhasePhaseArrival, SeenBy: autoscaler.LoadBalancer},
				{Phase: autoscaler.WakeUpPhasePhaseScaled, SinceArrivalMs: 8.1, SeenBy: autoscaler.AutoscalerController},
				{Phase: autoscaler.WakeUpPhasePhaseContainerStarted, SinceArrivalMs: 1200, SeenBy: autoscaler.AutoscalerController},
				{Phase: autoscaler.WakeUpPhasePhaseFirstGoodProbe, SinceArrivalMs: 4100, SeenBy: autoscaler.LoadBalancer},
				{Phase: autoscaler.WakeUpPhasePhaseFirstByte, SinceArrivalMs: 4150, SeenBy: autoscaler.LoadBalancer},
			},
		},
	}
}

// broken is one that needs attention.
func broken() autoscaler.Application {
	return autoscaler.Application{
		Namespace: "shop", Deployment: "broken", Autoscaler: "broken", State: autoscaler.ApplicationStateAsleep, MinReplicas: 1, MaxReplicas: 3, IdleTime: 90,
		Mode: new(autoscaler.ModeObserve),
		Conditions: []autoscaler.Condition{
			{Type: "TargetFound", Status: autoscaler.ConditionStatusFalse, Reason: "DeploymentMissing", Message: new("the Deployment shop/broken does not exist")},
			{Type: "AbleToScale", Status: autoscaler.ConditionStatusFalse, Reason: "ModeObserve", Message: new("mode is Observe")},
			{Type: "Ready", Status: autoscaler.ConditionStatusFalse, Reason: "DeploymentMissing"},
		},
		Pods: []autoscaler.Pod{{Name: "broken-1", State: autoscaler.PodStatePending, Message: new("ImagePullBackOff: no such image")}},
	}
}
