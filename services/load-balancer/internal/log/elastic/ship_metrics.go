package elastic

import "github.com/prometheus/client_golang/prometheus"

// Why entries are sent again.
const (
	reasonNetwork  = "network"        // no answer
	reasonAnswer   = "answer"         // one that says nothing
	reasonFiles    = "files"          // those of the credentials or authorities cannot be read
	reasonBusy     = "busy"           // 429
	reasonServer   = "server"         // 5xx
	reasonRights   = "rights"         // 401, 403
	reasonNoStream = "no-data-stream" // 404: its template is missing
	reasonNoIndex  = "no-index"       // 400: the cluster may hold no more shards
	reasonHalved   = "halved"         // 413: in two parts
	reasonSpool    = "spool"          // what is to be shipped cannot be read
)

var reasons = []string{reasonNetwork, reasonAnswer, reasonFiles, reasonBusy, reasonServer, reasonRights, reasonNoStream, reasonNoIndex, reasonHalved, reasonSpool}

type shipMetrics struct {
	shipped, duplicates, dead, lost prometheus.Counter
	retries                         map[string]prometheus.Counter
	holding                         map[string]prometheus.Gauge
	latency                         prometheus.Histogram
}

func newShipMetrics(registry prometheus.Registerer) *shipMetrics {
	const prefix = "nemesis_lb_log_"
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
		registry.MustRegister(c)
		return c
	}
	m := &shipMetrics{
		shipped:    counter("shipped_total", "Log entries that Elasticsearch has taken."),
		duplicates: counter("duplicates_total", "Log entries that were sent again and were there already."),
		dead:       counter("dead_letters_total", "Log entries that Elasticsearch refused for what they are; they were put aside."),
		lost:       counter("dead_letters_lost_total", "Log entries that Elasticsearch refused and that could not be put aside."),
		retries:    map[string]prometheus.Counter{},
		holding:    map[string]prometheus.Gauge{},
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: prefix + "bulk_duration_seconds", Help: "How long bulk requests took, with the reading of their answers.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}),
	}
	retries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "retries_total", Help: "Log entries to be sent again, by why; once for each time."}, []string{"reason"})
	holding := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + "holding", Help: "1 for the reason why nothing is shipped now."}, []string{"reason"})
	registry.MustRegister(retries, holding, m.latency)
	for _, reason := range reasons {
		m.retries[reason] = retries.WithLabelValues(reason)
		m.holding[reason] = holding.WithLabelValues(reason)
	}
	return m
}

func (m *shipMetrics) retry(reason string, entries int) { m.retries[reason].Add(float64(entries)) }

func (m *shipMetrics) hold(before, now string) {
	if g := m.holding[before]; g != nil {
		g.Set(0)
	}
	if g := m.holding[now]; g != nil {
		g.Set(1)
	}
}
