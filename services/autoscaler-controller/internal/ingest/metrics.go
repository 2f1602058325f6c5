package ingest

import (
	"context"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Measured takes what pods use.
type Measured interface {
	Measure(list []fleet.Measurement)
}

// MetricsMeter counts measurements by what became of them.
type MetricsMeter interface {
	Measured(source fleet.Source, taken int)
	// Refused counts items of batches that are not what the contract allows.
	Refused(items int)
}

// Metrics takes POST /metrics and POST /v1/pod-metrics.
type Metrics struct {
	sink  Measured
	meter MetricsMeter
	judge *judge
	place func(namespace string) (shard int, ours bool) // nil: all is ours
	node  func(namespace, pod string) string            // nil: no pod's is known
}

// NewMetrics makes it. node is the node of a pod, "" where that is not known; nil: it never is.
func NewMetrics(sink Measured, meter MetricsMeter, node func(namespace, pod string) string) (*Metrics, error) {
	judge, err := newJudge()
	if err != nil {
		return nil, err
	}
	return &Metrics{sink: sink, meter: meter, judge: judge, node: node}, nil
}

// Of are the same where other replicas take what is not ours: of pushes as they came it understands those
// alone that are, and of batches it takes what is and passes the rest on.
func (m *Metrics) Of(place func(namespace string) (shard int, ours bool)) *Metrics {
	out := *m
	out.place = place
	return &out
}

func (m *Metrics) ours(namespace string) (shard int, ours bool) {
	if m.place == nil {
		return 0, true
	}
	return m.place(namespace)
}

// SubmitPodMetrics takes one measurement that was checked against the contract.
func (m *Metrics) SubmitPodMetrics(_ context.Context, in autoscaler.SubmitPodMetricsRequestObject) (autoscaler.SubmitPodMetricsResponseObject, error) {
	m.take(measurement(*in.Body, time.Now()))
	return autoscaler.SubmitPodMetrics200JSONResponse{Status: autoscaler.MetricsReceived}, nil
}

// Push takes one measurement as it came, if it is well made beyond doubt and of a pod of which the caller may say
// it. Else nothing was done, and it is for the contract to judge.
func (m *Metrics) Push(body []byte, by access.Caller) (understood bool) {
	p, understood := read(body)
	if !understood {
		return false
	}
	if _, ours := m.ours(p.namespace); !ours || !by.Measures(p.namespace, p.pod) || !m.reaches(&by, p.namespace, p.pod) {
		return false
	}
	m.take(p.measurement(time.Now()))
	return true
}

// reaches tells whether a caller may say anything of the node that a pod is on.
func (m *Metrics) reaches(by *access.Caller, namespace, pod string) bool {
	return !by.Collector || by.Node == "" || m.node == nil || by.Reaches(m.node(namespace, pod))
}

func (m *Metrics) take(one fleet.Measurement) {
	m.sink.Measure([]fleet.Measurement{one})
	m.meter.Measured(fleet.Sidecar, 1)
}

// measurement is what a push means that the contract has taken.
func measurement(in common.PodMetrics, now time.Time) fleet.Measurement {
	p := push{
		pod: in.PodName, namespace: in.Namespace,
		age: value(in.AgeSeconds), window: value(in.WindowSeconds), valid: value(in.ValidSeconds),
	}
	if in.WindowSeconds != nil {
		p.seen |= seenWindow
	}
	v := in.Metrics
	given := [len(gauges)]*float64{
		v.CpuUsage, v.MemoryUsage, v.DiskUsage, v.ResponseTime, v.GpuUsage, v.GpuMemoryUsage, v.GpuPower,
		v.InFlight, v.Queued, v.CacheUsage, v.RequestRate, v.TimeToFirstToken,
	}
	for i, g := range given {
		if g != nil {
			p.seen |= 1 << i
			p.values[i] = *g
		}
	}
	return p.measurement(now)
}
