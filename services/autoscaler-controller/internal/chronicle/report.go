package chronicle

import (
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// sample is what is new since the last one.
func (r *record) sample(s fleet.Sample) history.Sample {
	out := history.Sample{
		Waiting: s.Waiting, Replicas: s.Replicas, Ready: s.Ready, Pods: s.Pods, Maximum: s.Maximum, Contested: s.Contested,
		Arrivals: s.Arrived - r.last.Arrived, Failures: s.Failures - r.last.Failures, Rejected: s.Rejected - r.last.Rejected, Decisions: r.decisions,
	}
	if s.Woken == nil || s.Woken == r.last.Woken {
		return out
	}
	before := uint64(0)
	if r.last.Woken != nil {
		before = r.last.Woken.Total
	}
	if s.Woken.Total <= before { // the application was forgotten meanwhile, and made again
		before = 0
	}
	last := s.Woken.Last
	for _, w := range last[len(last)-int(min(s.Woken.Total-before, uint64(len(last)))):] { //nolint:gosec // G115: at most as many as there are
		out.Wakes = append(out.Wakes, history.Wake{Failed: w.Failed, Late: w.Late, Took: w.Took})
	}
	return out
}

// rules takes note of what the rules and thresholds said. A decision that says the same as the last is not recorded, so
// what asked for something goes on asking until another one is.
func (r *record) rules(d fleet.Record) {
	r.asking = r.asking[:0]
	for _, reason := range d.Reasons {
		if reason.Trigger != scaling.ByRule && reason.Trigger != scaling.ByMetric {
			continue
		}
		asks := reason.Effect == scaling.Wish
		if asks {
			r.asking = append(r.asking, reason.Rule)
		}
		r.history.Looked(reason.Rule, asks, d.Time)
	}
}

// Whole tells whether the history is whole: this process leads, and has read what the leader before kept.
func (c *Chronicle) Whole() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.whole
}

// Report tells of the applications that there are, over a period. Who decides waits while one of them is looked at, not
// while all are.
func (c *Chronicle) Report(asked report.Asked, now time.Time) report.Report {
	c.mu.Lock()
	keys := make([]fleet.Key, 0, len(c.of))
	for k := range c.of {
		if asked.Wants(k) {
			keys = append(keys, k)
		}
	}
	c.mu.Unlock()
	slices.SortFunc(keys, fleet.Key.Compare)
	b := report.New(asked)
	for _, k := range keys {
		terms, known := c.Fleet.Terms(k, now)
		if !known {
			continue
		}
		if a, known := c.reported(k, terms, asked, now); known {
			b.Add(a)
		}
	}
	return b.Report()
}

// oldNews is how long ago a period may have ended in whose report it stands who has the count now.
const oldNews = 24 * time.Hour

func (c *Chronicle) reported(k fleet.Key, terms fleet.Terms, asked report.Asked, now time.Time) (report.Application, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.of[k]
	if one == nil {
		return report.Application{}, false
	}
	a := report.Application{Key: k}
	if now.Sub(asked.To) < oldNews {
		a.Contest = terms.Contest // who has the count now says nothing of a time long ago
	}
	a.Totals, a.Since = one.history.Between(asked.From, asked.To)
	for _, name := range terms.Rules {
		r := report.Rule{Name: name}
		r.Since, r.Last, _ = one.history.Fired(name)
		a.Rules = append(a.Rules, r)
	}
	return a, true
}
