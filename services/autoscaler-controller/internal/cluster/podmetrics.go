package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

const (
	// metricsPeriod is how often the Kubernetes metrics API is asked. Its own values are 15 s old or more.
	metricsPeriod = 5 * time.Second
	// metricsReaders is how many namespaces are read at a time.
	metricsReaders = 8
	// A namespace that cannot be read is left alone for a while, which doubles.
	firstMetricsPause, longestMetricsPause = 2 * metricsPeriod, 2 * time.Minute
)

// Unmeasured names the namespaces whose pods nobody measures from inside.
type Unmeasured interface {
	Unmeasured(now time.Time) []string
}

// Measured takes what pods use.
type Measured interface {
	Measure(list []fleet.Measurement)
}

// Meter counts measurements that were taken.
type Meter interface {
	Measured(source fleet.Source, taken int)
}

// MetricsReader reads the Kubernetes metrics API for the pods that have no sidecar. Namespaces are read side
// by side: one that hangs or fails delays no other.
type MetricsReader struct {
	list  func(ctx context.Context, namespace string, o metav1.ListOptions) (*metricsv1beta1.PodMetricsList, error)
	log   *slog.Logger
	asked Unmeasured
	sink  Measured
	meter Meter

	namespaces workqueue.TypedInterface[string]
	pauses     metricsPauses
}

// NewMetricsReader makes it. It speaks to nobody yet.
func NewMetricsReader(c *kube.Clients, log *slog.Logger, asked Unmeasured, sink Measured, meter Meter) (*MetricsReader, error) {
	client, err := metrics.NewForConfig(c.Config)
	if err != nil {
		return nil, fmt.Errorf("metrics client: %w", err)
	}
	return newMetricsReader(log, asked, sink, meter, func(ctx context.Context, namespace string, o metav1.ListOptions) (*metricsv1beta1.PodMetricsList, error) {
		return client.MetricsV1beta1().PodMetricses(namespace).List(ctx, o)
	}), nil
}

func newMetricsReader(log *slog.Logger, asked Unmeasured, sink Measured, meter Meter,
	list func(context.Context, string, metav1.ListOptions) (*metricsv1beta1.PodMetricsList, error),
) *MetricsReader {
	return &MetricsReader{
		list: list, log: log, asked: asked, sink: sink, meter: meter,
		namespaces: workqueue.NewTyped[string](), pauses: metricsPauses{of: map[string]metricsPause{}},
	}
}

// Run reads until ctx ends. Where there is no metrics API nothing is known, and nothing else fails:
// the decisions say what is missing.
func (r *MetricsReader) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	defer r.namespaces.ShutDown()
	for range metricsReaders {
		running.Go(func() { r.work(ctx) })
	}
	ticker := time.NewTicker(metricsPeriod)
	defer ticker.Stop()
	for {
		now := time.Now()
		for _, namespace := range r.pauses.due(r.asked.Unmeasured(now), now) {
			r.namespaces.Add(namespace) // one that waits, or is read, is not read twice
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (r *MetricsReader) work(ctx context.Context) {
	for {
		namespace, over := r.namespaces.Get()
		if over {
			return
		}
		if !r.pauses.paused(namespace, time.Now()) {
			err := r.read(ctx, namespace)
			if ctx.Err() == nil && r.pauses.note(namespace, err, time.Now()) {
				r.log.Warn("the Kubernetes metrics API does not answer", "namespace", namespace, "error", err)
			}
		}
		r.namespaces.Done(namespace)
	}
}

// read reads a namespace, a page at a time where the API has pages.
func (r *MetricsReader) read(ctx context.Context, namespace string) error {
	o := metav1.ListOptions{Limit: kube.PageSize}
	for {
		page, err := r.page(ctx, namespace, o)
		if err != nil {
			return fmt.Errorf("metrics of pods: %w", err)
		}
		list := make([]fleet.Measurement, 0, len(page.Items))
		for i := range page.Items {
			if m, ok := measurement(&page.Items[i]); ok {
				list = append(list, m)
			}
		}
		r.sink.Measure(list)
		r.meter.Measured(fleet.Kubernetes, len(list))
		if o.Continue = page.Continue; o.Continue == "" {
			return nil
		}
	}
}

func (r *MetricsReader) page(ctx context.Context, namespace string, o metav1.ListOptions) (*metricsv1beta1.PodMetricsList, error) {
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	return r.list(ctx, namespace, o)
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
