package report

import (
	"fmt"
	"io"
	"math"
)

// rows are the metrics in the order of the table.
var rows = []struct {
	metric, title string
	digits        int
}{
	{RestCPU, "at rest: CPU, % of a core", 2},
	{RestRSS, "at rest: memory, MB", 1},
	{RestHeap, "at rest: live heap, MB", 1},
	{RestHistory, "  of it histories, MB (by its count)", 1},
	{AppRSS, "memory per application, KB", 1},
	{AppHeap, "live heap per application, KB", 1},
	{ReadyTime, "start to ready, s", 1},
	{SettleTime, "ready to quiet, s", 0},
	{SettleCPU, "start to quiet: CPU, s", 1},
	{Event("annotation"), "event: annotation on a CustomAutoscaler, CPU ms", 2},
	{Event("status"), "event: its status written, CPU ms", 2},
	{Event("deployment"), "event: a Deployment's annotation, CPU ms", 2},
	{Event("pod"), "event: a pod's annotation, CPU ms", 2},
	{Event("readiness"), "event: a pod's readiness, CPU ms", 2},
	{Event("foreign"), "event: a pod of nobody, CPU ms", 2},
	{PodRSS, "memory per known pod, KB", 2},
	{PodHeap, "live heap per known pod, KB", 2},
	{PushingRSS, "memory per pushing pod, KB more", 2},
	{PushingHeap, "live heap per pushing pod, KB more", 2},
	{PushCPU, "a push: CPU us", 0},
	{BatchCPU, "a value in a batch: CPU us", 0},
	{PushRate, "load: pushes a second", 0},
	{PushesFailed, "load: pushes refused", 0},
	{PushP50, "load: push to answer, p50 ms", 1},
	{PushP99, "load: push to answer, p99 ms", 1},
	{Starts, "load: wake-ups a second", 1},
	{WakeCPU, "load: a wake-up with all that it brings, CPU ms", 2},
	{StartsFailed, "load: start calls refused", 0},
	{LoadCPU, "load: CPU, % of its core", 1},
	{LoadOther, "load: API server, etcd and driver, % of theirs", 1},
	{LoadRSS, "load: memory, MB", 1},
	{StartP50, "load: start call to answer, p50 ms", 1},
	{StartP99, "load: start call to answer, p99 ms", 1},
	{OwnP50, "  of it the controller's own, p50 ms (by its clock)", 2},
	{OwnP99, "  of it the controller's own, p99 ms (by its clock)", 2},
	{FloorP50, "  the driver's own /scale meanwhile, p50 ms", 1},
	{FloorP99, "  the driver's own /scale meanwhile, p99 ms", 1},
	{DecisionP50, "load: push to decision seen, p50 ms", 1},
	{DecisionP99, "load: push to decision seen, p99 ms", 1},
	{Decisions, "load: decisions seen", 0},
	{Undecided, "load: decisions not seen in 10 s", 0},
	{SeenP50, "  the driver's own /scale to seen, p50 ms", 1},
	{SeenP99, "  the driver's own /scale to seen, p99 ms", 1},
	{FailoverKill, "leader killed: first decision of the next, s", 2},
	{FailoverTerm, "leader ended: first decision of the next, s", 2},
	{FailoverCall, "leader killed: longest start call, ms", 0},
	{RestRoutes, "at rest: routes, bytes/s to a balancer", 0},
	{LoadRoutes, "load: routes, bytes/s to a balancer", 0},
	{RestReports, "at rest: a report, bytes", 0},
	{LoadReports, "load: a report, bytes", 0},
	{LeaderBytes, "leader killed: bytes to a balancer in 10 s", 0},
}

// settings are what there may be beside the applications.
var settings = []struct {
	title string
	is    func(Run) bool
}{
	{"TLS and tokens", func(r Run) bool { return r.Secured }},
	{"the history of a day", func(r Run) bool { return r.Day }},
}

// Table prints everything for people.
func (b *Book) Table(w io.Writer) {
	runs := make([]Run, 0, len(b.Runs))
	for _, build := range b.Builds {
		runs = append(runs, b.of(build)...)
	}
	fmt.Fprintf(w, "\n%-50s", "applications")
	for _, r := range runs {
		fmt.Fprintf(w, "%20s", fmt.Sprintf("%s %d", r.Build, r.Applications))
	}
	fmt.Fprintf(w, "\n%-50s", "pods")
	for _, r := range runs {
		fmt.Fprintf(w, "%20d", r.Pods)
	}
	for _, set := range settings {
		fmt.Fprintf(w, "\n%-50s", set.title)
		for _, r := range runs {
			fmt.Fprintf(w, "%20s", map[bool]string{true: "yes", false: "no"}[set.is(r)])
		}
	}
	fmt.Fprintln(w)
	for _, row := range rows {
		line, any := fmt.Sprintf("%-50s", row.title), false
		for _, r := range runs {
			v := r.Get(row.metric)
			any = any || !math.IsNaN(v)
			line += fmt.Sprintf("%20s", number(v, row.digits))
		}
		if any {
			fmt.Fprintln(w, line)
		}
	}
	for _, r := range runs {
		for _, note := range r.Notes {
			fmt.Fprintf(w, "  %s %d: %s\n", r.Build, r.Applications, note)
		}
	}
	for _, note := range b.Notes {
		fmt.Fprintln(w, " ", note)
	}
}

func number(v float64, digits int) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, v)
}
