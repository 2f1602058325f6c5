// Package ingest is the adapter for what others push: the load balancers' traffic reports and
// the sidecars' metrics. It translates them for the fleet. What is read from the fleet again
// is served by httpapi.
package ingest

import (
	"context"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Sink takes the reports.
type Sink interface {
	Report(r fleet.Report) fleet.Verdict
	// Leading tells whether what is taken here is what the fleet is judged by.
	Leading() bool
}

// Meter counts the reports by what became of them.
type Meter interface {
	Reported(v fleet.Verdict)
}

// Traffic takes POST /v1/traffic.
type Traffic struct {
	sink  Sink
	meter Meter
	epoch string
}

// NewTraffic makes it. epoch names this life of the process: who has reported to it may report what
// has changed since.
func NewTraffic(sink Sink, meter Meter, epoch string) *Traffic { return &Traffic{sink, meter, epoch} }

// ReportTraffic takes one report. One that comes late, after a newer one of the same load
// balancer, is answered as if it had been taken: there is nothing to do about it.
func (t *Traffic) ReportTraffic(_ context.Context, in autoscaler.ReportTrafficRequestObject) (autoscaler.ReportTrafficResponseObject, error) {
	leads := t.sink.Leading() // before: one that begins to lead now has not counted it
	verdict := t.sink.Report(report(*in.Body))
	t.meter.Reported(verdict)
	if verdict == fleet.TooMany {
		return nil, fault.New(fault.TooMany, "%d load balancers report already, and more are not listened to", fleet.MaxBalancers).After(10 * time.Second)
	}
	receipt := autoscaler.ReportTraffic200JSONResponse{Status: autoscaler.TrafficReceived, Epoch: &t.epoch, Leader: &leads}
	if verdict == fleet.Resync {
		all := true
		receipt.Resync = &all
	}
	return receipt, nil
}

func report(in autoscaler.TrafficReport) fleet.Report {
	r := fleet.Report{
		Balancer: in.Balancer, StartedAt: in.StartedAt, Sequence: in.Sequence,
		RoutesVersion: value(in.RoutesVersion), Address: value(in.Address), Leaving: in.Leaving, ForgetFor: time.Duration(value(in.ForgetAfterSeconds)) * time.Second, Part: value(in.Part), Continued: value(in.Continued),
		Epoch: value(in.Epoch), Delta: value(in.Delta),
		Applications: make([]fleet.Traffic, len(in.Applications)),
	}
	for i, a := range in.Applications {
		r.Applications[i] = fleet.Traffic{
			Key:      fleet.Key{Namespace: a.Namespace, Deployment: a.Deployment},
			InFlight: a.InFlight, Streaming: a.Streaming, Waiting: a.Waiting,
			LastActivity: value(a.LastActivity), Requests: a.Requests, Failures: a.Failures, Rejected: a.Rejected,
			Latency: sketch(a.Latency), WakeUps: wakeUps(value(a.WakeUps)),
			Summed: a.Arrivals != nil && a.BusySeconds != nil && a.StreamSeconds != nil, Arrivals: value(a.Arrivals),
			Pods: podTraffic(a.Pods), PodsSaid: a.Pods != nil,
			BusySeconds: value(a.BusySeconds), StreamSeconds: value(a.StreamSeconds), Tunnels: value(a.Tunnels),
		}
	}
	return r
}

func podTraffic(in *[]autoscaler.PodTraffic) []fleet.PodTraffic {
	if in == nil {
		return nil
	}
	list := make([]fleet.PodTraffic, len(*in))
	for i, p := range *in {
		list[i] = fleet.PodTraffic{Pod: p.Pod, InFlight: p.InFlight, Streaming: value(p.Streaming)}
	}
	return list
}

func sketch(in *autoscaler.LatencySketch) fleet.Sketch {
	if in == nil {
		return fleet.Sketch{}
	}
	s := fleet.Sketch{Count: in.Count, SumMs: in.SumMs, Buckets: make(map[int32]int64, len(in.Buckets))}
	for _, b := range in.Buckets {
		s.Buckets[b.Index] += b.Count
	}
	return s
}

func wakeUps(in []autoscaler.WakeUpReport) []fleet.WakeReport {
	list := make([]fleet.WakeReport, len(in))
	for i, w := range in {
		list[i] = fleet.WakeReport{
			ID: w.Id, ArrivedAt: w.ArrivedAt, StartCalled: value(w.StartCalledAt), StartAnswered: value(w.StartAnsweredAt),
			FirstProbe: value(w.FirstProbeAt), FirstByte: value(w.FirstByteAt),
			Pod: value(w.Pod), Waited: value(w.Waited), Outcome: fleet.Outcome(w.Outcome),
		}
	}
	return list
}

func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}
