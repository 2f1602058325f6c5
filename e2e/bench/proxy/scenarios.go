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
}

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
