// Package proxy carries a client's request from its arrival to the last byte of its answer. The
// whole way is one function, exchange.run: limits, routing, waiting room, pod, upstream, answer.
// One struct, exchange, travels it; nothing travels in context values but the trace, and the mark
// of a connection that is one too many. Requests that the admin API makes for someone go the same
// way (Call), with the application named instead of found.
//
// It decides nothing about pods (dispatch does) and opens no connection to them (upstream does). The
// start call to the controller is made here, by Waker, through a port.
package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// Matcher finds the application of a request, or one by its name.
type Matcher interface {
	Match(host, path string) (routing.Match[*dispatch.Application], error)
	Find(id routing.Application) (*dispatch.Application, bool)
}

// Limits bound what a client may send, and how long it may pause.
type Limits struct {
	Body       int64         // bytes of a request's body
	URI        int           // bytes of the request's target
	StreamIdle time.Duration // longest pause of a client that sends a body, takes an answer, or is in a tunnel
}

// Options are what a proxy is made of.
type Options struct {
	Matcher        Matcher
	Sender         Sender
	Gate           Gate
	AccessLog      AccessLog
	LogRequest     []string // header fields of requests that the access log is told, in lower case
	LogResponse    []string // likewise of answers
	Limits         Limits
	TrustedProxies []netip.Prefix // whose X-Forwarded-* headers are believed
	Log            *slog.Logger
	Tracer         trace.Tracer
	Metrics        *Metrics
}

// Proxy is the handler of the data port.
type Proxy struct {
	o          Options
	propagator propagation.TextMapPropagator
	guests     guests
	request    []field // that are logged
	response   []field
}

// New makes a proxy.
func New(o Options) *Proxy {
	return &Proxy{
		o: o, propagator: otel.GetTextMapPropagator(), guests: guests{open: map[guest]struct{}{}},
		request: fields(o.LogRequest), response: fields(o.LogResponse),
	}
}

// The options of spans, made once: each would be an allocation for each request.
var asServer, asClient = trace.WithSpanKind(trace.SpanKindServer), trace.WithSpanKind(trace.SpanKindClient)

// ServeHTTP proxies one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := p.begin(w, r)
	x.run()
	if x.finish() {
		panic(http.ErrAbortHandler) // the client must see that the answer is not whole
	}
}

func (p *Proxy) begin(w http.ResponseWriter, r *http.Request) *exchange {
	ctx := p.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := p.o.Tracer.Start(ctx, "proxy", asServer)
	return &exchange{p: p, w: w, r: r, control: http.NewResponseController(w), ctx: ctx, span: span, began: time.Now()}
}

// Drain waits until every tunnel and every Call has ended; when ctx ends first it closes those that
// are left, and returns how many they were. The data port's own drain does not know them.
func (p *Proxy) Drain(ctx context.Context) int { return p.guests.drain(ctx) }

// Metrics are the counts of the data path. Labels are bounded: only applications that have a route
// are named.
type Metrics struct {
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	waited    *prometheus.HistogramVec
	rejected  *prometheus.CounterVec
	retries   *prometheus.CounterVec
	failures  *prometheus.CounterVec
	starts    *prometheus.CounterVec
	wakeUps   *prometheus.CounterVec
	wakeTime  *prometheus.HistogramVec
	perTarget sync.Map // routing.Application to *targetMetrics, so that the hot path looks up no labels
}
