package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// result is what one scenario's rounds say.
type result struct {
	Name   string    `json:"name"`
	Rates  []float64 `json:"pushesPerSecond,omitempty"`
	Micros []float64 `json:"cpuMicrosecondsPerPush,omitempty"`
	Bytes  []float64 `json:"bytesPerConnection,omitempty"`

	Rate  float64 `json:"medianPushesPerSecond,omitempty"`
	Micro float64 `json:"medianCPUMicrosecondsPerPush,omitempty"`
	Size  float64 `json:"medianBytesPerConnection,omitempty"`
	// Core is how many pushes a second one core could take of this kind and do nothing else.
	Core float64 `json:"pushesPerSecondOfOneCore,omitempty"`
}

func (r *result) conclude() {
	r.Rate, r.Micro, r.Size = median(r.Rates), median(r.Micros), median(r.Bytes)
	if r.Micro > 0 {
		r.Core = 1e6 / r.Micro
	}
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

func table(out io.Writer, results []*result) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tµs of CPU a push\tpushes/s of a core\tpushes/s seen\tKiB a connection\t")
	for _, r := range results {
		if r.Size > 0 {
			fmt.Fprintf(w, "%s\t\t\t\t%.1f\t\n", r.Name, r.Size/1024)
			continue
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.0f\t%.0f\t\t\n", r.Name, r.Micro, r.Core, r.Rate)
	}
	_ = w.Flush()
	fmt.Fprintln(out, "In clear text ("+clearText+"); where no token is named, none is asked for (-authentication optional).")
}
