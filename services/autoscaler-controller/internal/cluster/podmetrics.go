package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// metricsPeriod is how often the Kubernetes metrics API is asked. Its own values are 15 s old or more.
const metricsPeriod = 5 * time.Second

// Unmeasured names the namespaces whose pods nobody measures from inside.
type Unmeasured interface {
	Unmeasured(now time.Time) []string
}

// Measured takes what pods use.
type Measured interface {
	Measure(list []fleet.Measurement) (dropped int)
}

// Meter counts measurements by what became of them.
type Meter interface {
	Measured(source fleet.Source, taken, dropped int)
}

// MetricsReader reads the Kubernetes metrics API for the pods that have no sidecar.
type MetricsReader struct {
	client metrics.Interface
	log    *slog.Logger
	asked  Unmeasured
	sink   Measured
	meter  Meter
	failed string // the last failure, logged once
}

// NewMetricsReader makes it. It speaks to nobody yet.
func NewMetricsReader(c *kube.Clients, log *slog.Logger, asked Unmeasured, sink Measured, meter Meter) (*MetricsReader, error) {
	client, err := metrics.NewForConfig(c.Config)
	if err != nil {
		return nil, fmt.Errorf("metrics client: %w", err)
	}
	return &MetricsReader{client: client, log: log, asked: asked, sink: sink, meter: meter}, nil
}

// Run reads until ctx ends. Where there is no metrics API nothing is known, and nothing else fails:
// the decisions say what is missing.
func (r *MetricsReader) Run(ctx context.Context) {
	ticker := time.NewTicker(metricsPeriod)
	defer ticker.Stop()
	for {
		for _, namespace := range r.asked.Unmeasured(time.Now()) {
			r.note(r.read(ctx, namespace))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (r *MetricsReader) read(ctx context.Context, namespace string) error {
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	found, err := r.client.MetricsV1beta1().PodMetricses(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("metrics of pods in %s: %w", namespace, err)
	}
	list := make([]fleet.Measurement, 0, len(found.Items))
	for i := range found.Items {
		if m, ok := measurement(&found.Items[i]); ok {
			list = append(list, m)
		}
	}
	dropped := r.sink.Measure(list)
	r.meter.Measured(fleet.Kubernetes, len(list)-dropped, dropped)
	return nil
}

// note logs a failure when it is another one than before.
func (r *MetricsReader) note(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != r.failed {
		r.log.Warn("the Kubernetes metrics API does not answer", "error", text)
	}
	r.failed = text
}

// measurement is the sum over the containers of a pod. A pod without containers was not measured.
func measurement(p *metricsv1beta1.PodMetrics) (fleet.Measurement, bool) {
	m := fleet.Measurement{
		Pod: fleet.PodName{Namespace: p.Namespace, Name: p.Name}, Source: fleet.Kubernetes, At: p.Timestamp.Time, Values: map[fleet.Gauge]float64{},
	}
	if p.Window.Duration > 0 {
		m.From = m.At.Add(-p.Window.Duration)
	}
	for _, c := range p.Containers {
		m.Values[fleet.CPUUsage] += float64(c.Usage.Cpu().MilliValue())
		m.Values[fleet.MemoryUsage] += float64(c.Usage.Memory().Value()) / (1 << 20)
	}
	return m, len(p.Containers) > 0
}
