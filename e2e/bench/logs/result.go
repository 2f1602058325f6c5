package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// measured is what TestBenchLogs writes of one build.
type measured struct {
	RecordCPU  float64         `json:"record_cpu"`
	PackedCPU  float64         `json:"record_cpu_gzip"`
	MemoryMiB  float64         `json:"memory_mib"`
	RequestCPU float64         `json:"request_cpu"`
	EntryBytes float64         `json:"entry_bytes"`
	Requests   map[string]path `json:"requests"`
}

type path struct {
	AddedP50 float64 `json:"added_p50"`
	AddedP99 float64 `json:"added_p99"`
}

// row is one figure of both builds: the median of the rounds.
type row struct {
	What   string  `json:"what"`
	Unit   string  `json:"unit"`
	Base   float64 `json:"base"`
	This   float64 `json:"this"`
	Ratio  float64 `json:"ratio,omitempty"`  // this to base, where both are above nothing
	Target float64 `json:"target,omitempty"` // that the ratio should not exceed
}

// The targets of the ratios.
const (
	recordTarget  = 0.4
	requestTarget = 0.3
)

func compare(base, this []measured) []row {
	of := func(what, unit string, target float64, value func(measured) float64) row {
		r := row{What: what, Unit: unit, Base: median(base, value), This: median(this, value), Target: target}
		if r.Base > 0 && r.This > 0 {
			r.Ratio = r.This / r.Base
		}
		return r
	}
	rows := []row{
		of("CPU a record, to the server's answer", "µs", recordTarget, func(m measured) float64 { return m.RecordCPU }),
		of("the same, compressed", "µs", 0, func(m measured) float64 { return m.PackedCPU }),
		of("bytes a record", "B", 0, func(m measured) float64 { return m.EntryBytes }),
		of("memory", "MiB", 0, func(m measured) float64 { return m.MemoryMiB }),
		of("CPU added to a request", "µs", requestTarget, func(m measured) float64 { return m.RequestCPU }),
		of("time added at the median, all ways", "µs", requestTarget, func(m measured) float64 {
			return middle(m.Requests, func(p path) float64 { return p.AddedP50 })
		}),
		of("time added at p99, all ways", "µs", requestTarget, func(m measured) float64 {
			return middle(m.Requests, func(p path) float64 { return p.AddedP99 })
		}),
	}
	if len(base) > 0 {
		for _, way := range slices.Sorted(maps.Keys(base[0].Requests)) {
			rows = append(rows, of("added at the median, server "+way, "µs", 0, func(m measured) float64 { return m.Requests[way].AddedP50 }))
		}
	}
	return rows
}

func median(all []measured, value func(measured) float64) float64 {
	values := make([]float64, len(all))
	for i, m := range all {
		values[i] = value(m)
	}
	return middleOf(values)
}

func middle(ways map[string]path, value func(path) float64) float64 {
	values := make([]float64, 0, len(ways))
	for _, p := range ways {
		values = append(values, value(p))
	}
	return middleOf(values)
}

func middleOf(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return values[n/2]
	}
	return (values[n/2-1] + values[n/2]) / 2
}

func show(out io.Writer, rows []row) {
	table := tabwriter.NewWriter(out, 2, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(table, "\t%s\tthis build\tratio\ttarget\t\n", baseCommit)
	for _, r := range rows {
		ratio, target := "", ""
		if r.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", r.Ratio)
		}
		if r.Target > 0 {
			target = fmt.Sprintf("%.1f", r.Target)
		}
		_, _ = fmt.Fprintf(table, "%s, %s\t%.1f\t%.1f\t%s\t%s\t\n", r.What, r.Unit, r.Base, r.This, ratio, target)
	}
	_ = table.Flush()
}
