package app

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/metrics"
	"k8s.io/client-go/util/workqueue"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/control"
)

// series are the names and labels that a registry shows.
func series(t *testing.T, r *prometheus.Registry) string {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			b.WriteString(f.GetName())
			for _, l := range m.GetLabel() {
				b.WriteString(" " + l.GetName() + "=" + l.GetValue())
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func TestQueues_EachLoopHasItsShard(t *testing.T) {
	r := prometheus.NewRegistry()
	all := newQueues(r)
	for _, shard := range []string{"0", "1"} {
		q := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[string]{Name: "decisions", MetricsProvider: all.of(shard)})
		defer q.ShutDown()
		q.Add("k")
	}
	for _, want := range []string{"nemesis_queue_depth queue=decisions shard=0", "nemesis_queue_depth queue=decisions shard=1", "nemesis_queue_adds_total queue=decisions shard=1"} {
		if got := series(t, r); !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestLoopGauges_ShowSeveralLoopsBesideOneAnother(t *testing.T) {
	r := prometheus.NewRegistry()
	for _, shard := range []string{"0", "1"} {
		r.MustRegister(newLoopGauges(shard, func() control.Stats { return control.Stats{StatusAge: time.Second} }))
	}
	r.MustRegister(newEpochGauge("", "e1"), newEventsGauge(func() int { return 3 }))
	got := series(t, r)
	for _, want := range []string{"nemesis_status_oldest_seconds shard=1", "nemesis_leader_terms_total shard=0", "nemesis_controller_epoch_info epoch=e1", "nemesis_events_waiting"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestAPIMetrics_TakeNoLabelFromAPath(t *testing.T) {
	for range 2 { // a second service in the same process shows the same
		r := prometheus.NewRegistry()
		registerAPIMetrics(r)
		for _, path := range []string{"/apis/a", "/apis/b"} {
			metrics.RequestLatency.Observe(context.Background(), "GET", url.URL{Path: path}, time.Second)
		}
		metrics.RequestResult.Increment(context.Background(), "200", "GET", "host")
		got := series(t, r)
		if strings.Contains(got, "/apis/") || strings.Contains(got, "host") || !strings.Contains(got, "nemesis_api_requests_total code=200 method=GET") {
			t.Error(got)
		}
	}
}
