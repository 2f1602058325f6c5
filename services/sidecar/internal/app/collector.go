package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/agent"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// collector reads the figures when they are asked for, so that they cost nothing otherwise.
type collector struct{ agent *agent.Agent }

var (
	measured = prometheus.NewDesc("nemesis_sidecar_measured", "The last measurement, in the units of the API.", []string{"metric"}, nil)
	age      = prometheus.NewDesc("nemesis_sidecar_measurement_age_seconds", "Age of the last measurement.", nil, nil)
	waiting  = prometheus.NewDesc("nemesis_sidecar_waiting", "Measurements that the controller has not taken yet.", nil, nil)
	pushes   = prometheus.NewDesc("nemesis_sidecar_pushes_total", "Pushes to the controller, by result.", []string{"result"}, nil)
	made     = prometheus.NewDesc("nemesis_sidecar_measurements_total", "Measurements made.", nil, nil)
	quiet    = prometheus.NewDesc("nemesis_sidecar_unchanged_total", "Measurements not sent because nothing had changed.", nil, nil)
	unread   = prometheus.NewDesc("nemesis_sidecar_unread_families", "Names on the application's metrics page that the last measurement could not read.", nil, nil)
	dropped  = prometheus.NewDesc("nemesis_sidecar_dropped_total", "Measurements given up because a newer one was made before they could be sent.", nil, nil)
)

// Describe names the metrics.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{measured, age, waiting, pushes, made, quiet, dropped, unread} {
		out <- d
	}
}

// Collect reads them.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	state := c.agent.State()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	for _, kind := range pod.Kinds {
		if value, ok := state.Measurement.Value(kind); ok {
			gauge(measured, value, string(kind))
		}
	}
	if state.Measured {
		gauge(age, time.Since(state.Measurement.At).Seconds())
	}
	gauge(unread, float64(len(state.Measurement.Application.Unread)))
	gauge(waiting, float64(state.Delivery.Waiting))
	counter(pushes, state.Delivery.Sent, "taken")
	counter(pushes, state.Delivery.Refused, "refused")
	counter(pushes, state.Delivery.Failed, "failed")
	counter(made, state.Delivery.Collected)
	counter(quiet, state.Delivery.Unchanged)
	counter(dropped, state.Delivery.Dropped)
}
