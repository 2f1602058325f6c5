// Package connections counts the client connections of the data port and keeps them below the limit
// of the settings. A connection beyond it is taken nevertheless, so that its request gets a clear
// answer; only when very many must be told at once are the rest closed without a word.
//
// What the answer says is the proxy's business: it asks Over. Connections of the admin port, and
// requests that are made there for a client, are not counted.
package connections

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// mostTold is how many connections beyond the limit are open at a time to be told so: each costs
// some KiB, and the limit is there to protect memory.
const mostTold = 256

// Gate counts connections. The limit is asked for anew for each: a connection that is open stays
// open when it is lowered.
type Gate struct {
	limit   func() int
	open    atomic.Int64 // that are served
	told    atomic.Int64 // that are open only to be told that there are too many
	refused *prometheus.CounterVec
}

var _ proxy.Gate = (*Gate)(nil)

// NewGate makes a gate and registers its metrics.
func NewGate(limit func() int, registry prometheus.Registerer) *Gate {
	g := &Gate{limit: limit, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nemesis_lb_connections_refused_total", Help: "Client connections beyond max_connections: told (answered 503), or closed without a word.",
	}, []string{"how"})}
	registry.MustRegister(g.refused,
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

// Listen counts what a listener accepts.
func (g *Gate) Listen(l net.Listener) net.Listener { return &listener{Listener: l, gate: g} }

// over marks the context of a connection that is one too many; nothing else is in it.
type over struct{}

// Context marks the context of a connection that is one too many, for Over.
func (g *Gate) Context(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*conn); ok && c.counter == &g.told {
		return context.WithValue(ctx, over{}, true)
	}
	return ctx
}

// Over tells whether a request came on a connection beyond the limit, and the limit.
func (g *Gate) Over(ctx context.Context) (int, bool) {
	return g.limit(), ctx.Value(over{}) != nil
}

type listener struct {
	net.Listener
	gate *Gate
}

// Accept takes the next connection that is served, or told why not.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if counter := l.gate.enter(); counter != nil {
			return &conn{Conn: c, counter: counter}, nil
		}
		_ = c.Close()
	}
}

// enter counts a connection, and returns where; nil when it must be closed. Only the goroutine that
// accepts calls it.
func (g *Gate) enter() *atomic.Int64 {
	counter, most := &g.open, int64(g.limit())
	if counter.Load() >= most {
		if counter, most = &g.told, mostTold; counter.Load() >= most {
			g.refused.WithLabelValues("closed").Inc()
			return nil
		}
		g.refused.WithLabelValues("told").Inc()
	}
	counter.Add(1)
	return counter
}

// conn leaves its count when it is closed, whoever closes it: the server, or a tunnel.
type conn struct {
	net.Conn
	counter *atomic.Int64
	once    sync.Once
}

func (c *conn) Close() error {
	c.once.Do(func() { c.counter.Add(-1) })
	return c.Conn.Close()
}

// CloseWrite tells the client that no more comes; tunnels and the server use it.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
