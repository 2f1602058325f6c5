package main

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Why an answer ended, in vLLM's words.
const (
	finishedLength = "length" // max_tokens were made; an echo has no other natural end
	finishedAbort  = "abort"  // the client went away
)

// gauges are the server's figures under vLLM's names.
type gauges struct {
	registry         *prometheus.Registry
	cached           atomic.Int64 // tokens in the key-value cache
	firstToken       prometheus.Observer
	betweenTokens    prometheus.Observer
	queueTime        prometheus.Observer
	promptTokens     prometheus.Counter
	generationTokens prometheus.Counter
	finished         *prometheus.CounterVec
	refused          *prometheus.CounterVec
}

func newGauges(c config, s *slots) *gauges {
	g := &gauges{registry: prometheus.NewRegistry()}
	labels := prometheus.Labels{"model_name": c.model}
	gauge := func(name, help string, read func() float64) {
		g.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
	}
	counters := func(name, help string, names ...string) *prometheus.CounterVec {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, names)
		g.registry.MustRegister(vec)
		return vec
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Observer {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, ConstLabels: labels, Buckets: buckets})
		g.registry.MustRegister(h)
		return h
	}
	gauge("vllm:num_requests_running", "Requests that have a slot.", func() float64 { running, _ := s.load(); return float64(running) })
	gauge("vllm:num_requests_waiting", "Requests that wait for a slot.", func() float64 { _, waiting := s.load(); return float64(waiting) })
	capacity := float64(c.slots) * float64(c.contextTokens)
	gauge("vllm:kv_cache_usage_perc", "Share of the key-value cache in use; 1 is all of it.", func() float64 { return float64(g.cached.Load()) / capacity })
	g.firstToken = histogram("vllm:time_to_first_token_seconds", "From the arrival of a request to its first token.",
		0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160)
	g.betweenTokens = histogram("vllm:inter_token_latency_seconds", "From one token of a request to its next.",
		0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
	g.queueTime = histogram("vllm:request_queue_time_seconds", "From the arrival of a request to its slot.",
		0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480)
	g.promptTokens = counters("vllm:prompt_tokens_total", "Tokens of prompts that were read.").WithLabelValues()
	g.generationTokens = counters("vllm:generation_tokens_total", "Tokens that were made.").WithLabelValues()
	g.finished = counters("vllm:request_success_total", "Requests that were ended, by the reason.", "finished_reason")
	g.refused = counters("modelserver_requests_refused_total", "Requests that were not taken, by the code of the problem.", "code")
	for _, reason := range []string{finishedLength, finishedAbort} {
		g.finished.WithLabelValues(reason) // there from the start, so that a rate over it is never missing
	}
	return g
}

func (g *gauges) handler() http.Handler {
	return promhttp.HandlerFor(g.registry, promhttp.HandlerOpts{})
}

// observation follows one request through the figures.
type observation struct {
	gauges  *gauges
	arrived time.Time
	last    time.Time
	held    int64
}

func (g *gauges) arrival() *observation { return &observation{gauges: g, arrived: time.Now()} }

// started: the request has a slot, and its prompt fills the cache.
func (o *observation) started(promptTokens int) {
	o.gauges.queueTime.Observe(time.Since(o.arrived).Seconds())
	o.gauges.promptTokens.Add(float64(promptTokens))
	o.hold(int64(promptTokens))
}

// token: one more token was made.
func (o *observation) token() {
	now := time.Now()
	if o.last.IsZero() {
		o.gauges.firstToken.Observe(now.Sub(o.arrived).Seconds())
	} else {
		o.gauges.betweenTokens.Observe(now.Sub(o.last).Seconds())
	}
	o.last = now
	o.gauges.generationTokens.Inc()
	o.hold(1)
}

// ended: the request is over, for better or worse, and its part of the cache is free.
func (o *observation) ended(err error) {
	o.gauges.cached.Add(-o.held)
	o.held = 0
	reason := finishedLength
	if err != nil {
		reason = finishedAbort
	}
	o.gauges.finished.WithLabelValues(reason).Inc()
}

func (o *observation) hold(tokens int64) {
	o.held += tokens
	o.gauges.cached.Add(tokens)
}
