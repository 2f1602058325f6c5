package proxy

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// The reasons of a refusal, as the label says them.
const (
	reasonNoRoute  = "no-route"
	reasonInvalid  = "invalid"
	reasonTooLarge = "too-large"
	reasonRoomFull = "waiting-room-full"
	reasonTooLate  = "wake-up-timeout"
	reasonClosing  = "closing"
	reasonConns    = "too-many-connections"
	reasonLocal    = "local-limit"
	reasonBusy     = "busy"
	reasonBlocked  = "start-blocked"
	reasonShare    = "share"
	reasonStarting = "starting" // answered at once, as whileWaiting says
	reasonAccepted = "accepted"
	reasonPage     = "page"
)

// Metrics are the counts of the data path. Labels are bounded: only applications that have a route
// are named.
type Metrics struct {
	requests  *counts
	duration  *prometheus.HistogramVec
	waited    *prometheus.HistogramVec
	rejected  *counts
	retries   *prometheus.CounterVec
	failures  *counts
	starts    *counts
	wakeUps   *counts
	wakeTime  *prometheus.HistogramVec
	uncounted *counts
	panics    prometheus.Counter
	perTarget sync.Map // routing.Application to *targetMetrics, so that the hot path looks up no labels
}

// Buckets from a millisecond to ten minutes: an answer may be a cache hit or a long inference.
var durationBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

// targetMetrics are those of one application, looked up once.
type targetMetrics struct {
	byClass  [6]prometheus.Counter // by the first digit of the status; 0: the client was gone
	duration prometheus.Observer
}

var classes = [6]string{"gone", "1xx", "2xx", "3xx", "4xx", "5xx"}

// counts are counters of applications that are told apart by one more label, of a few values. Which of them were ever used
// is remembered, so that an application's are found by name when it goes: to look for them is to look at those of all, and
// whoever counts waits meanwhile.
type counts struct {
	*prometheus.CounterVec
	used sync.Map
}

func (c *counts) of(app routing.Application, value string) prometheus.Counter {
	if _, known := c.used.Load(value); !known {
		c.used.Store(value, nil)
	}
	return c.WithLabelValues(app.Namespace, app.Deployment, value)
}

func (c *counts) forget(app routing.Application) {
	for value := range c.used.Range {
		c.DeleteLabelValues(app.Namespace, app.Deployment, value.(string)) //nolint:forcetypeassert // the map holds nothing else
	}
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	app := []string{"namespace", "deployment"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nemesis_lb_" + name, Help: help}, labels)
		registry.MustRegister(c)
		return c
	}
	by := func(label, name, help string) *counts {
		return &counts{CounterVec: counter(name, help, append(app, label)...)}
	}
	histogram := func(name, help string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nemesis_lb_" + name, Help: help, Buckets: durationBuckets}, app)
		registry.MustRegister(h)
		return h
	}
	panics := prometheus.NewCounter(prometheus.CounterOpts{Name: "nemesis_lb_faults_total", Help: "Faults of the load balancer that ended an exchange; each has a stack in the log."})
	registry.MustRegister(panics)
	return &Metrics{
		panics:    panics,
		requests:  by("code", "requests_total", "Requests that ended, by the class of their status; gone: the client left first."),
		duration:  histogram("request_duration_seconds", "From a request's arrival to its answer's last byte."),
		waited:    histogram("waiting_seconds", "How long requests were in the waiting room that were there at all."),
		rejected:  by("reason", "rejected_total", "Requests that never reached a pod."),
		retries:   counter("retries_total", "Requests sent to another pod because nothing of them reached the first one.", app...),
		failures:  by("kind", "upstream_failures_total", "Exchanges that broke on the pod's side."),
		starts:    by("result", "start_calls_total", "Start calls to the controller, by their result."),
		uncounted: by("answer", "uncounted_requests_total", "Requests that are no traffic (uncountedRequests), by who answered: a pod, or the load balancer because the application is asleep or busy. No other metric has them."),
		wakeUps:   by("outcome", "wakeups_total", "Wake-ups that ended, by their outcome."),
		wakeTime:  histogram("wakeup_duration_seconds", "From the arrival that woke an application to the answer's first byte."),
	}
}

// ended counts a request that ended.
func (m *Metrics) ended(app routing.Application, status int, took time.Duration) {
	known, ok := m.perTarget.Load(app)
	if !ok {
		t := &targetMetrics{duration: m.duration.WithLabelValues(app.Namespace, app.Deployment)}
		for i, class := range classes {
			t.byClass[i] = m.requests.of(app, class)
		}
		known, _ = m.perTarget.LoadOrStore(app, t)
	}
	t := known.(*targetMetrics) //nolint:forcetypeassert // the map holds nothing else
	t.byClass[min(max(status/100, 0), 5)].Inc()
	t.duration.Observe(took.Seconds())
}

// rejects counts a refusal; app is zero when no application was found.
func (m *Metrics) rejects(app routing.Application, reason string) {
	m.rejected.of(app, reason).Inc()
}

// Woken counts a wake-up that ended.
func (m *Metrics) Woken(app routing.Application, wake dispatch.WakeUp) {
	m.wakeUps.of(app, string(wake.Outcome)).Inc()
	if wake.Outcome == dispatch.WakeAnswered {
		m.wakeTime.WithLabelValues(app.Namespace, app.Deployment).Observe(wake.FirstByteAt.Sub(wake.ArrivedAt).Seconds())
	}
}

// Forget drops what was counted of an application whose route is gone, so that the labels stay
// bounded by the routes there are.
func (m *Metrics) Forget(app routing.Application) {
	m.perTarget.Delete(app)
	for _, c := range []*counts{m.requests, m.rejected, m.failures, m.starts, m.uncounted, m.wakeUps} {
		c.forget(app)
	}
	for _, vec := range []interface{ DeleteLabelValues(of ...string) bool }{m.duration, m.waited, m.retries, m.wakeTime} {
		vec.DeleteLabelValues(app.Namespace, app.Deployment)
	}
}
