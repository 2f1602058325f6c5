// Package logs is how every program of this product logs: lines of JSON with the name of the service and, within a
// trace, its ids. What libraries write to the standard logger becomes a line too. It stands apart from package
// telemetry, which brings metrics and the export of traces, for a program that is to be small.
package logs

import (
	"context"
	"io"
	stdlog "log" //nolint:depguard // it is redirected here, for the libraries that write to it
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/pkg/build"
)

// Start makes the log of a service, from this level on, and says in its first line what runs.
func Start(service string, level slog.Level, out io.Writer) *slog.Logger {
	log := slog.New(traced{slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level})}).With("service", service)
	stdlog.SetFlags(0)
	stdlog.SetOutput(newStandard(log, time.Now))
	log.Info("starting", "version", build.Version(), "revision", build.Revision(), "goversion", build.Go())
	return log
}

// traced adds the ids of the current span to each log line.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }
func (h traced) WithGroup(name string) slog.Handler       { return traced{h.Handler.WithGroup(name)} }
