package main

import (
	"context"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/load"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/peer"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/report"
)

// tokens has streams of server-sent events. What counts as a request is a token.
func tokens(ctx context.Context, b *bench, r *peer.Running) (report.Sample, error) {
	m := b.meter(r)
	return m.figures(load.Tokens(ctx, load.TokensPlan{
		Addr: r.Plain, Streams: streams, Request: load.Get(load.Prefix + "/tokens"), For: b.duration(), Begin: m.begin, End: m.end,
	}))
}

func secure(ctx context.Context, b *bench, r *peer.Running) (report.Sample, error) {
	m := b.meter(r)
	return m.figures(load.Secure(ctx, load.Plan{
		Addr: r.TLS, Connections: 32, Request: post, Warm: warm, For: b.duration(), Begin: m.begin, End: m.end,
	}))
}

func grpc(ctx context.Context, b *bench, r *peer.Running) (report.Sample, error) {
	m := b.meter(r)
	return m.figures(load.GRPC(ctx, load.Plan{Addr: r.H2, Connections: connectionsH2, Warm: warm, For: b.duration(), Begin: m.begin, End: m.end}))
}
