// Package telemetry sets up what a service says about itself: the log (package logs), OpenTelemetry
// traces with W3C propagation, and a Prometheus registry. Nothing here is global but
// what OpenTelemetry itself makes global (provider, propagator, error handler), because its
// instrumentation libraries look there, and the output of the standard logger, which libraries write to.
//
// Metrics are Prometheus' own client alone, one metric, one library; what is kept by others is read into it (package figures).
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/pkg/build"
	"github.com/nemesis-scaling/nemesis/pkg/logs"
)

// lockWait adds how long goroutines waited for locks, all of them together (go_sync_mutex_wait_total_seconds_total).
var lockWait = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/sync/mutex/wait/total:seconds$`)}

// Options says who speaks, and how.
type Options struct {
	Service  string     // service.name of every span and log line
	Instance string     // service.instance.id, the pod's name
	Level    slog.Level // the least level that is logged
	Out      io.Writer  // where the log goes
}

// Telemetry is a service's voice. Close it last, so that the last spans are sent.
type Telemetry struct {
	Log      *slog.Logger
	Registry *prometheus.Registry
	Tracer   trace.Tracer
	Exports  bool // spans are exported; without it they are made for nothing
	provider *sdktrace.TracerProvider
}

// Start makes logs, traces and metrics, and says in the log's first line what runs. Spans are exported by OTLP over HTTP when
// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set (the exporter reads all
// standard OTEL_* variables); otherwise trace ids are still made and passed on, and nothing is
// recorded.
func Start(ctx context.Context, o Options) (*Telemetry, error) {
	log := logs.Start(o.Service, o.Level, o.Out)
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(resource.NewSchemaless(
		semconv.ServiceName(o.Service), semconv.ServiceVersion(build.Version()), semconv.ServiceInstanceID(o.Instance)))}
	if exporting() {
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("OTLP exporter: %w", err)
		}
		// The sampler stays the SDK's default, so that OTEL_TRACES_SAMPLER works as documented.
		options = append(options, sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(time.Second)))
	} else {
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	provider := sdktrace.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	otel.SetErrorHandler(&quiet{log: log, now: time.Now})

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(lockWait)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "nemesis_build_info",
		Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{
			"service": o.Service, "version": build.Version(), "revision": build.Revision(), "goversion": build.Go(),
		},
	})
	info.Set(1)
	registry.MustRegister(info)

	return &Telemetry{Log: log, Registry: registry, Tracer: provider.Tracer("github.com/nemesis-scaling/nemesis"), Exports: exporting(), provider: provider}, nil
}

// Inject writes the trace of a context into the head of a request, as services pass it on to each other.
func Inject(ctx context.Context, head http.Header) {
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(head))
}

// Close sends what is left and ends the exporter.
func (t *Telemetry) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("telemetry: %w", err)
	}
	return nil
}

func exporting() bool {
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// quietFor is how long a fault of the exporter is not repeated in the log.
const quietFor = time.Minute

// quiet logs OpenTelemetry's own faults, at most one a minute: a collector that is away must not
// fill the log.
type quiet struct {
	log  *slog.Logger
	now  func() time.Time
	last atomic.Int64
}

func (q *quiet) Handle(err error) {
	now := q.now().UnixNano()
	last := q.last.Load()
	if (last == 0 || now-last >= int64(quietFor)) && q.last.CompareAndSwap(last, now) {
		q.log.Warn("telemetry is not delivered", "error", err)
	}
}
