package scaling

import (
	"fmt"
	"math"
	"time"
)

// Metric is what thresholds and rules look at.
type Metric string

// The metrics, as in the contract. CPU is in millicores, memory and disk in MiB, each the mean per
// pod; the response time is in milliseconds.
const (
	CPU          Metric = "CPU_USAGE"
	Memory       Metric = "MEMORY_USAGE"
	Disk         Metric = "DISK_USAGE"
	ResponseTime Metric = "AVERAGE_RESPONSE_TIME"
)

// Metrics are all of them, in the order in which they are shown.
var Metrics = []Metric{CPU, Memory, Disk, ResponseTime}

// Unit is the metric's unit.
func (m Metric) Unit() string {
	switch m {
	case CPU:
		return "m"
	case ResponseTime:
		return "ms"
	default:
		return "MiB"
	}
}

// word is the metric in a sentence.
func (m Metric) word() string {
	switch m {
	case CPU:
		return "CPU"
	case Memory:
		return "memory"
	case Disk:
		return "disk"
	default:
		return "response time"
	}
}

func (m Metric) amount(v float64) string {
	return fmt.Sprintf("%v %s", math.Round(v*10)/10, m.Unit())
}

// Mean is one metric over the ready pods of an application.
type Mean struct {
	Metric  Metric
	Value   float64       // over the pods that have a fresh value
	Pods    int32         // that have one; 0: Value says nothing
	Missing int32         // ready pods that should have one and have not
	Age     time.Duration // of the oldest value in it
}

// certain is the mean if every pod that says nothing used nothing: on the way up, what is not known
// does not count.
func (m Mean) certain() float64 {
	if m.Pods == 0 {
		return 0
	}
	return m.Value * float64(m.Pods) / float64(m.Pods+m.Missing)
}

// say is the mean in words.
func (m Mean) say() string {
	switch {
	case m.Pods > 0 && m.Metric == ResponseTime:
		return "response time is " + m.Metric.amount(m.Value)
	case m.Pods > 0:
		return m.Metric.word() + " is " + m.Metric.amount(m.Value) + " per pod"
	case m.Missing == 0 && m.Metric == ResponseTime:
		return "no answers were measured"
	default:
		return m.Metric.word() + " is not known"
	}
}

func (m Mean) input() Input {
	return Input{Name: inputName(m.Metric), Value: m.Value, Unit: m.Metric.Unit(), Age: m.Age}
}

// inputName is the metric as the name of an input.
func inputName(m Metric) string {
	switch m {
	case CPU:
		return "cpuUsage"
	case Memory:
		return "memoryUsage"
	case Disk:
		return "diskUsage"
	default:
		return "responseTime"
	}
}

// mean is what is known of a metric.
func (s State) mean(m Metric) Mean {
	for _, known := range s.Means {
		if known.Metric == m {
			return known
		}
	}
	return Mean{Metric: m, Missing: s.Ready}
}

// holding remembers since when each condition has held without a break. With another number of pods
// every condition begins anew: what is used then is another thing.
type holding struct {
	before   map[string]time.Time
	after    map[string]time.Time
	replicas int32
	now      time.Time
}

// since notes whether a condition holds now, and returns since when it has; zero when it does not.
func (h *holding) since(condition string, holds bool) time.Time {
	if !holds {
		return time.Time{}
	}
	condition = fmt.Sprintf("%s@%d", condition, h.replicas)
	since, ok := h.before[condition]
	if !ok || since.After(h.now) {
		since = h.now
	}
	h.after[condition] = since
	return since
}

// passed tells whether a window that began at since is over, and else when it will be.
func (h *holding) passed(since time.Time, window time.Duration) (bool, time.Time) {
	if since.IsZero() {
		return false, time.Time{}
	}
	if end := since.Add(window); h.now.Before(end) {
		return false, end
	}
	return true, time.Time{}
}
