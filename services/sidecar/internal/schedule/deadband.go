package schedule

import (
	"math"
	"time"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// DeadBand says which measurements are news: a pod whose values stay as they are says so at a slow
// heartbeat, and one whose values move says it at once. What is compared is the last that was to be
// sent, so that a slow drift is news too as soon as it is wide enough. The zero value takes every
// measurement for news.
type DeadBand struct {
	Heartbeat time.Duration // the longest between two that are sent
	Share     float64       // of a value, by which it may move and be no news
}

// floors are by how much a value may move at least: of small ones a share is nothing. Counts of requests
// have none: the second request is news.
var floors = map[pod.Kind]float64{
	pod.CPU: 10, pod.Memory: 8, pod.Disk: 16, pod.ResponseTime: 5, pod.RequestRate: 0.5, pod.CacheUsage: 0.02, pod.TimeToFirstToken: 10,
	pod.GPU: 5, pod.GPUMemory: 64, pod.GPUPower: 10,
}

// news tells why a measurement is to be sent when the last that was is before, and "" when it is not.
// next is when there will be another measurement at the latest.
func (d DeadBand) news(before, m pod.Measurement, next time.Time) string {
	switch {
	case d.Heartbeat <= 0 || d.Share <= 0:
		return "every measurement is sent"
	case before.At.IsZero():
		return "it is the first"
	case next.Sub(before.At) > d.Heartbeat:
		return "the heartbeat is due"
	}
	for _, k := range pod.Kinds {
		if d.moved(k, before, m) {
			return string(k) + " has moved"
		}
	}
	return ""
}

// moved tells whether a value left its band; it does when it begins or ceases to be measured, and when
// requests come to a pod without any, or the last one goes.
func (d DeadBand) moved(k pod.Kind, before, m pod.Measurement) bool {
	was, had := before.Value(k)
	is, has := m.Value(k)
	if !had || !has {
		return had != has
	}
	if (k == pod.InFlight || k == pod.Queued) && (was == 0) != (is == 0) {
		return true
	}
	return math.Abs(is-was) > max(floors[k], d.Share*was)
}
