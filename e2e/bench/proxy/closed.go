package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/load"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/peer"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/report"
)

// allocationsFor is how long allocations are counted, in a run of its own: to ask for them costs.
const allocationsFor = 300 * time.Millisecond

// closed has each connection send its next request when the last one is answered: what a proxy can do
// at most, and what each request costs then.
func closed(request []byte, connections int) func(context.Context, *bench, *peer.Running) (report.Sample, error) {
	return func(ctx context.Context, b *bench, r *peer.Running) (report.Sample, error) {
		plan := load.Plan{Addr: r.Plain, Connections: connections, Request: request, Warm: warm, For: b.duration()}
		m := b.meter(r)
		plan.Begin, plan.End = m.begin, m.end
		sample, err := m.figures(load.Run(ctx, plan))
		if err != nil {
			return nil, err
		}
		b.book.Note(b.now, r.Name, doubts(sample, plan.For))
		if r.Command.Admin {
			sample[report.Allocations], err = allocations(ctx, r, plan)
		}
		return sample, err
	}
}

func (b *bench) duration() time.Duration { return time.Duration(b.seconds * float64(time.Second)) }

func latencies(s report.Sample, list []time.Duration) {
	us := make([]float64, 0, len(list))
	for _, l := range list {
		us = append(us, float64(l)/float64(time.Microsecond))
	}
	s[report.P50], s[report.P99] = report.Quantile(us, 0.5), report.Quantile(us, 0.99)
}

// allocations are those of a request.
func allocations(ctx context.Context, r *peer.Running, plan load.Plan) (float64, error) {
	var counts [4]float64
	var faults [4]error
	count := func(i int) func() {
		return func() { counts[i], faults[i] = r.Mallocs(ctx) }
	}
	count(0)()
	count(1)() // what it costs to ask is the difference
	plan.Begin, plan.End, plan.For = count(2), count(3), allocationsFor
	result, err := load.Run(ctx, plan)
	if err = errors.Join(append(faults[:], err)...); err != nil {
		return 0, err
	}
	if result.Requests == 0 {
		return 0, fmt.Errorf("no answer came in %v", allocationsFor)
	}
	return max(0, counts[3]-counts[2]-(counts[1]-counts[0])) / float64(result.Requests), nil
}
