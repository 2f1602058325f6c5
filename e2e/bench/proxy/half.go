package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/load"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/peer"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/report"
)

// comparable are the proxies whose slowest sets the rate of the scenario half. A proxy that cannot keep
// up with it is left out: its queue would grow as long as it is measured.
var comparable = []string{"ours", "nginx-log", "haproxy-log"}

// keepsUp is which part of what a proxy can take the rate may be at most.
const keepsUp = 0.9

// half has requests arrive at a fixed rate, whether earlier ones are answered or not, and does the same
// without a proxy right before.
func half(ctx context.Context, b *bench, r *peer.Running) (report.Sample, error) {
	rate, err := b.halfRate(ctx)
	if err != nil {
		return nil, err
	}
	can, err := b.capacity(ctx, r)
	if err != nil {
		return nil, err
	}
	if can*keepsUp < rate {
		return nil, fmt.Errorf("it takes %.0f requests a second, %.0f are offered", can, rate)
	}
	plan := load.Plan{Addr: b.backend.Addr(), Connections: connectionsHalf, Request: post, Rate: rate, Warm: warm, For: b.duration()}
	direct, err := load.Run(ctx, plan)
	if err != nil {
		return nil, err
	}
	m := b.meter(r)
	plan.Addr, plan.Begin, plan.End = r.Plain, m.begin, m.end
	s, err := m.figures(load.Run(ctx, plan))
	if err != nil {
		return nil, err
	}
	without := report.Sample{}
	s[report.Rate] = rate
	latencies(without, direct.Latencies)
	s[report.Added50], s[report.Added99] = s[report.P50]-without[report.P50], s[report.P99]-without[report.P99]
	return s, nil
}

// halfRate is half of what the slowest of the comparable proxies can take, or of all if none was chosen.
func (b *bench) halfRate(ctx context.Context) (float64, error) {
	if b.half > 0 {
		return b.half, nil
	}
	names := peer.Names(b.chosen)
	if kept := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !slices.Contains(comparable, n) }); len(kept) > 0 {
		names = kept
	}
	slowest := math.Inf(1)
	for _, p := range b.chosen {
		if !slices.Contains(names, p.Name()) {
			continue
		}
		r, err := b.start(ctx, p, false)
		if err != nil {
			return 0, err
		}
		can, err := b.capacity(ctx, r)
		if err != nil {
			return 0, err
		}
		slowest = min(slowest, can)
	}
	b.half = slowest / 2
	return b.half, nil
}

// capacity is how many requests a second the proxy can take: as post-32 found, or as is found now.
func (b *bench) capacity(ctx context.Context, r *peer.Running) (float64, error) {
	if known := b.book.Median("post-32", r.Name, report.Requests); !math.IsNaN(known) {
		return known, nil
	}
	result, err := load.Run(ctx, load.Plan{Addr: r.Plain, Connections: 32, Request: post, Warm: warm, For: time.Second})
	if err != nil {
		return 0, err
	}
	can := float64(result.Requests) / result.Took.Seconds()
	b.book.Add("post-32", r.Name, report.Sample{report.Requests: can})
	return can, nil
}
