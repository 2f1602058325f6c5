package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
)

// collector reads the gauges when they are asked for, so that they cost nothing otherwise.
type collector struct {
	dispatcher *dispatch.Dispatcher
}

var (
	appLabels    = []string{"namespace", "deployment"}
	inFlight     = prometheus.NewDesc("nemesis_lb_in_flight", "Requests on pods now, streams included.", appLabels, nil)
	streaming    = prometheus.NewDesc("nemesis_lb_streaming", "Answers that have begun and not ended.", appLabels, nil)
	waiting      = prometheus.NewDesc("nemesis_lb_waiting", "Requests in the waiting room.", appLabels, nil)
	waitingBytes = prometheus.NewDesc("nemesis_lb_waiting_bytes", "Bytes that requests in the waiting room hold in memory.", appLabels, nil)
	slotsLent    = prometheus.NewDesc("nemesis_lb_slots_lent", "Slots of limited pods that other load balancers have of this one, and those that rest because their holder has gone.", appLabels, nil)
	slotsLender  = prometheus.NewDesc("nemesis_lb_slots_lender", "1 while this load balancer lends the slots of the application.", appLabels, nil)
	slotsExpired = prometheus.NewDesc("nemesis_lb_slots_expired_total", "Slots that came to rest here because their holder had gone.", appLabels, nil)
	endpoints    = prometheus.NewDesc("nemesis_lb_endpoints", "Pods, by whether requests are sent to them.", append(appLabels, "usable"), nil)
)

// Describe names the metrics.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{inFlight, streaming, waiting, waitingBytes, slotsLent, slotsLender, slotsExpired, endpoints} {
		out <- d
	}
}

// Collect reads them.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.dispatcher.Snapshots() {
		app := s.Route.Application
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{app.Namespace, app.Deployment}, labels...)...)
		}
		gauge(inFlight, float64(s.InFlight))
		gauge(streaming, float64(s.Streaming))
		gauge(waiting, float64(s.Waiting))
		gauge(waitingBytes, float64(s.WaitingBytes))
		if s.Sharing.Shared {
			lends := 0.0
			if s.Sharing.Lends {
				lends = 1
			}
			gauge(slotsLent, float64(s.Sharing.Lent))
			gauge(slotsLender, lends)
			out <- prometheus.MustNewConstMetric(slotsExpired, prometheus.CounterValue, float64(s.Sharing.Expired), app.Namespace, app.Deployment)
		}
		usable := 0
		for _, p := range s.Pods {
			if p.Usable {
				usable++
			}
		}
		gauge(endpoints, float64(usable), "true")
		gauge(endpoints, float64(len(s.Pods)-usable), "false")
	}
}
