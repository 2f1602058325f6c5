package batching

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batcher"
)

// counts reads a collector's figures when they are asked for.
type counts struct {
	batcher     *batcher.Batcher[common.PodMetrics]
	connections *httpserver.Connections
}

var (
	collected = prometheus.NewDesc("nemesis_collector_pushes_total", "Pushes of sidecars, by what became of them.", []string{"result"}, nil)
	sentOn    = prometheus.NewDesc("nemesis_collector_batches_total", "Batches sent to the controller, by result.", []string{"result"}, nil)
	waits     = prometheus.NewDesc("nemesis_collector_waiting", "Pods whose last push waits.", nil, nil)
	away      = prometheus.NewDesc("nemesis_collector_controller_away_seconds", "For how long the controller has taken nothing.", nil, nil)
	open      = prometheus.NewDesc("nemesis_collector_connections_open", "Connections of sidecars and others that are open.", nil, nil)
)

// Describe names the metrics.
func (b *counts) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{collected, sentOn, waits, away, open} {
		out <- d
	}
}

// Collect reads them.
func (b *counts) Collect(out chan<- prometheus.Metric) {
	s := b.batcher.State()
	counter := func(d *prometheus.Desc, value int64, label string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), label)
	}
	counter(collected, s.Accepted, "accepted")
	counter(collected, s.Refused, "refused")
	counter(collected, s.Superseded, "superseded")
	counter(collected, s.Crowded, "crowded-out")
	counter(collected, s.Expired, "expired")
	counter(sentOn, s.Batches, "taken")
	counter(sentOn, s.Failures, "failed")
	gauge := func(d *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	gauge(waits, float64(s.Waiting))
	gauge(open, float64(b.connections.Counts().Open))
	silent := 0.0
	if since := b.batcher.Away(); !since.IsZero() {
		silent = time.Since(since).Seconds()
	}
	gauge(away, silent)
}
