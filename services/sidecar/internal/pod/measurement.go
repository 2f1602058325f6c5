// Package pod holds what is said of one pod: a measurement, and what is missing from it. It knows
// neither where the values come from nor where they go.
package pod

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Kind names one value; the words are those of the contract, since people read them.
type Kind string

// The kinds, in the order in which they are told.
const (
	CPU              Kind = "cpuUsage"         // millicores, the mean since the last measurement
	Memory           Kind = "memoryUsage"      // MiB, the working set
	Disk             Kind = "diskUsage"        // MiB, on the pod's writable volumes
	ResponseTime     Kind = "responseTime"     // milliseconds, the mean since the last measurement
	RequestRate      Kind = "requestRate"      // answers per second since the last measurement
	InFlight         Kind = "inFlight"         // requests being worked on
	Queued           Kind = "queued"           // requests that wait inside the application
	CacheUsage       Kind = "cacheUsage"       // the model server's cache in use, from 0 to 1
	TimeToFirstToken Kind = "timeToFirstToken" // milliseconds, the mean since the last measurement
	GPU              Kind = "gpuUsage"         // percent, the mean over the pod's GPUs
	GPUMemory        Kind = "gpuMemoryUsage"   // MiB, over the pod's GPUs
	GPUPower         Kind = "gpuPower"         // watts, over the pod's GPUs
)

// Kinds are all of them, in order.
var Kinds = []Kind{CPU, Memory, Disk, ResponseTime, RequestRate, InFlight, Queued, CacheUsage, TimeToFirstToken, GPU, GPUMemory, GPUPower}

// most is the largest value of each kind that the contract takes.
var most = map[Kind]float64{
	CPU: 1e9, Memory: 1e12, Disk: 1e12, ResponseTime: 1e9, RequestRate: 1e9, InFlight: 1e9, Queued: 1e9, CacheUsage: 1, TimeToFirstToken: 1e9,
	GPU: 100, GPUMemory: 1e12, GPUPower: 1e6,
}

// Measurement is what the pod uses at one moment. A value that could not be measured is not there,
// and Missing says why: nothing is ever 0 because it is unknown.
type Measurement struct {
	At     time.Time
	Window time.Duration // what is a mean was measured for so long, up to At; 0: not known
	// Application is whose page the application's values are from.
	Application Application

	values  map[Kind]float64
	missing map[Kind]string
}

// New is an empty measurement.
func New(at time.Time) Measurement {
	return Measurement{At: at, values: map[Kind]float64{}, missing: map[Kind]string{}}
}

// Set takes a value. One that is no number, or that nobody could mean, counts as missing.
func (m Measurement) Set(k Kind, value float64) {
	if math.IsNaN(value) || value < 0 || value > most[k] {
		m.Miss(k, "what was read makes no sense")
		return
	}
	m.values[k] = value
	delete(m.missing, k)
}

// Miss says why a value is not there. A value that was set stays.
func (m Measurement) Miss(k Kind, why string) {
	if _, ok := m.values[k]; !ok {
		m.missing[k] = why
	}
}

// Value is the value of the kind, if it was measured.
func (m Measurement) Value(k Kind) (float64, bool) {
	v, ok := m.values[k]
	return v, ok
}

// Has tells whether the value is there, or is known to be missing.
func (m Measurement) Has(k Kind) bool {
	_, value := m.values[k]
	_, missing := m.missing[k]
	return value || missing
}

// Empty tells that nothing was measured.
func (m Measurement) Empty() bool { return len(m.values) == 0 }

// Missing is what could not be measured and why, the kinds with the same reason together.
func (m Measurement) Missing() []string {
	var reasons []string
	kinds := map[string][]string{}
	for _, k := range Kinds {
		why, ok := m.missing[k]
		if !ok {
			continue
		}
		if len(kinds[why]) == 0 {
			reasons = append(reasons, why)
		}
		kinds[why] = append(kinds[why], string(k))
	}
	texts := make([]string, 0, len(reasons))
	for _, why := range reasons {
		texts = append(texts, cut(strings.Join(kinds[why], ", ")+": "+why))
	}
	return slices.Clip(texts)
}

// longest is how much of a reason the contract takes, in bytes.
const longest = 512

func cut(s string) string {
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest-len("…")], "") + "…"
}
