// Package connections counts the client connections of the data port and keeps them below the limit
// of the settings. A connection beyond it is taken nevertheless, so that its request gets a clear
// answer; only when very many must be answered so at once are the rest closed without a word.
//
// What the answer says is the proxy's business. Connections of the admin port, and requests that are
// made there for a client, are not counted.
package connections

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// mostRefused is how many connections beyond the limit are open at a time to be answered so: each
// costs some KiB, and the limit is there to protect memory.
const mostRefused = 256

// Gate counts connections. The limit is asked for anew for each: a connection that is open stays
// open when it is lowered.
type Gate struct {
	limit   func() int
	open    atomic.Int64 // that are served
	refused atomic.Int64 // that are open only to be answered that there are too many
	counted *prometheus.CounterVec
}

// NewGate makes a gate and registers its metrics.
func NewGate(limit func() int, registry prometheus.Registerer) *Gate {
	g := &Gate{limit: limit, counted: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nemesis_lb_connections_refused_total", Help: "Client connections beyond max_connections: told (answered 503), or closed without a word.",
	}, []string{"how"})}
	registry.MustRegister(g.counted,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nemesis_lb_connections", Help: "Client connections that are open.",
		}, func() float64 { return float64(g.open.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nemesis_lb_connections_max", Help: "Client connections that are served at a time, as the settings say.",
		}, func() float64 { return float64(limit()) }))
	return g
}

// Open is how many client connections are open.
func (g *Gate) Open() int { return int(g.open.Load()) }

// Limit is how many may be.
func (g *Gate) Limit() int { return g.limit() }

// Full tells whether the next connection is beyond the limit.
func (g *Gate) Full() bool { return g.open.Load() >= int64(g.limit()) }

// Crowds tells whether an application that has so many exchanges leaves too few places to others:
// once three quarters are taken, one may have half of all.
func (g *Gate) Crowds(exchanges int) bool {
	limit := g.limit()
	return g.open.Load() >= int64(limit-limit/4) && exchanges > max(limit/2, 1)
}

// Enter counts a connection until leave is called. crowded: it is beyond the limit, and may only be
// answered so. ok false: it must be closed, and leave is nil.
func (g *Gate) Enter() (leave func(), crowded, ok bool) {
	if take(&g.open, int64(g.limit())) {
		return func() { g.open.Add(-1) }, false, true
	}
	if take(&g.refused, mostRefused) {
		g.counted.WithLabelValues("told").Inc()
		return func() { g.refused.Add(-1) }, true, true
	}
	g.counted.WithLabelValues("closed").Inc()
	return nil, true, false
}

// take counts one more, unless there are so many.
func take(counter *atomic.Int64, most int64) bool {
	if counter.Add(1) > most {
		counter.Add(-1)
		return false
	}
	return true
}
