package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/report"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/summary"
)

const (
	soakEvery = 5 * time.Second
	longWarm  = 10 * time.Minute // of an hour; of less a third
	// flat is what the memory may grow by in an hour.
	flatShare = 0.02
	flatLeast = 1.0 // MB
	// longEnough is what it takes until Go has taken from the system what it needs at its worst moments: before
	// that only what is in use tells of a leak.
	longEnough = 30 * time.Minute
)

// record is what a soak came to.
type record struct {
	Time         time.Time    `json:"time"`
	Applications int          `json:"applications"`
	Pods         int          `json:"pods"`
	Warm         float64      `json:"warm_seconds"`
	PerHour      float64      `json:"rss_mb_per_hour"`
	HeapPerHour  float64      `json:"heap_mb_per_hour"`
	AtStart      float64      `json:"rss_mb_at_start"` // of the line, at the end of the warm-up
	Doubt        float64      `json:"rss_mb_per_hour_standard_error"`
	Verdict      string       `json:"verdict"`
	Samples      []soakSample `json:"samples"`
}

type soakSample struct {
	Seconds    float64 `json:"seconds"`
	RSS        float64 `json:"rss_mb"`
	Heap       float64 `json:"heap_mb"`
	Live       float64 `json:"live_heap_mb"`
	Goroutines float64 `json:"goroutines"`
	OpenFiles  float64 `json:"open_files"`
	CPU        float64 `json:"cpu_percent"`
}

// soak puts the whole load on a controller for long, and looks at its memory.
func soak(ctx context.Context, out io.Writer, o options) (err error) {
	b := &bench{options: o, build: oursOf(o), out: out}
	if err := b.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.Stop()) }()
	r := &report.Run{Build: b.name, Applications: o.soakSize, Figures: map[string]float64{}}
	if err := b.grow(ctx, o.soakSize); err != nil {
		return err
	}
	if err := errors.Join(b.day(ctx), b.serve(ctx)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := errors.Join(b.quiet(ctx, r), b.knowPods(ctx, r)); err != nil {
		return err
	}
	l := b.load(ctx, b.whole())
	defer l.end()
	rate, err := l.bearable(ctx, r)
	if err != nil {
		return err
	}
	l.begin(ctx, o.soakSize, rate)
	b.say("%d applications: the whole load, with %.0f wake-ups a second, for %s", o.soakSize, rate, o.soak)
	kept := record{Time: time.Now().UTC(), Applications: o.soakSize, Pods: r.Pods, Warm: min(longWarm, o.soak/3).Seconds()}
	if err := b.sample(ctx, &kept, o.soak); err != nil {
		return err
	}
	kept.judge()
	kept.print(out)
	for _, note := range r.Notes {
		fmt.Fprintln(out, " ", note)
	}
	if text := l.complaint.Load(); text != nil {
		fmt.Fprintf(out, "  %d calls were refused; the first: %s\n", l.failed.Load(), *text)
	}
	return summary.Write(strings.TrimSuffix(o.out, filepath.Ext(o.out))+"-soak.json", kept)
}

// sample looks at the controller until the time is over.
func (b *bench) sample(ctx context.Context, kept *record, d time.Duration) error {
	began := time.Now()
	for next := 0; time.Since(began) < d && ctx.Err() == nil; next++ {
		share, err := b.use(ctx, time.Until(began.Add(time.Duration(next+1)*soakEvery)))
		if err != nil {
			return err
		}
		m, err := b.leader.Metrics(ctx)
		if err != nil {
			return err
		}
		rss, err := b.leader.RSS()
		if err != nil {
			return err
		}
		kept.Samples = append(kept.Samples, soakSample{
			Seconds: time.Since(began).Seconds(), RSS: float64(rss) / mega, CPU: 100 * share,
			Heap: m["go_memstats_heap_inuse_bytes"] / mega, Live: m["go_memstats_next_gc_bytes"] / 2 / mega,
			Goroutines: m["go_goroutines"], OpenFiles: m["process_open_fds"],
		})
	}
	return context.Cause(ctx)
}

// judge draws the line through the memory after the warm-up.
func (k *record) judge() {
	var x, rss, live []float64
	for _, s := range k.Samples {
		if s.Seconds >= k.Warm {
			x, rss, live = append(x, (s.Seconds-k.Warm)/3600), append(rss, s.RSS), append(live, s.Live)
		}
	}
	if len(x) < 2 {
		return
	}
	k.PerHour, k.AtStart = report.Line(x, rss)
	k.HeapPerHour, _ = report.Line(x, live)
	k.Doubt = report.Doubt(x, rss)
	limit := max(flatShare*k.AtStart, flatLeast)
	grows := k.PerHour-2*k.Doubt > limit
	long := x[len(x)-1] >= longEnough.Hours()
	leaks := k.HeapPerHour-2*report.Doubt(x, live) > limit
	switch {
	case grows && (long || leaks):
		k.Verdict = "NOT flat"
	case k.PerHour+2*k.Doubt > limit:
		k.Verdict = "too short to tell"
	default:
		k.Verdict = "flat"
	}
}

func (k *record) print(out io.Writer) {
	fmt.Fprintf(out, "\nSoak of %d applications and %d pods, %d samples: memory %.1f MB, %+.2f ± %.2f MB an hour after a warm-up of %.0f s (live heap %+.2f): %s\n",
		k.Applications, k.Pods, len(k.Samples), k.AtStart, k.PerHour, 2*k.Doubt, k.Warm, k.HeapPerHour, k.Verdict)
	for _, at := range []int{0, len(k.Samples) / 2, len(k.Samples) - 1} {
		if at >= 0 && at < len(k.Samples) {
			s := k.Samples[at]
			fmt.Fprintf(out, "  after %6.0f s: resident %.1f MB, heap in use %.1f MB, live %.1f MB, %.0f goroutines, %.0f open files, CPU %.1f%%\n",
				s.Seconds, s.RSS, s.Heap, s.Live, s.Goroutines, s.OpenFiles, s.CPU)
		}
	}
}
