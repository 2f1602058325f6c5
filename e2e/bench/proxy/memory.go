package main

import (
	"context"
	"errors"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/load"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/peer"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/report"
)

// settle is how long a proxy has to give back what silent connections do not need.
const settle = 4 * time.Second

// hold opens connections, brings each to a stage and leaves it alone: what a proxy then holds more than
// before, for each. The proxy is a new process, and has served some requests.
func hold(stage load.Stage, request []byte) func(context.Context, *bench, *peer.Running) (report.Sample, error) {
	return func(ctx context.Context, b *bench, r *peer.Running) (report.Sample, error) {
		_, err := load.Run(ctx, load.Plan{Addr: r.Plain, Connections: 32, Request: post, Warm: warm, For: warm})
		if err != nil {
			return nil, err
		}
		before, err := memory(ctx, r)
		if err != nil {
			return nil, err
		}
		after := map[string]float64{}
		err = load.Hold(ctx, load.HoldPlan{
			Addr: r.Plain, Connections: b.idle, Request: request, Until: stage, Settle: settle,
			Held: func() (err error) {
				after, err = memory(ctx, r)
				return err
			},
		})
		if err != nil {
			return nil, err
		}
		s := report.Sample{}
		for metric, bytes := range after {
			s[metric] = (bytes - before[metric]) / 1024 / float64(b.idle)
		}
		return s, nil
	}
}

// memory is what the proxy holds, in bytes.
func memory(ctx context.Context, r *peer.Running) (map[string]float64, error) {
	rss, err := r.RSS()
	m := map[string]float64{report.Memory: float64(rss)}
	if r.Command.Admin {
		heap, err1 := r.Metric(ctx, "go_memstats_heap_inuse_bytes")
		stack, err2 := r.Metric(ctx, "go_memstats_stack_inuse_bytes")
		m[report.GoMemory], err = heap+stack, errors.Join(err, err1, err2)
	}
	return m, err
}
