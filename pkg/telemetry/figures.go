package telemetry

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nemesis-scaling/nemesis/pkg/figures"
)

// Page serves the registry. A failing part of it is left out and logged; the rest is served.
func (t *Telemetry) Page() http.Handler {
	return promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(t.Log.Handler(), slog.LevelError),
		ErrorHandling: promhttp.ContinueOnError,
	})
}

// Figures shows families that are plain values. Their names, labels and kinds are the same each time.
func Figures(source figures.Source) prometheus.Collector { return collector(source) }

type collector figures.Source

var kinds = map[figures.Kind]prometheus.ValueType{figures.Gauge: prometheus.GaugeValue, figures.Counter: prometheus.CounterValue}

func describe(f figures.Family) *prometheus.Desc {
	return prometheus.NewDesc(f.Name, f.Help, f.Labels, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, f := range c() {
		out <- describe(f)
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, f := range c() {
		desc := describe(f)
		for _, s := range f.Samples {
			out <- prometheus.MustNewConstMetric(desc, kinds[f.Kind], s.Value, s.Values...)
		}
	}
}
