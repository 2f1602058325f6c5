package scaling

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Metric is what thresholds and rules look at.
type Metric string

// The metrics, as in the contract: each the mean per pod.
const (
	CPU          Metric = "CPU_USAGE"
	Memory       Metric = "MEMORY_USAGE"
	Disk         Metric = "DISK_USAGE"
	ResponseTime Metric = "AVERAGE_RESPONSE_TIME"

	// Of model servers, by the sidecar.
	RunningRequests Metric = "RUNNING_REQUESTS"
	QueuedRequests  Metric = "QUEUED_REQUESTS"
	CacheUsage      Metric = "CACHE_USAGE"
	GPU             Metric = "GPU_USAGE"

	// By the load balancers.
	Concurrency Metric = "CONCURRENCY"
	RequestRate Metric = "REQUEST_RATE"
)

// about is how a metric is written: its unit, itself in a sentence, and as the name of an input.
var about = map[Metric]struct{ unit, word, input string }{
	CPU:             {"m", "CPU", "cpuUsage"},
	Memory:          {"MiB", "memory", "memoryUsage"},
	Disk:            {"MiB", "disk", "diskUsage"},
	ResponseTime:    {"ms", "response time", "responseTime"},
	RunningRequests: {"requests", "running", "runningRequests"},
	QueuedRequests:  {"requests", "queued", "queuedRequests"},
	CacheUsage:      {"%", "KV cache in use", "cacheUsage"},
	GPU:             {"%", "GPU", "gpuUsage"},
	Concurrency:     {"requests", "concurrency", "concurrency"},
	RequestRate:     {"requests/s", "request rate", "requestRate"},
}

// Metrics are those that are always looked at, in the order in which they are shown. The others are
// where a rule asks for them.
var Metrics = []Metric{CPU, Memory, Disk, ResponseTime}

// Asked are the metrics that thresholds and rules look at, in the order of the contract.
func (s Spec) Asked() []Metric {
	asked := map[Metric]bool{CPU: s.CPUThreshold > 0, Memory: s.MemoryThreshold > 0, ResponseTime: s.ResponseTimeThreshold > 0}
	for _, r := range s.Rules {
		for _, t := range r.Thresholds {
			asked[t.Metric] = true
		}
	}
	all := []Metric{CPU, Memory, Disk, ResponseTime, RunningRequests, QueuedRequests, CacheUsage, GPU, Concurrency, RequestRate}
	return slices.DeleteFunc(all, func(m Metric) bool { return !asked[m] })
}

// Unit is the metric's unit.
func (m Metric) Unit() string { return about[m].unit }

// word is the metric in a sentence.
func (m Metric) word() string { return about[m].word }

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
	return Input{Name: about[m.Metric].input, Value: m.Value, Unit: m.Metric.Unit(), Age: m.Age}
}

// mean is what is known of a metric.
func (s State) mean(m Metric) Mean {
	ready := max(1, s.Ready-s.Draining)
	switch m { //nolint:exhaustive // the others are measured on the pods
	case Concurrency:
		return Mean{Metric: m, Value: (s.Demand.Concurrency.Short + float64(s.Traffic.Waiting)) / float64(ready), Pods: ready, Age: s.Demand.Age}
	case RequestRate:
		return Mean{Metric: m, Value: s.Demand.Arrivals.Short / float64(ready), Pods: ready, Age: s.Demand.Age}
	}
	for _, known := range s.Means {
		if known.Metric == m {
			return known
		}
	}
	return Mean{Metric: m, Missing: s.Ready}
}

// undrained is a mean as it was before pods were chosen to go, of what is shared out among the pods: what
// they did is on the others now. That these do more is no reason to call a way down off that counts on it.
func (s State) undrained(m Mean) Mean {
	stays := m.Metric == Memory || m.Metric == Disk || m.Metric == ResponseTime
	if !stays && s.Draining > 0 && s.Draining < s.Ready {
		m.Value *= float64(s.Ready-s.Draining) / float64(s.Ready)
	}
	return m
}

// holding remembers since when each condition has held without a break. With another number of pods
// every condition begins anew: what is used then is another thing.
type holding struct {
	before   map[string]time.Time
	after    map[string]time.Time
	replicas int32
	now      time.Time
	tries    map[string]Tried // of thresholds, by rule; changed as they are asked
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
