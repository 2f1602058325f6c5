package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/control"
)

// loopGauges are read from a loop when Prometheus asks.
type loopGauges struct {
	stats                                            func() control.Stats
	applying, applyWaiting, backingOff, waiting, age *prometheus.Desc
	slow, contested, terms                           *prometheus.Desc
}

// newLoopGauges shows the loop of a shard; "" where there is one alone.
func newLoopGauges(shard string, stats func() control.Stats) *loopGauges {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, nil, prometheus.Labels{"shard": shard})
	}
	return &loopGauges{
		stats:        stats,
		applying:     desc("nemesis_applies_in_flight", "Applications whose decision is being applied now, start calls aside."),
		applyWaiting: desc("nemesis_applies_waiting", "Applications that wait for a place to be applied to."),
		backingOff:   desc("nemesis_scale_backoffs", "Applications whose last scaling or marking of pods failed, and is tried less and less."),
		waiting:      desc("nemesis_status_waiting", "Statuses of CustomAutoscalers that are to be compared or written."),
		age:          desc("nemesis_status_oldest_seconds", "Age of the oldest news that no status says yet."),
		slow:         desc("nemesis_starts_overdue", "Applications whose start from zero takes longer than wakeUpTimeout and three times what it took lately, where this replica leads."),
		contested:    desc("nemesis_contested", "Applications that are left alone because somebody sets their count back again and again, where this replica leads."),
		terms:        desc("nemesis_leader_terms_total", "Terms of leadership that this process has begun."),
	}
}

// Describe implements prometheus.Collector.
func (g *loopGauges) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(g, out) }

// Collect implements prometheus.Collector.
func (g *loopGauges) Collect(out chan<- prometheus.Metric) {
	s := g.stats()
	for d, v := range map[*prometheus.Desc]float64{
		g.applying: float64(s.Applying), g.applyWaiting: float64(s.ApplyWaiting), g.backingOff: float64(s.BackingOff),
		g.slow: float64(s.Slow), g.contested: float64(s.Contested),
		g.waiting: float64(s.StatusWaiting), g.age: s.StatusAge.Seconds(),
	} {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	out <- prometheus.MustNewConstMetric(g.terms, prometheus.CounterValue, float64(s.Terms))
}

// newEpochGauge names this life of a shard in this process; the shard is "" where there is one alone.
func newEpochGauge(shard, epoch string) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "nemesis_controller_epoch_info", Help: "1; the label names this life of the process, as decisions and routes do.",
		ConstLabels: prometheus.Labels{"epoch": epoch, "shard": shard},
	})
	g.Set(1)
	return g
}

// newEventsGauge tells how many events wait.
func newEventsGauge(waiting func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nemesis_events_waiting", Help: "Kubernetes events that are to be written.",
	}, func() float64 { return float64(waiting()) })
}
