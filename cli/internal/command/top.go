package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func top(t *tool) *cobra.Command {
	var once bool
	c := &cobra.Command{
		Use: "top", GroupID: asks,
		Short: "What works hardest now, live",
		Long: `The applications with the most to do first: requests under way and waiting, requests a second, the time on their pods, and what these use.
On a terminal it goes on until you stop it; elsewhere, or with --once, it is shown once, and requests a second are then not known.`,
		Example: `  nemesis top -A
  nemesis top --once -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !once && t.OutTerminal {
				t.watch = true
			}
			seen := rates{}
			return t.show(cmd.Context(), func(ctx context.Context) (view, error) {
				all, err := t.nemesis.Applications(ctx, t.namespace(), "")
				if err != nil {
					return view{}, err
				}
				rows := seen.rows(all, t.Now())
				return view{rows, func(w io.Writer) { t.top(w, rows) }}, nil
			})
		},
	}
	c.Flags().BoolVar(&once, "once", false, "look once, also on a terminal")
	return t.allFlag(t.watchFlags(c))
}

// busy is one application in top.
type busy struct {
	Namespace  string   `json:"namespace"`
	Deployment string   `json:"deployment"`
	State      string   `json:"state"`
	Ready      int32    `json:"readyReplicas"`
	Replicas   int32    `json:"replicas"`
	InFlight   int32    `json:"inFlight"`
	Streaming  int32    `json:"streaming"`
	Waiting    int32    `json:"waiting"`
	PerSecond  *float64 `json:"requestsPerSecond,omitempty"`
	P50        *float64 `json:"p50Ms,omitempty"`
	P95        *float64 `json:"p95Ms,omitempty"`
	CPU        *float64 `json:"cpuMillicores,omitempty"`
	Memory     *float64 `json:"memoryMiB,omitempty"`
	GPU        *float64 `json:"gpuPercent,omitempty"`

	tone show.Tone
}

// rates knows how many requests each application had when it was looked at last.
type rates struct {
	requests map[client.Name]int64
	at       time.Time
}

// rows are the applications, the busiest first.
func (r *rates) rows(all []autoscaler.Application, now time.Time) []busy {
	requests := make(map[client.Name]int64, len(all)) // of those that are there: others are forgotten
	rows := make([]busy, 0, len(all))
	for _, a := range all {
		b := busy{
			Namespace: a.Namespace, Deployment: a.Deployment, State: string(a.State), Ready: a.ReadyReplicas, Replicas: a.Replicas,
			InFlight: a.Traffic.InFlight, Streaming: a.Traffic.Streaming, Waiting: a.Traffic.Waiting, tone: tone(a.State),
		}
		requests[client.Of(a)] = a.Traffic.Requests
		if before, ok := r.requests[client.Of(a)]; ok && now.After(r.at) && a.Traffic.Requests >= before {
			b.PerSecond = new(float64(a.Traffic.Requests-before) / now.Sub(r.at).Seconds())
		}
		if l := a.Traffic.LatencyMs; l != nil {
			b.P50, b.P95 = &l.P50, &l.P95
		}
		for _, m := range value(a.Metrics) {
			switch m.MetricType {
			case "CPU_USAGE":
				b.CPU = m.Mean
			case "MEMORY_USAGE":
				b.Memory = m.Mean
			}
		}
		b.GPU = gpuOf(a.Pods)
		rows = append(rows, b)
	}
	r.requests, r.at = requests, now
	slices.SortStableFunc(rows, func(a, b busy) int {
		return cmp.Or(cmp.Compare(b.Waiting+b.InFlight, a.Waiting+a.InFlight), cmp.Compare(value(b.PerSecond), value(a.PerSecond)), cmp.Compare(b.Ready, a.Ready))
	})
	return rows
}

// gpuOf is the mean of what the pods use of their GPUs, of those that say so lately; nil: of none is it known.
func gpuOf(pods []autoscaler.Pod) *float64 {
	var sum, n float64
	for _, p := range pods {
		if p.Metrics != nil && p.Metrics.Fresh && p.Metrics.Values.GpuUsage != nil {
			sum, n = sum+*p.Metrics.Values.GpuUsage, n+1
		}
	}
	if n == 0 {
		return nil
	}
	return new(sum / n)
}

func (t *tool) top(w io.Writer, rows []busy) {
	var flight, waiting, pods int32
	var rate float64
	table := show.Table{Heads: []string{"APPLICATION", "STATE", "PODS", "IN FLIGHT", "STREAMS", "WAITING", "PER SECOND", "P50", "P95", "CPU", "MEMORY"}}
	gpus := slices.ContainsFunc(rows, func(b busy) bool { return b.GPU != nil }) // most clusters have none
	if gpus {
		table.Heads = append(table.Heads, "GPU")
	}
	for _, b := range rows {
		name := b.Deployment
		if t.all {
			name = b.Namespace + "/" + name
		}
		flight, waiting, pods, rate = flight+b.InFlight, waiting+b.Waiting, pods+b.Ready, rate+value(b.PerSecond)
		waits := show.Plain
		if b.Waiting > 0 {
			waits = show.Busy
		}
		cells := []show.Cell{{Text: name, Tone: show.Strong}, {Text: b.State, Tone: b.tone}, {Text: fmt.Sprintf("%d/%d", b.Ready, b.Replicas)},
			{Text: fmt.Sprint(b.InFlight)}, {Text: fmt.Sprint(b.Streaming)}, {Text: fmt.Sprint(b.Waiting), Tone: waits},
			{Text: ifKnown(b.PerSecond, show.Number)}, {Text: ifKnown(b.P50, show.Milliseconds)}, {Text: ifKnown(b.P95, show.Milliseconds)},
			{Text: amount(b.CPU, "m")}, {Text: amount(b.Memory, "MiB")}}
		if gpus {
			cells = append(cells, show.Cell{Text: amount(b.GPU, "%")})
		}
		table.Cells(cells...)
	}
	line := fmt.Sprintf("%s on %s: %d in flight, %d waiting", show.Count(len(rows), "application", "applications"), show.Count(int(pods), "pod", "pods"), flight, waiting)
	if slices.ContainsFunc(rows, func(b busy) bool { return b.PerSecond != nil }) {
		line += ", " + show.Number(rate) + " requests a second"
	}
	fmt.Fprintln(w, t.palette().Paint(show.Faint, line))
	table.Write(w, t.palette())
}
