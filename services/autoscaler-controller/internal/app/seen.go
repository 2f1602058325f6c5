package app

import (
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/chronicle"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/control"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/news"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/receivers"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/reporter"
)

// followers are told of what changes: those who follow the stream of events, and the history.
type followers struct {
	board     *news.Board
	chronicle *chronicle.Chronicle
}

var _ control.Changes = followers{}

// Changed takes note of an application that changed.
func (f followers) Changed(k fleet.Key, urgent bool) { f.board.Changed(k, urgent) }

// Removed takes note of an application that has gone.
func (f followers) Removed(k fleet.Key) { f.board.Removed(k) }

// Decided takes note of a decision.
func (f followers) Decided(r fleet.Record) {
	f.board.Decided(r)
	f.chronicle.Decided(r)
}

// see gives a part those who look on.
func (p parts) see(i int, store chronicle.Store, m chronicle.Meter, log *slog.Logger) followers {
	p[i].news = news.New(p[i].epoch)
	p[i].chronicle = chronicle.New(chronicle.Options{Fleet: p[i].fleet, Store: store, Meter: m, Log: log, Shards: len(p), Ours: p.ours(i)})
	return followers{p[i].news, p[i].chronicle}
}

// report has what the parts have seen be sent to who asked for it. With shards one of them has the reports on all
// be made, of everywhere.
func (p parts) report(post *receivers.Post, store reporter.Store, log *slog.Logger, own string, everywhere reporter.Everywhere) {
	for i := range p {
		o := reporter.Options{Source: p[i].chronicle, Post: post, Store: store, Log: log, Own: own, Ours: p.ours(i), Everywhere: everywhere, First: i == 0}
		if len(p) == 1 {
			o.Everywhere = nil
		}
		p[i].reporter = reporter.New(o)
	}
}

// Lead decides, writes the history, and sends reports, until ctx ends.
func (p *part) Lead(ctx context.Context) {
	var leading sync.WaitGroup
	if p.chronicle != nil {
		leading.Go(func() { p.chronicle.Lead(ctx) })
	}
	if p.reporter != nil {
		leading.Go(func() { p.reporter.Lead(ctx) })
	}
	p.loop.Lead(ctx)
	leading.Wait()
}

// historyMeter measures how the history is kept.
type historyMeter struct{ keeps, loads *prometheus.CounterVec }

func newHistoryMeter(registry prometheus.Registerer) *historyMeter {
	counter := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"})
		registry.MustRegister(c)
		c.WithLabelValues("done")
		c.WithLabelValues("failed")
		return c
	}
	return &historyMeter{
		keeps: counter("nemesis_history_writes_total", "Writes of ConfigMaps with histories, by what became of them."),
		loads: counter("nemesis_history_reads_total", "Readings of what the leader before kept of the histories, by what became of them."),
	}
}

// HistoryKept counts a write.
func (m *historyMeter) HistoryKept(err error) { m.keeps.WithLabelValues(done(err)).Inc() }

// HistoryLoaded counts a reading.
func (m *historyMeter) HistoryLoaded(err error) { m.loads.WithLabelValues(done(err)).Inc() }

func done(err error) string {
	if err != nil {
		return "failed"
	}
	return "done"
}

// savingsGauges tell what was used and saved, by all applications while they were led here.
type savingsGauges struct {
	parts                    parts
	used, saved, bytes, cuts *prometheus.Desc
}

func newSavingsGauges(p parts) *savingsGauges {
	return &savingsGauges{
		parts: p,
		used:  prometheus.NewDesc("nemesis_pod_seconds_total", "How long pods of applications were there, all together, while this replica led them.", nil, nil),
		saved: prometheus.NewDesc("nemesis_pod_seconds_saved_total", "Pod seconds that were saved, against one pod that is always there and against maxReplicas that are, while this replica led.", []string{"against"}, nil),
		bytes: prometheus.NewDesc("nemesis_history_bytes", "Memory of the histories of applications, 24 KB of each at the most.", nil, nil),
		cuts:  prometheus.NewDesc("nemesis_history_cut", "Applications of whose history not all was kept the last time, for there are many that are busy.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *savingsGauges) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(g, out) }

// Collect implements prometheus.Collector.
func (g *savingsGauges) Collect(out chan<- prometheus.Metric) {
	var all chronicle.Stats
	for i := range g.parts {
		s := g.parts[i].chronicle.Stats()
		all.Totals.PodSeconds += s.Totals.PodSeconds
		all.Totals.SavedAgainstOne += s.Totals.SavedAgainstOne
		all.Totals.SavedAgainstMaximum += s.Totals.SavedAgainstMaximum
		all.Bytes += s.Bytes
		all.Cut += s.Cut
	}
	out <- prometheus.MustNewConstMetric(g.used, prometheus.CounterValue, all.Totals.PodSeconds)
	out <- prometheus.MustNewConstMetric(g.saved, prometheus.CounterValue, all.Totals.SavedAgainstOne, "one")
	out <- prometheus.MustNewConstMetric(g.saved, prometheus.CounterValue, all.Totals.SavedAgainstMaximum, "maximum")
	out <- prometheus.MustNewConstMetric(g.bytes, prometheus.GaugeValue, float64(all.Bytes))
	out <- prometheus.MustNewConstMetric(g.cuts, prometheus.GaugeValue, float64(all.Cut))
}
