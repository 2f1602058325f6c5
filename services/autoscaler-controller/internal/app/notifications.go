package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/receivers"
)

// sentNotices count calls to receivers.
type sentNotices struct{ sent, dropped *prometheus.CounterVec }

var _ receivers.Meter = sentNotices{}

func newSentNotices(registry prometheus.Registerer) sentNotices {
	m := sentNotices{
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_notices_sent_total", Help: "Calls by which somebody was told what happened, by format and by whether the notice was taken.",
		}, []string{"format", "result"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_notices_dropped_total", Help: "Notices that a receiver was not told and never will be, by why: full, aged, refused, receiver.",
		}, []string{"reason"}),
	}
	registry.MustRegister(m.sent, m.dropped)
	for _, format := range []autoscaler.NotificationFormat{
		autoscaler.NotificationSlack, autoscaler.NotificationAlertmanager, autoscaler.NotificationAlertmanagerAPI, autoscaler.NotificationCloudEvents,
	} {
		m.sent.WithLabelValues(string(format), "taken")
		m.sent.WithLabelValues(string(format), "failed")
	}
	for _, why := range notices.AllDropped {
		m.dropped.WithLabelValues(string(why))
	}
	return m
}

// NoticeSent counts a call.
func (m sentNotices) NoticeSent(format notices.Format, taken bool) {
	result := "failed"
	if taken {
		result = "taken"
	}
	m.sent.WithLabelValues(string(format), result).Inc()
}

// NoticeDropped counts a notice that is not told.
func (m sentNotices) NoticeDropped(why notices.Dropped) { m.dropped.WithLabelValues(string(why)).Inc() }

// postGauges tell how many notices wait, and how the Secrets stand that name receivers.
type postGauges struct {
	post             *receivers.Post
	waiting, secrets *prometheus.Desc
}

func newPostGauges(p *receivers.Post) prometheus.Collector {
	return postGauges{
		post:    p,
		waiting: prometheus.NewDesc("nemesis_notices_waiting", "Notices that wait or are under way, each counted for each of its receivers.", nil, nil),
		secrets: prometheus.NewDesc("nemesis_notification_secrets", "Secrets nemesis-notifications, by whether they are followed or malformed.", []string{"state"}, nil),
	}
}

// Describe is for Prometheus.
func (g postGauges) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(g, out) }

// Collect is for Prometheus.
func (g postGauges) Collect(out chan<- prometheus.Metric) {
	followed, malformed := g.post.Secrets()
	out <- prometheus.MustNewConstMetric(g.waiting, prometheus.GaugeValue, float64(g.post.Waiting()))
	out <- prometheus.MustNewConstMetric(g.secrets, prometheus.GaugeValue, float64(followed), "followed")
	out <- prometheus.MustNewConstMetric(g.secrets, prometheus.GaugeValue, float64(malformed), "malformed")
}
