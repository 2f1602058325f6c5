package app

import (
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/figures"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/agent"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// measuredBy are an agent's figures, read when they are asked for, so that they cost nothing otherwise.
func measuredBy(a *agent.Agent) []figures.Family {
	state := a.State()
	measured := figures.By(figures.Gauge, "nemesis_sidecar_measured", "The last measurement, in the units of the API.", "metric")
	for _, kind := range pod.Kinds {
		if value, ok := state.Measurement.Value(kind); ok {
			measured.Samples = append(measured.Samples, figures.At(string(kind), value))
		}
	}
	age := figures.Of(figures.Gauge, "nemesis_sidecar_measurement_age_seconds", "Age of the last measurement.", time.Since(state.Measurement.At).Seconds())
	if !state.Measured {
		age.Samples = nil
	}
	counter := func(name, help string, value int64) figures.Family {
		return figures.Of(figures.Counter, name, help, float64(value))
	}
	return []figures.Family{
		measured, age,
		figures.Of(figures.Gauge, "nemesis_sidecar_unread_families", "Names on the application's metrics page that the last measurement could not read.", float64(len(state.Measurement.Application.Unread))),
		figures.Of(figures.Gauge, "nemesis_sidecar_waiting", "Measurements that the controller has not taken yet.", float64(state.Delivery.Waiting)),
		figures.By(figures.Counter, "nemesis_sidecar_pushes_total", "Pushes to the controller, by result.", "result",
			figures.At("taken", float64(state.Delivery.Sent)), figures.At("refused", float64(state.Delivery.Refused)), figures.At("failed", float64(state.Delivery.Failed))),
		counter("nemesis_sidecar_measurements_total", "Measurements made.", state.Delivery.Collected),
		counter("nemesis_sidecar_unchanged_total", "Measurements not sent because nothing had changed.", state.Delivery.Unchanged),
		counter("nemesis_sidecar_dropped_total", "Measurements given up because a newer one was made before they could be sent.", state.Delivery.Dropped),
	}
}
