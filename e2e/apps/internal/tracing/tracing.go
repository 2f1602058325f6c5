// Package tracing joins the sample applications to the trace of the request that reached them.
//
// It knows two ways. With an OTLP endpoint in the environment, every request gets a server span
// that continues the caller's trace and is exported. Without one, nothing of the SDK is started
// and only the W3C traceparent is read, so that log lines and refusals still name the trace.
// Logging itself lives in requestlog.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Exporter owns what must be flushed before the process ends. A nil Exporter is one that is not
// configured; its methods work.
type Exporter struct {
	provider *sdktrace.TracerProvider
}

// Start makes an Exporter when OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set and
// OTEL_SDK_DISABLED is not "true", else it returns nil. It does not wait for the collector: spans
// that cannot be delivered are dropped by the SDK's bounded queue and said in the log. The
// service's name is that given, unless OTEL_SERVICE_NAME says otherwise.
func Start(ctx context.Context, service string, getenv func(string) string, log *slog.Logger) (*Exporter, error) {
	if !configured(getenv) {
		return nil, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("telemetry", "error", err.Error())
	}))
	described, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", service)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("describe this process to the collector: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTLP exporter: %w", err)
	}
	return &Exporter{provider: sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))}, nil
}

func configured(getenv func(string) string) bool {
	if getenv("OTEL_SDK_DISABLED") == "true" {
		return false
	}
	return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// Handler gives next a request whose context names the trace. Requests on the untraced paths
// (probes, scrapes: many, and of no interest to a reader of traces) get no span.
func (e *Exporter) Handler(next http.Handler, untraced ...string) http.Handler {
	if e == nil {
		return remote(next)
	}
	return otelhttp.NewHandler(next, "request",
		otelhttp.WithTracerProvider(e.provider),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithSpanNameFormatter(spanName),
		otelhttp.WithFilter(func(r *http.Request) bool {
			return !slices.Contains(untraced, r.URL.Path)
		}))
}

// spanName is the method and, once the router knows it, the route: few distinct names, whatever
// clients put into paths. A pattern may begin with the method itself.
func spanName(_ string, r *http.Request) string {
	if r.Pattern == "" {
		return r.Method
	}
	return r.Pattern
}

func remote(next http.Handler) http.Handler {
	w3c := propagation.TraceContext{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Traceparent") == "" {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r.WithContext(w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header))))
	})
}

// ID is the trace id of the request with this context, as 32 hexadecimal digits; empty when the
// request belongs to no trace.
func ID(ctx context.Context) string {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		return span.TraceID().String()
	}
	return ""
}

// Shutdown delivers the spans that wait, until ctx ends.
func (e *Exporter) Shutdown(ctx context.Context) error {
	if e == nil {
		return nil
	}
	return e.provider.Shutdown(ctx)
}
