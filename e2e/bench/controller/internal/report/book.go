// Package report keeps what was measured, judges it by the targets, and shows it to people and programs.
package report

import (
	"math"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/summary"
)

// The metrics.
const (
	RestCPU      = "rest_cpu_percent"
	RestRSS      = "rest_rss_mb"
	RestHeap     = "rest_heap_mb"
	RestHistory  = "rest_history_mb"
	AppRSS       = "app_rss_kb"
	AppHeap      = "app_heap_kb"
	SettleTime   = "settle_seconds"
	SettleCPU    = "settle_cpu_seconds"
	ReadyTime    = "ready_seconds"
	PodRSS       = "pod_known_rss_kb"
	PodHeap      = "pod_known_heap_kb"
	PushingRSS   = "pod_pushing_rss_kb"
	PushingHeap  = "pod_pushing_heap_kb"
	PushCPU      = "push_cpu_us"
	BatchCPU     = "push_batched_cpu_us"
	PushRate     = "pushes_per_second"
	PushesFailed = "pushes_failed"
	PushP50      = "push_p50_ms"
	PushP99      = "push_p99_ms"
	LoadCPU      = "load_cpu_percent"
	LoadRSS      = "load_rss_mb"
	LoadOther    = "load_other_core_percent"
	DecisionP50  = "decision_p50_ms"
	DecisionP99  = "decision_p99_ms"
	Decisions    = "decisions"
	Undecided    = "decisions_missed"
	StartP50     = "start_p50_ms"
	StartP99     = "start_p99_ms"
	OwnP50       = "start_own_p50_ms"
	OwnP99       = "start_own_p99_ms"
	Starts       = "starts_per_second"
	WakeCPU      = "wake_up_cpu_ms"
	StartsFailed = "starts_failed"
	FloorP50     = "scale_floor_p50_ms"
	FloorP99     = "scale_floor_p99_ms"
	SeenP50      = "watch_floor_p50_ms"
	SeenP99      = "watch_floor_p99_ms"
	FailoverKill = "failover_kill_seconds"
	FailoverTerm = "failover_polite_seconds"
	FailoverCall = "failover_start_call_ms"
	RestRoutes   = "rest_routes_bytes_per_second"
	LoadRoutes   = "load_routes_bytes_per_second"
	RestReports  = "rest_report_bytes"
	LoadReports  = "load_report_bytes"
	LeaderBytes  = "leader_change_bytes"
	eventPrefix  = "event_"
	eventSuffix  = "_ms"
)

// Event is the metric of what an event of a kind costs.
func Event(kind string) string { return eventPrefix + kind + eventSuffix }

// Sample is what was measured of one build at one size.
type Sample map[string]float64

// Book is all that was measured in a run.
type Book struct {
	Time    time.Time         `json:"time"`
	Setting map[string]any    `json:"settings"`
	Builds  []string          `json:"builds"`
	About   map[string]string `json:"about"` // what each build is
	Runs    []Run             `json:"runs"`
	Notes   []string          `json:"notes,omitempty"`
	Targets []Target          `json:"targets"`
}

// Run is one build at one size.
type Run struct {
	Build        string             `json:"build"`
	Applications int                `json:"applications"`
	Pods         int                `json:"pods"`
	Secured      bool               `json:"secured"` // with TLS and tokens
	Day          bool               `json:"day"`     // with the history of a day
	Figures      map[string]float64 `json:"figures"`
	Notes        []string           `json:"notes,omitempty"`
}

// Set keeps a figure; what is no number is left out.
func (r *Run) Set(metric string, value float64) {
	if !math.IsNaN(value) && !math.IsInf(value, 0) {
		r.Figures[metric] = value
	}
}

// Get is a figure, NaN where it was not measured.
func (r *Run) Get(metric string) float64 {
	if v, ok := r.Figures[metric]; ok {
		return v
	}
	return math.NaN()
}

// Note keeps what a reader must know.
func (r *Run) Note(note string) { r.Notes = append(r.Notes, note) }

// Add adds a run.
func (b *Book) Add(r *Run) {
	if !slices.Contains(b.Builds, r.Build) {
		b.Builds = append(b.Builds, r.Build)
	}
	b.Runs = append(b.Runs, *r)
}

// of are the runs of a build, by size.
func (b *Book) of(build string) []Run {
	var list []Run
	for _, r := range b.Runs {
		if r.Build == build {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b Run) int { return a.Applications - b.Applications })
	return list
}

// Write writes everything for programs.
func (b *Book) Write(path string) error {
	b.Targets = b.targets()
	return summary.Write(path, b)
}
