package ingest

import (
	"context"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Measured takes what pods use, and says how many measurements it had to drop.
type Measured interface {
	Measure(list []fleet.Measurement) (dropped int)
}

// MetricsMeter counts measurements by what became of them.
type MetricsMeter interface {
	Measured(source fleet.Source, taken, dropped int)
}

// Metrics takes POST /metrics.
type Metrics struct {
	sink  Measured
	meter MetricsMeter
}

// NewMetrics makes it.
func NewMetrics(sink Measured, meter MetricsMeter) *Metrics { return &Metrics{sink, meter} }

// SubmitPodMetrics takes one measurement.
func (m *Metrics) SubmitPodMetrics(_ context.Context, in autoscaler.SubmitPodMetricsRequestObject) (autoscaler.SubmitPodMetricsResponseObject, error) {
	dropped := m.sink.Measure([]fleet.Measurement{measurement(*in.Body, time.Now())})
	m.meter.Measured(fleet.Sidecar, 1-dropped, dropped)
	if dropped > 0 {
		return nil, fault.New(fault.TooMany, "%d pods are measured already, and more are not listened to", fleet.MaxMeasuredPods).After(10 * time.Second)
	}
	return autoscaler.SubmitPodMetrics200JSONResponse{Status: autoscaler.MetricsReceived}, nil
}

func measurement(in common.PodMetrics, now time.Time) fleet.Measurement {
	out := fleet.Measurement{
		Pod: fleet.PodName{Namespace: in.Namespace, Name: in.PodName}, Source: fleet.Sidecar,
		At: now.Add(-time.Duration(value(in.AgeSeconds) * float64(time.Second))), Values: map[fleet.Gauge]float64{},
	}
	v := in.Metrics
	for gauge, given := range map[fleet.Gauge]*float64{
		fleet.CPUUsage: v.CpuUsage, fleet.MemoryUsage: v.MemoryUsage, fleet.DiskUsage: v.DiskUsage, fleet.ResponseTime: v.ResponseTime,
		fleet.GPUUsage: v.GpuUsage, fleet.GPUMemoryUsage: v.GpuMemoryUsage, fleet.InFlight: v.InFlight, fleet.Queued: v.Queued,
		fleet.CacheUsage: v.CacheUsage, fleet.RequestRate: v.RequestRate, fleet.TimeToFirstToken: v.TimeToFirstToken,
	} {
		if given != nil {
			out.Values[gauge] = *given
		}
	}
	return out
}
