package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/nemesis-scaling/nemesis/pkg/build"
)

func start(t *testing.T, out *bytes.Buffer) *Telemetry {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	tel, err := Start(t.Context(), Options{Service: "sample", Out: out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func TestLog_CarriesTheTraceIDs(t *testing.T) {
	var out bytes.Buffer
	tel := start(t, &out)
	out.Reset()
	ctx, span := tel.Tracer.Start(t.Context(), "work")
	tel.Log.With("a", 1).WithGroup("g").InfoContext(ctx, "hello")
	span.End()

	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	group, _ := line["g"].(map[string]any)
	if group["trace_id"] != span.SpanContext().TraceID().String() || line["service"] != "sample" {
		t.Errorf("line = %v", line)
	}
}

func TestRegistry_SaysWhatRuns(t *testing.T) {
	tel := start(t, &bytes.Buffer{})
	families, err := tel.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range families {
		if f.GetName() == "nemesis_build_info" {
			for _, label := range f.GetMetric()[0].GetLabel() {
				got[label.GetName()] = label.GetValue()
			}
		}
	}
	want := map[string]string{"service": "sample", "version": build.Version(), "revision": build.Revision(), "goversion": build.Go()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nemesis_build_info (-want +got):\n%s", diff)
	}
}

func TestLog_BeginsWithWhatRuns(t *testing.T) {
	var out bytes.Buffer
	start(t, &out)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if line["msg"] != "starting" || line["version"] != build.Version() || line["revision"] != build.Revision() || line["goversion"] != build.Go() {
		t.Errorf("line = %v", line)
	}
}

func TestTracer_SaysWhatRuns(t *testing.T) {
	tel := start(t, &bytes.Buffer{})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1") // spans are only kept for somebody
	exporting, err := Start(t.Context(), Options{Service: "sample", Instance: "pod", Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exporting.Close(context.Background()) })
	_, span := exporting.Tracer.Start(t.Context(), "work") // never ended, so never sent
	recorded, ok := span.(sdktrace.ReadOnlySpan)
	if !ok {
		t.Fatalf("%T is not recorded", span)
	}
	got := map[string]string{}
	for _, a := range recorded.Resource().Attributes() {
		got[string(a.Key)] = a.Value.AsString()
	}
	want := map[string]string{"service.name": "sample", "service.version": build.Version(), "service.instance.id": "pod"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("resource (-want +got):\n%s", diff)
	}
	if _, span := tel.Tracer.Start(t.Context(), "work"); span.IsRecording() {
		t.Error("spans are recorded for nobody")
	}
}

func TestQuiet_LogsAFaultOnceAMinute(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	q := &quiet{log: slog.New(slog.NewTextHandler(&out, nil)), now: func() time.Time { return now }}
	for range 5 {
		q.Handle(errors.New("refused"))
	}
	now = now.Add(quietFor)
	q.Handle(errors.New("refused"))
	if n := strings.Count(out.String(), "refused"); n != 2 {
		t.Errorf("logged %d times, want 2", n)
	}
}
