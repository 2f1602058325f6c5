package app

import "github.com/prometheus/client_golang/prometheus"

// Registry shows the tests what is measured, also what has no series yet.
func (a *App) Registry() *prometheus.Registry { return a.telemetry.Registry }
