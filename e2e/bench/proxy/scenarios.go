package main

import (
	"context"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/load"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/peer"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/report"
)

// scenario is one kind of traffic.
type scenario struct {
	name, about string
	fresh       bool                    // every measurement has a new process
	can         func(peer.Command) bool // nil: all can
	measure     func(context.Context, *bench, *peer.Running) (report.Sample, error)
}

// warm is before every measurement, on the same connections.
const warm = 300 * time.Millisecond

// How many there are.
const (
	streams         = 1000
	connectionsH2   = 4
	connectionsHalf = 128
)

var (
	post  = load.Post(load.Prefix + "/echo")
	large = load.Get(load.Prefix + "/large")
)

// scenarios in the order in which they run.
var scenarios = []scenario{
	{name: "post-32", about: "POST of 128 bytes, 128 bytes back, 32 kept connections", measure: closed(post, 32)},
	{name: "post-512", about: "POST of 128 bytes, 128 bytes back, 512 kept connections", measure: closed(post, 512)},
	{name: "large-32", about: "GET of 64 KB, 32 kept connections", measure: closed(large, 32)},
	{name: "large-512", about: "GET of 64 KB, 512 kept connections", measure: closed(large, 512)},
	{name: "half", about: "POST of 128 bytes, arriving at random at half of what the slowest of ours, nginx and HAProxy can take", measure: half},
	{name: "tokens", about: "1000 streams of server-sent events, 20 tokens a second each; for each token", can: canStream, measure: tokens},
	{name: "tls", about: "post-32 over TLS, to the proxy", can: canTLS, measure: secure},
	{name: "grpc", about: "unary gRPC calls of 128 bytes, 128 bytes back, HTTP/2 in clear on both sides, 4 connections with 8 calls each", can: canH2, measure: grpc},
	{name: "idle", about: "memory of a kept connection after a request", fresh: true, measure: hold(load.Answered, post)},
	{name: "stream", about: "memory of a stream that is silent after 100 KB", fresh: true, can: canStream, measure: hold(load.Streaming, load.Get(load.Prefix+"/stream"))},
	{name: "websocket", about: "memory of a WebSocket that is silent after 100 KB", fresh: true, can: canStream, measure: hold(load.Tunnelled, load.Upgrade(load.Prefix+"/ws"))},
	{name: "waiting", about: "memory of a request that the backend does not answer", fresh: true, measure: hold(load.Waiting, load.Post(load.Prefix+"/hold"))},
	{name: "asleep", about: "memory of a request that waits for an application without pods", fresh: true, can: canWake, measure: hold(load.Waiting, load.Post(asleep+"/hold"))},
}

func canTLS(c peer.Command) bool    { return c.TLS }
func canH2(c peer.Command) bool     { return c.H2 }
func canWake(c peer.Command) bool   { return c.Wakes }
func canStream(c peer.Command) bool { return c.Streams }

func scenarioNames(list []scenario) []string {
	names := make([]string, 0, len(list))
	for _, s := range list {
		names = append(names, s.name)
	}
	return names
}

func splitNames(names string) []string {
	list := strings.Split(names, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}
