package command

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
)

// podsOf is a line for each pod.
func (t *tool) podsOf(w io.Writer, a autoscaler.Application, taken *taking) {
	if len(a.Pods) == 0 {
		return
	}
	var table show.Table
	columns := t.podColumns(a, taken)
	for _, c := range columns {
		table.Heads = append(table.Heads, c.head)
	}
	for _, p := range a.Pods {
		var cells []show.Cell
		for _, c := range columns {
			cells = append(cells, c.cell(p))
		}
		table.Cells(cells...)
	}
	fmt.Fprintln(w)
	table.Write(w, t.palette())
	if taken != nil && taken.said != "" {
		fmt.Fprintln(w, t.palette().Paint(show.Faint, show.Line(taken.said)))
	}
}

// podColumn is one thing that is said of each pod.
type podColumn struct {
	head string
	cell func(autoscaler.Pod) show.Cell
}

func (t *tool) podColumns(a autoscaler.Application, taken *taking) []podColumn {
	text := func(head string, of func(autoscaler.Pod) string) podColumn {
		return podColumn{head, func(p autoscaler.Pod) show.Cell { return show.Cell{Text: of(p)} }}
	}
	all := []podColumn{
		text("POD", func(p autoscaler.Pod) string { return p.Name }), {"STATE", podState},
		text("AGE", func(p autoscaler.Pod) string { return show.Ago(p.CreatedAt, t.Now()) }), text("RESTARTS", func(p autoscaler.Pod) string { return fmt.Sprint(p.Restarts) }),
	}
	if taken != nil {
		all = append(all, text("IN FLIGHT", taken.inFlight), text("QUEUE", queued), text("KV CACHE", cacheUse))
	}
	all = append(all,
		text("CPU", func(p autoscaler.Pod) string { return amount(measured(p).CpuUsage, "m") }), text("MEMORY", func(p autoscaler.Pod) string { return amount(measured(p).MemoryUsage, "MiB") }))
	if taken != nil || slices.ContainsFunc(a.Pods, func(p autoscaler.Pod) bool { return gpuUse(p) != "" }) { // most clusters have none
		all = append(all, text("GPU", gpuUse))
	}
	if taken != nil {
		all = append(all, podColumn{"TAKEN AS", taken.cell})
	}
	return append(all, text("NODE", func(p autoscaler.Pod) string { return value(p.Node) }), text("WHY", func(p autoscaler.Pod) string { return value(p.Message) }))
}

func podState(p autoscaler.Pod) show.Cell {
	cell := show.Cell{Text: string(p.State), Tone: show.Busy}
	switch {
	case p.Alive:
		cell.Tone = show.Good
	case p.State == autoscaler.PodStateFailed:
		cell.Tone = show.Bad
	}
	return cell
}

// measured is what is known of what a pod uses.
func measured(p autoscaler.Pod) common.Measurements {
	if p.Metrics == nil {
		return common.Measurements{}
	}
	return p.Metrics.Values
}

// gpuUse is what a pod uses of its GPUs, as far as it is known: of a slice of one its memory alone.
func gpuUse(p autoscaler.Pod) string {
	v := measured(p)
	var parts []string
	for _, part := range []string{amount(v.GpuUsage, "%"), amount(v.GpuMemoryUsage, "MiB"), amount(v.GpuPower, "W")} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

func amount(v *float64, unit string) string {
	return ifKnown(v, func(v float64) string { return show.Number(v) + " " + unit })
}

// queued is what waits in a model server, as it says itself.
func queued(p autoscaler.Pod) string { return ifKnown(measured(p).Queued, show.Number) }

// cacheUse is how much of its KV cache is in use.
func cacheUse(p autoscaler.Pod) string {
	return ifKnown(measured(p).CacheUsage, func(share float64) string { return show.Number(share*100) + " %" })
}
