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
	waitingBytes = prometheus.NewDesc("nemesis_lb_waiting_bytes", "What they hold in memory.", appLabels, nil)
	endpoints    = prometheus.NewDesc("nemesis_lb_endpoints", "Pods, by whether requests are sent to them.", append(appLabels, "usable"), nil)
)

// Describe names the metrics.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{inFlight, streaming, waiting, waitingBytes, endpoints} {
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
