package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// gauges are read from the fleet when Prometheus asks.
type gauges struct {
	fleet                              *fleet.Fleet
	leading                            func() bool
	applications, balancers, age, lead *prometheus.Desc
}

func newGauges(f *fleet.Fleet, leading func() bool) *gauges {
	return &gauges{
		fleet: f, leading: leading,
		applications: prometheus.NewDesc("nemesis_applications", "Applications by state.", []string{"state"}, nil),
		balancers:    prometheus.NewDesc("nemesis_balancers", "Load balancers by the freshness of their last report.", []string{"report"}, nil),
		age:          prometheus.NewDesc("nemesis_traffic_report_age_seconds", "Age of the oldest last report of a load balancer.", nil, nil),
		lead:         prometheus.NewDesc("nemesis_leader", "1 when this replica leads.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(g, out) }

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for state, n := range g.fleet.States() {
		gauge(g.applications, float64(n), string(state))
	}
	live, stale, oldest := g.fleet.Reporting(time.Now())
	gauge(g.balancers, float64(live), "fresh")
	gauge(g.balancers, float64(stale), "stale")
	gauge(g.age, oldest.Seconds())
	leads := 0.0
	if g.leading() {
		leads = 1
	}
	gauge(g.lead, leads)
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
