package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/util/workqueue"
)

// queues measure the loop's queues for client-go. Several loops of one process have a shard each.
type queues struct {
	depth, unfinished, longest *prometheus.GaugeVec
	adds, retries              *prometheus.CounterVec
	latency, work              *prometheus.HistogramVec
	shard                      string
}

var _ workqueue.MetricsProvider = (*queues)(nil)

func newQueues(registry prometheus.Registerer) *queues {
	labels := []string{"queue", "shard"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 10, 60},
		}, labels)
	}
	q := &queues{
		depth:      gauge("nemesis_queue_depth", "Keys that wait in a queue of the loop."),
		unfinished: gauge("nemesis_queue_unfinished_work_seconds", "Sum of the time that keys are being worked on now."),
		longest:    gauge("nemesis_queue_longest_work_seconds", "How long the longest piece of work lasts that is under way."),
		adds:       counter("nemesis_queue_adds_total", "Keys that were added to a queue of the loop."),
		retries:    counter("nemesis_queue_delayed_adds_total", "Keys that were added for a later moment: a time that comes, or a retry."),
		latency:    histogram("nemesis_queue_wait_seconds", "How long a key waited in a queue of the loop."),
		work:       histogram("nemesis_queue_work_seconds", "How long it took to work on a key; applying is done beside the queue."),
	}
	registry.MustRegister(q.depth, q.unfinished, q.longest, q.adds, q.retries, q.latency, q.work)
	return q
}

// of are the same for the loop of a shard.
func (q *queues) of(shard string) *queues {
	one := *q
	one.shard = shard
	return &one
}

// NewDepthMetric implements workqueue.MetricsProvider.
func (q *queues) NewDepthMetric(name string) workqueue.GaugeMetric {
	return q.depth.WithLabelValues(name, q.shard)
}

// NewAddsMetric implements workqueue.MetricsProvider.
func (q *queues) NewAddsMetric(name string) workqueue.CounterMetric {
	return q.adds.WithLabelValues(name, q.shard)
}

// NewLatencyMetric implements workqueue.MetricsProvider.
func (q *queues) NewLatencyMetric(name string) workqueue.HistogramMetric {
	return q.latency.WithLabelValues(name, q.shard)
}

// NewWorkDurationMetric implements workqueue.MetricsProvider.
func (q *queues) NewWorkDurationMetric(name string) workqueue.HistogramMetric {
	return q.work.WithLabelValues(name, q.shard)
}

// NewUnfinishedWorkSecondsMetric implements workqueue.MetricsProvider.
func (q *queues) NewUnfinishedWorkSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return q.unfinished.WithLabelValues(name, q.shard)
}

// NewLongestRunningProcessorSecondsMetric implements workqueue.MetricsProvider.
func (q *queues) NewLongestRunningProcessorSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return q.longest.WithLabelValues(name, q.shard)
}

// NewRetriesMetric implements workqueue.MetricsProvider.
func (q *queues) NewRetriesMetric(name string) workqueue.CounterMetric {
	return q.retries.WithLabelValues(name, q.shard)
}
