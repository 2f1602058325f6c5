package collect

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/page"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// application is what is known of the application by its own page.
type application struct {
	page    *page.Page
	log     *slog.Logger
	before  history[page.Reading]
	workers workers
	server  pod.Application // that was told at last
}

// onPage are the kinds that only the application knows.
var onPage = []pod.Kind{
	pod.ResponseTime, pod.RequestRate, pod.InFlight, pod.Queued, pod.CacheUsage, pod.TimeToFirstToken,
}

const (
	inTurns = "several processes of the application answer for its metrics page in turn, each for itself; " +
		"have them write it together (in Python PROMETHEUS_MULTIPROC_DIR)"
	beganAnew = "the application began to count anew since the last measurement"
)

func (c *Collector) measureApplication(ctx context.Context, m *pod.Measurement) {
	why := "no metrics page of the application is named (app-metrics-url)"
	if c.app != nil {
		why = c.app.measure(ctx, m)
	}
	for _, kind := range onPage {
		if !m.Has(kind) {
			m.Miss(kind, why)
		}
	}
}

// measure takes what the page says, and tells why the rest is missing.
func (a *application) measure(ctx context.Context, m *pod.Measurement) (why string) {
	now, err := a.page.Read(ctx)
	if err != nil {
		return fmt.Sprintf("the application's metrics page cannot be read: %v", err)
	}
	a.tell(now.Server)
	m.Application = now.Server
	at := time.Now()
	before, elapsed, grown := a.before.since(at, now)
	if a.workers.inTurns(now.Started, at) {
		return inTurns
	}
	fill(*m, before, now, elapsed, grown)
	switch s := now.Server; {
	case s.Server == "":
		return "the application's metrics page is of no server that is known"
	case s.Version == "":
		return fmt.Sprintf("the application's metrics page (%s) does not show it", s.Server)
	default:
		return fmt.Sprintf("the application's metrics page (%s, known from %s) does not show it", s.Server, s.Version)
	}
}

// tell logs what the page is taken for when that changes.
func (a *application) tell(now pod.Application) {
	was := a.server
	a.server = now
	if now.Server != was.Server {
		a.log.Info("the application's metrics page is read", "server", now.Server, "known_from", now.Version, "models", now.Models)
	}
	if !slices.Equal(now.Unread, was.Unread) {
		a.log.Warn("of the application's metrics page is not read", "what", now.Unread)
	}
}

// fill takes over what a page says, and what it grew by.
func fill(m pod.Measurement, before, now page.Reading, elapsed time.Duration, grown bool) {
	for kind, value := range now.Gauges {
		m.Set(kind, value)
	}
	for kind, why := range now.Withheld {
		m.Miss(kind, why)
	}
	for kind, mean := range now.Means {
		old, had := before.Means[kind]
		switch why := incomparable(before, now, kind, grown, had && old.From != mean.From); {
		case why != "":
			m.Miss(kind, why)
		case mean.Count < old.Count || mean.Sum < old.Sum:
			m.Miss(kind, beganAnew)
		case mean.Count == old.Count || mean.Sum == old.Sum: // requests that are counted as they come grow the count alone
			m.Miss(kind, "no request was answered since the last measurement")
		default:
			m.Set(kind, (mean.Sum-old.Sum)/(mean.Count-old.Count))
		}
	}
	for kind, count := range now.Counts {
		old, had := before.Counts[kind]
		switch why := incomparable(before, now, kind, grown, had && old.From != count.From); {
		case why != "":
			m.Miss(kind, why)
		case count.Value < old.Value:
			m.Miss(kind, beganAnew)
		default:
			m.Set(kind, (count.Value-old.Value)/elapsed.Seconds())
		}
	}
}

// incomparable tells why nothing is known of what a counter grew by, and "" if it is. A counter that the
// page did not show before stood at 0, unless it could not be read.
func incomparable(before, now page.Reading, kind pod.Kind, grown, moved bool) string {
	_, withheld := before.Withheld[kind]
	switch {
	case !grown:
		return firstReading
	case before.Started != now.Started:
		return beganAnew
	case moved || withheld:
		return "it was not read from the same place the last time"
	}
	return ""
}

// For so long one process is taken for one of several, each of which has a page of its own.
const turnsFor = 10 * time.Minute

// workers finds out that several processes answer for one port. What one of them shows is a part of the
// truth, and what it grew by since another one answered is none at all.
type workers struct {
	newest float64   // when the youngest process began
	backs  int       // answers of an older one since
	last   time.Time // of them
}

// inTurns takes when the process began that answered; 0 is not known. One that is replaced is older than
// its successor, and does not come back. It takes two: a clock that is set may make one.
func (w *workers) inTurns(started float64, now time.Time) bool {
	if now.Sub(w.last) > turnsFor {
		w.backs = 0
	}
	if started == 0 {
		return w.backs > 1
	}
	if started < w.newest {
		w.backs++
		w.last = now
	}
	w.newest = max(w.newest, started)
	return w.backs > 1
}
