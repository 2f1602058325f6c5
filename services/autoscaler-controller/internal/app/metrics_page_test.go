package app

import (
	"context"
	"flag"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/pkg/testmetrics"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

var update = flag.Bool("update", false, "write METRICS.md")

func TestMetrics_AreThoseOfThePage(t *testing.T) {
	tel, err := telemetry.Start(t.Context(), telemetry.Options{Service: "autoscaler-controller", Instance: "test", Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	a, err := New(ctx, Settings{Listen: "127.0.0.1:0", Namespace: "default", Identity: t.Name(), Shards: 2, WebhookListen: "127.0.0.1:0"}, &rest.Config{Host: "http://127.0.0.1:1"}, tel)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := testwait.Receive(t, "it ends", ended); err != nil {
			t.Error(err)
		}
	})
	testwait.Until(t, "calls to the API server were made, and waited for the client's own limit", func() bool {
		got := series(t, tel.Registry)
		return strings.Contains(got, "nemesis_api_request_duration_seconds") && strings.Contains(got, "nemesis_api_rate_limiter_duration_seconds")
	})
	testmetrics.Check(t, filepath.Join("..", "..", "METRICS.md"), *update, testmetrics.Program{Name: "autoscaler-controller", Registry: tel.Registry})
}

func TestInstruments_CountFromZero(t *testing.T) {
	tel, err := telemetry.Start(t.Context(), telemetry.Options{Service: "autoscaler-controller", Instance: "test", Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	newInstruments(tel.Registry, tel.Tracer)
	got := series(t, tel.Registry)
	for _, want := range []string{
		"nemesis_start_call_duration_seconds result=failed", "nemesis_status_writes_total result=failed", "nemesis_traffic_reports_total result=too-many",
		"nemesis_events_dropped_total importance=major reason=full", "nemesis_bodies_refused_total reason=", "nemesis_settle_duration_seconds direction=zero",
		"nemesis_pod_measurements_total result=refused source=Sidecar", "nemesis_scale_errors_total", "go_sync_mutex_wait_total_seconds_total",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}
