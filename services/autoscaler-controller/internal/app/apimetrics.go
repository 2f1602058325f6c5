package app

import (
	"context"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/metrics"
)

// apiMetrics measure the calls to the API server for client-go, whose hooks are one for the process. No
// label is taken from a path: who is asked for what differs by the number of objects.
type apiMetrics struct {
	latency, limiter *prometheus.HistogramVec
	results, retries *prometheus.CounterVec
}

var ofTheAPI = sync.OnceValue(func() *apiMetrics {
	buckets := []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60}
	m := &apiMetrics{
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "nemesis_api_request_duration_seconds", Help: "Calls to the Kubernetes API server, by verb; a watch counts until it is established.", Buckets: buckets,
		}, []string{"verb"}),
		limiter: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "nemesis_api_rate_limiter_duration_seconds", Help: "How long calls to the Kubernetes API server waited for the client's own limit.", Buckets: buckets,
		}, []string{"verb"}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_api_requests_total", Help: "Calls to the Kubernetes API server, by method and status.",
		}, []string{"method", "code"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_api_request_retries_total", Help: "Calls to the Kubernetes API server that were made again because it asked for that.",
		}, []string{"method", "code"}),
	}
	metrics.Register(metrics.RegisterOpts{
		RequestLatency: verbs{m.latency}, RateLimiterLatency: verbs{m.limiter}, RequestResult: m, RequestRetry: m,
	})
	return m
})

// registerAPIMetrics shows the calls to the API server of the whole process.
func registerAPIMetrics(registry prometheus.Registerer) {
	m := ofTheAPI()
	registry.MustRegister(m.latency, m.limiter, m.results, m.retries)
}

// Increment implements metrics.ResultMetric.
func (m *apiMetrics) Increment(_ context.Context, code, method, _ string) {
	m.results.WithLabelValues(method, code).Inc()
}

// IncrementRetry implements metrics.RetryMetric.
func (m *apiMetrics) IncrementRetry(_ context.Context, code, method, _ string) {
	m.retries.WithLabelValues(method, code).Inc()
}

// verbs measure by verb alone.
type verbs struct{ by *prometheus.HistogramVec }

// Observe implements metrics.LatencyMetric.
func (v verbs) Observe(_ context.Context, verb string, _ url.URL, took time.Duration) {
	v.by.WithLabelValues(verb).Observe(took.Seconds())
}
