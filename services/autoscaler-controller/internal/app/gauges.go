package app

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// gauges are read from the fleet when Prometheus asks.
type gauges struct {
	parts                              parts
	applications, balancers, age, lead *prometheus.Desc
	led, leader                        *prometheus.Desc
}

func newGauges(p parts) *gauges {
	return &gauges{
		parts:        p,
		applications: prometheus.NewDesc("nemesis_applications", "Applications by state.", []string{"state"}, nil),
		balancers:    prometheus.NewDesc("nemesis_balancers", "Load balancers by the freshness of their last report.", []string{"report"}, nil),
		age:          prometheus.NewDesc("nemesis_traffic_report_age_seconds", "Age of the oldest last report of a load balancer.", nil, nil),
		lead:         prometheus.NewDesc("nemesis_leader", "1 when this replica leads, be it one shard of several.", nil, nil),
		led:          prometheus.NewDesc("nemesis_shards_led", "Shards that this replica leads; without shards there is one.", nil, nil),
		leader:       prometheus.NewDesc("nemesis_shard_leader", "1 when this replica leads the shard.", []string{"shard"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(g, out) }

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	states := map[fleet.State]int{}
	for i, one := range g.parts {
		for state, n := range one.fleet.States() {
			states[state] += n
		}
		leads := 0.0
		if one.loop.Leading() {
			leads = 1
		}
		gauge(g.leader, leads, strconv.Itoa(i))
	}
	for state, n := range states {
		gauge(g.applications, float64(n), string(state))
	}
	live, stale, oldest := g.reporting(time.Now())
	gauge(g.balancers, float64(live), "fresh")
	gauge(g.balancers, float64(stale), "stale")
	gauge(g.age, oldest.Seconds())
	led := g.parts.Leading()
	gauge(g.led, float64(led))
	gauge(g.lead, float64(min(led, 1)))
}

// reporting is how the load balancers report where it is worst, of the shards that are led here, or of all
// when none is.
func (g *gauges) reporting(now time.Time) (live, stale int, oldest time.Duration) {
	led, first := g.parts.Leading() > 0, true
	for _, one := range g.parts {
		if led && !one.loop.Leading() {
			continue
		}
		l, s, age := one.fleet.Reporting(now)
		if first {
			live, first = l, false
		}
		live, stale, oldest = min(live, l), max(stale, s), max(oldest, age)
	}
	return live, stale, oldest
}

// newLayoutGauge tells whether replicas with another number of shards keep this one from leading.
func newLayoutGauge(trouble func() []string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nemesis_other_layout_in_force",
		Help: "1 while replicas with another number of shards lead, and this one waits for their end.",
	}, func() float64 { return float64(min(len(trouble()), 1)) })
}

// newSettingsGauge tells whether the settings that are kept in the cluster are the ones that the
// load balancers are told.
func newSettingsGauge(trouble func() string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nemesis_balancer_settings_followed",
		Help: "1 when the load balancers follow what is kept in the cluster, 0 when that cannot be read.",
	}, func() float64 {
		if trouble() == "" {
			return 1
		}
		return 0
	})
}
