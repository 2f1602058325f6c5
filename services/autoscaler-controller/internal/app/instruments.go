package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/cluster"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/control"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/ingest"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// instruments measure the service for Prometheus, and trace its decisions. No label is taken from
// what a user names, so that the number of series is bounded.
type instruments struct {
	tracer       trace.Tracer
	decisions    *prometheus.CounterVec
	failures     prometheus.Counter
	starts       *prometheus.HistogramVec
	delays       prometheus.Histogram
	turns        prometheus.Histogram
	own          prometheus.Histogram
	statuses     *prometheus.CounterVec
	events       *prometheus.CounterVec
	drops        *prometheus.CounterVec
	reports      *prometheus.CounterVec
	settled      *prometheus.HistogramVec
	measurements *prometheus.CounterVec
	bodies       *prometheus.CounterVec
	polls        prometheus.Gauge
	watching     prometheus.Gauge
	following    prometheus.Gauge
	watches      *prometheus.CounterVec
	relays       *prometheus.CounterVec
}

var (
	_ control.Observer = (*instruments)(nil)
	_ httpapi.Meter    = (*instruments)(nil)
	_ ingest.Meter     = (*instruments)(nil)
	_ cluster.Meter    = (*instruments)(nil)
	_ kube.EventMeter  = (*instruments)(nil)
)

func newInstruments(registry prometheus.Registerer, tracer trace.Tracer) *instruments {
	i := &instruments{
		tracer: tracer,
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_decisions_total", Help: "Recorded decisions, by what asked for them and what became of them.",
		}, []string{"trigger", "result"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nemesis_scale_errors_total", Help: "Decisions that could not be applied.",
		}),
		starts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "nemesis_start_call_duration_seconds", Help: "Start calls, from arrival to answer; result scaled includes the patch of /scale.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"result"}),
		delays: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nemesis_decision_delay_seconds", Help: "From the oldest news of an application to the decision on it.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		turns: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nemesis_start_call_turn_seconds", Help: "How long a start call waited for its application's turn, which another call or a decision had.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .025, .05, .1, .5, 1, 5},
		}),
		own: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nemesis_start_call_own_seconds", Help: "What a start call that scaled took of the controller itself: neither its application's turn nor the API server's /scale.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5},
		}),
		statuses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_status_writes_total", Help: "Statuses of CustomAutoscalers that were looked at, by what became of them.",
		}, []string{"result"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_events_total", Help: "Kubernetes events: written, and repeats that were counted on one that stands.",
		}, []string{"result"}),
		drops: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_events_dropped_total", Help: "Kubernetes events that were never written, by why and by whether they matter.",
		}, []string{"reason", "importance"}),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_traffic_reports_total", Help: "Traffic reports of load balancers, by what became of them.",
		}, []string{"result"}),
		settled: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "nemesis_settle_duration_seconds", Help: "From a scaling to its pods being alive (up), gone (down), or all gone (zero).",
			Buckets: []float64{.25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}, []string{"direction"}),
		measurements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_pod_measurements_total", Help: "Measurements of pods, by who measured and what became of them.",
		}, []string{"source", "result"}),
		bodies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_bodies_refused_total", Help: "Requests refused for their body before it was parsed, by what is wrong with it.",
		}, []string{"reason"}),
		watching: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nemesis_watches_open", Help: "Watches of CustomAutoscalers that are passed on now.",
		}),
		following: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nemesis_event_streams_open", Help: "Streams of events that are open now.",
		}),
		watches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_watches_ended_total", Help: "Watches of CustomAutoscalers that ended or were refused, by how.",
		}, []string{"end"}),
		polls: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nemesis_long_polls_open", Help: "Long polls of the routes that wait for a change now.",
		}),
		relays: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_relay_errors_total",
			Help: "Requests that a follower served itself because the leader did not answer, by the shard that they were for; all: by load balancers that know no shards.",
		}, []string{"shard"}),
	}
	registry.MustRegister(i.decisions, i.failures, i.starts, i.delays, i.turns, i.own, i.statuses, i.events, i.drops, i.reports, i.settled, i.measurements, i.bodies, i.polls, i.watching, i.following, i.watches, i.relays)
	i.begin()
	return i
}

// begin makes the series that there may be, so that the first of a kind is an increase.
func (i *instruments) begin() {
	i.relays.WithLabelValues("")
	for _, why := range httpapi.BodyFaults {
		i.bodies.WithLabelValues(string(why))
	}
	for _, end := range httpapi.WatchEnds {
		i.watches.WithLabelValues(end)
	}
	for _, result := range []string{startRunning, startScaled, startFailed} {
		i.starts.WithLabelValues(result)
	}
	for _, result := range []control.StatusResult{control.StatusWritten, control.StatusUnchanged, control.StatusPostponed, control.StatusFailed} {
		i.statuses.WithLabelValues(string(result))
	}
	for _, verdict := range []fleet.Verdict{fleet.Taken, fleet.Old, fleet.TooMany, fleet.Resync} {
		i.reports.WithLabelValues(string(verdict))
	}
	for _, why := range []string{kube.DroppedFull, kube.DroppedObject, kube.DroppedRefused, kube.DroppedFailed} {
		i.drops.WithLabelValues(why, "major")
		i.drops.WithLabelValues(why, "minor")
	}
	for _, direction := range []string{"up", "down", "zero"} {
		i.settled.WithLabelValues(direction)
	}
	for _, source := range []fleet.Source{fleet.Sidecar, fleet.Kubernetes} {
		i.Measured(source, 0)
	}
	i.Refused(0)
}

// What became of a start call.
const (
	startRunning = "running" // nothing was to be done
	startScaled  = "scaled"
	startFailed  = "failed"
)

// Deciding begins the span of a decision.
func (i *instruments) Deciding(ctx context.Context, k fleet.Key, d scaling.Decision) (context.Context, string, func(fleet.Record)) {
	ctx, span := i.tracer.Start(ctx, "decide", trace.WithAttributes(
		attribute.String("k8s.namespace.name", k.Namespace), attribute.String("k8s.deployment.name", k.Deployment),
		attribute.String("nemesis.decision.trigger", string(d.Trigger)), attribute.String("nemesis.decision.summary", d.Summary),
		attribute.Int("nemesis.decision.from", int(d.From)), attribute.Int("nemesis.decision.to", int(d.To)),
	))
	traceID := ""
	if c := span.SpanContext(); c.HasTraceID() {
		traceID = c.TraceID().String()
	}
	return ctx, traceID, func(r fleet.Record) {
		span.SetAttributes(attribute.String("nemesis.decision.id", r.ID), attribute.Bool("nemesis.decision.applied", r.Applied))
		if r.Error != "" {
			span.SetStatus(codes.Error, r.Error)
		}
		span.End()
	}
}

// Decided counts a decision that was recorded.
func (i *instruments) Decided(r fleet.Record) {
	if r.Result() == fleet.ResultFailed {
		i.failures.Inc()
	}
	i.decisions.WithLabelValues(string(r.Trigger), string(r.Result())).Inc()
}

// Settled measures how long the pods of a scaling took to be alive, or gone.
func (i *instruments) Settled(from, to int32, took time.Duration) {
	direction := "up"
	switch {
	case to == 0:
		direction = "zero"
	case to < from:
		direction = "down"
	}
	i.settled.WithLabelValues(direction).Observe(took.Seconds())
}

// Measured counts measurements of pods that were taken.
func (i *instruments) Measured(source fleet.Source, taken int) {
	i.measurements.WithLabelValues(string(source), "taken").Add(float64(taken))
}

// Refused counts items of batches that are not what the contract allows.
func (i *instruments) Refused(items int) {
	i.measurements.WithLabelValues(string(fleet.Sidecar), "refused").Add(float64(items))
}

// BodyRefused counts bodies that were refused before they were parsed.
func (i *instruments) BodyRefused(why httpapi.BodyFault) {
	i.bodies.WithLabelValues(string(why)).Inc()
}

// Started measures a start call.
func (i *instruments) Started(took time.Duration, scaled bool, err error) {
	result := startRunning
	switch {
	case err != nil:
		result = startFailed
	case scaled:
		result = startScaled
	}
	i.starts.WithLabelValues(result).Observe(took.Seconds())
}

// Delayed measures how long news of an application waited for a decision.
func (i *instruments) Delayed(by time.Duration) { i.delays.Observe(by.Seconds()) }

// Waited measures how long a start call waited for the application's turn.
func (i *instruments) Waited(took time.Duration) { i.turns.Observe(took.Seconds()) }

// Worked measures what a start call that scaled took of this process itself.
func (i *instruments) Worked(took time.Duration) { i.own.Observe(took.Seconds()) }

// StatusDone counts what became of a status that was looked at.
func (i *instruments) StatusDone(r control.StatusResult) { i.statuses.WithLabelValues(string(r)).Inc() }

// EventWritten counts an event that was written, or a repeat that was counted on one.
func (i *instruments) EventWritten(repeat bool) {
	result := "written"
	if repeat {
		result = "counted"
	}
	i.events.WithLabelValues(result).Inc()
}

// EventDropped counts an event that was not written, and never will be.
func (i *instruments) EventDropped(why string, minor bool) {
	importance := "major"
	if minor {
		importance = "minor"
	}
	i.drops.WithLabelValues(why, importance).Inc()
}

// Reported counts a traffic report.
func (i *instruments) Reported(v fleet.Verdict) { i.reports.WithLabelValues(string(v)).Inc() }

// Polling counts the long polls that wait.
func (i *instruments) Polling(change int) { i.polls.Add(float64(change)) }

// Watching counts the watches that are passed on.
func (i *instruments) Watching(change int) { i.watching.Add(float64(change)) }

// Following counts the streams of events that are open.
func (i *instruments) Following(change int) { i.following.Add(float64(change)) }

// WatchEnded counts watches by how they ended.
func (i *instruments) WatchEnded(end string) { i.watches.WithLabelValues(end).Inc() }

// RelayFailed counts a request that the leader of a shard did not answer.
func (i *instruments) RelayFailed(shard string) { i.relays.WithLabelValues(shard).Inc() }
