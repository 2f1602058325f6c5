package report

import (
	"fmt"
	"io"
	"math"
)

// Target is what the project holds itself to.
type Target struct {
	What  string  `json:"what"`
	Limit float64 `json:"limit"`
	Value float64 `json:"value"`
	Met   bool    `json:"met"`
}

const mine = "ours"

// targets are those that this run has figures for.
func (b *Book) targets() []Target {
	list := []Target{
		most("CPU a request, ratio to nginx, both with their logs", 1.0, b.Ratio("post-32", mine, Peer, CPU)),
		most("CPU a request, ratio to the baseline", 0.4, b.Ratio("post-32", mine, Baseline, CPU)),
		most("allocations a request", 5, b.Median("post-32", mine, Allocations)),
		most("added p99 at half load, ratio to HAProxy", 1.2, b.Ratio("half", mine, "haproxy-log", Added99)),
		most("KB of memory for an idle stream", 12, b.Median("stream", mine, Memory)),
		most("KB of memory for an idle WebSocket", 12, b.Median("websocket", mine, Memory)),
		most("KB of memory for a waiting request", 12, b.Median("asleep", mine, Memory)),
		least("CPU a request of Traefik, ratio to ours, both with their logs", 2.5, b.Ratio("post-32", "traefik-log", mine, CPU)),
		least("CPU a request of Caddy, ratio to ours, both with their logs", 2.5, b.Ratio("post-32", "caddy-log", mine, CPU)),
		least("CPU a request of ReverseProxy, ratio to ours with its log", 2.5, b.Ratio("post-32", "reverseproxy", mine, CPU)),
	}
	kept := make([]Target, 0, len(list))
	for _, t := range list {
		if !math.IsNaN(t.Value) {
			kept = append(kept, t)
		}
	}
	return kept
}

func most(what string, limit, value float64) Target {
	return Target{What: what + " (at most)", Limit: limit, Value: value, Met: value <= limit}
}

func least(what string, limit, value float64) Target {
	return Target{What: what + " (at least)", Limit: limit, Value: value, Met: value >= limit}
}

// Targets prints which are met.
func (b *Book) Targets(w io.Writer) {
	list := b.targets()
	if len(list) > 0 {
		fmt.Fprintln(w, "\nTargets:")
	}
	for _, t := range list {
		verdict := "missed"
		if t.Met {
			verdict = "met"
		}
		fmt.Fprintf(w, "  %-62s %8.2f %10.2f  %s\n", t.What, t.Limit, t.Value, verdict)
	}
}
