package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
)

// Registry shows the tests what is measured, also what has no series yet.
func (a *App) Registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(telemetry.Figures(a.figures))
	return r
}
