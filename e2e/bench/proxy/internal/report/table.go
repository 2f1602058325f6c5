package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// The metrics.
const (
	CPU         = "cpu_us"              // of the proxy, its children and its log, for each request
	Requests    = "requests_per_second" // that it answered
	P50         = "p50_us"              // until the answer's last byte
	P99         = "p99_us"              // likewise
	Allocations = "allocations"         // of the heap, for each request
	Accepts     = "accepts_per_1000"    // connections that the backend took, for 1000 requests
	LogBytes    = "log_bytes"           // written, for each request
	Added50     = "added_p50_us"        // over the same without a proxy
	Added99     = "added_p99_us"        // likewise
	Memory      = "memory_kb"           // resident, for each
	GoMemory    = "go_memory_kb"        // of it, heap and stacks of Go
	Rate        = "rate_per_second"     // that was offered
)

const maxFailure = 160

// columns are the metrics in the order of the table.
var columns = []struct {
	metric, title string
	digits        int
}{
	{CPU, "CPU us", 1}, {Requests, "1/s", 0}, {Rate, "offered 1/s", 0}, {P50, "p50 us", 0}, {P99, "p99 us", 0},
	{Added50, "added p50", 0}, {Added99, "added p99", 0}, {Memory, "KB each", 1}, {GoMemory, "Go KB", 1}, {Allocations, "allocs", 1}, {Accepts, "accepts/1000", 1}, {LogBytes, "log B", 0},
}

// The proxies that others are compared with.
const (
	Peer     = "nginx-log"
	Baseline = "baseline"
)

// Table prints one scenario for people.
func (b *Book) Table(w io.Writer, scenario, about string) {
	metrics := b.Metrics(scenario)
	fmt.Fprintf(w, "\n%s: %s\n", scenario, about)
	fmt.Fprintf(w, "  %-14s", "")
	for _, c := range columns {
		if slices.Contains(metrics, c.metric) {
			fmt.Fprintf(w, "%14s", c.title)
		}
	}
	main := mainMetric(metrics)
	fmt.Fprintf(w, "%14s%14s\n", "x "+Peer, "x "+Baseline)
	for _, proxy := range b.Proxies {
		fmt.Fprintf(w, "  %-14s", proxy)
		if why := b.Failure(scenario, proxy); why != "" {
			fmt.Fprintf(w, "  %s\n", oneLine(why))
			continue
		}
		for _, c := range columns {
			if slices.Contains(metrics, c.metric) {
				fmt.Fprintf(w, "%14s", number(b.Median(scenario, proxy, c.metric), c.digits))
			}
		}
		fmt.Fprintf(w, "%14s%14s\n", number(b.Ratio(scenario, proxy, Peer, main), 2), number(b.Ratio(scenario, proxy, Baseline, main), 2))
	}
	for _, proxy := range b.Proxies {
		if note := b.notes[key{scenario, proxy}]; note != "" {
			fmt.Fprintf(w, "  %s: %s\n", proxy, note)
		}
	}
}

// mainMetric is what the ratios are of.
func mainMetric(metrics []string) string {
	for _, m := range []string{Added99, CPU, Memory} {
		if slices.Contains(metrics, m) {
			return m
		}
	}
	return ""
}

func number(v float64, digits int) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return s[:min(len(s), maxFailure)]
}
