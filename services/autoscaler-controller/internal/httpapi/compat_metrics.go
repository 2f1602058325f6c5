package httpapi

import (
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// This file belongs to compat.go: the part that speaks of pods and of what they use.

func pod(p fleet.PodView) autoscaler.Pod {
	return autoscaler.Pod{
		Name: p.Name, Node: optional(p.Node), Address: optional(p.Address), State: autoscaler.PodState(p.State), Alive: p.Alive(),
		Message: optional(p.Message), Restarts: p.Restarts, CreatedAt: moment(p.CreatedAt), ReadyAt: moment(p.ReadyAt), Metrics: podUse(p.Use),
	}
}

func podUse(u *fleet.PodUse) *autoscaler.PodUse {
	if u == nil {
		return nil
	}
	known := func(g fleet.Gauge) *float64 {
		if v, ok := u.Values[g]; ok {
			return &v
		}
		return nil
	}
	return &autoscaler.PodUse{
		Source: autoscaler.PodUseSource(u.Source), AgeSeconds: max(u.Age.Seconds(), 0), Fresh: u.Fresh,
		Values: common.Measurements{
			CpuUsage: known(fleet.CPUUsage), MemoryUsage: known(fleet.MemoryUsage), DiskUsage: known(fleet.DiskUsage), ResponseTime: known(fleet.ResponseTime),
			GpuUsage: known(fleet.GPUUsage), GpuMemoryUsage: known(fleet.GPUMemoryUsage), GpuPower: known(fleet.GPUPower),
			InFlight: known(fleet.InFlight), Queued: known(fleet.Queued), CacheUsage: known(fleet.CacheUsage), RequestRate: known(fleet.RequestRate), TimeToFirstToken: known(fleet.TimeToFirstToken),
		},
	}
}

func metricMeans(list []scaling.Mean) []autoscaler.MetricMean {
	out := make([]autoscaler.MetricMean, len(list))
	for i, m := range list {
		out[i] = autoscaler.MetricMean{MetricType: string(m.Metric), Unit: m.Metric.Unit(), Pods: m.Pods, Missing: m.Missing}
		if m.Pods > 0 {
			mean, age := m.Value, max(m.Age.Seconds(), 0)
			out[i].Mean, out[i].AgeSeconds = &mean, &age
		}
	}
	return out
}

func applicationMetrics(v fleet.View) autoscaler.ApplicationMetrics {
	out := autoscaler.ApplicationMetrics{Namespace: v.Namespace, Deployment: v.Key.Deployment, Means: metricMeans(v.Means)}
	out.Pods = make([]struct {
		Metrics *autoscaler.PodUse `json:"metrics,omitempty"`
		Pod     string             `json:"pod"`
	}, len(v.Pods))
	for i, p := range v.Pods {
		out.Pods[i].Pod, out.Pods[i].Metrics = p.Name, podUse(p.Use)
	}
	return out
}

// podItem is one pod and where it belongs; the contract has no name for it.
type podItem = struct {
	Deployment string         `json:"deployment"`
	Namespace  string         `json:"namespace"`
	Pod        autoscaler.Pod `json:"pod"`
}

func shownPod(v fleet.View, p fleet.PodView) podItem {
	return podItem{Namespace: v.Namespace, Deployment: v.Key.Deployment, Pod: pod(p)}
}
