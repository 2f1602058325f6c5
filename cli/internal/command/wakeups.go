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

// wakeUp is what is known of an application's wake-ups.
type wakeUp struct {
	Last *autoscaler.WakeUp `json:"lastWakeUp,omitempty"`
	// Starts are how long the last starts took, as they were learned.
	Starts []float64 `json:"startSeconds,omitempty"`
	// Expected is how long the next one is expected to take.
	Expected *float64 `json:"expectedStartSeconds,omitempty"`
}

func wakeups(t *tool) *cobra.Command {
	c := &cobra.Command{
		Use: "wakeups [APP]", GroupID: asks,
		Short: "Where the time of a wake-up goes: its phases, and how long starts take",
		Long: `With APP shows its last wake-up from zero phase by phase, each as a bar on the time from the first request's arrival to the first byte
of its answer; and below how long the last starts took, from start call to ready, as they were learned. The wake-up's id is the trace of
its first request. Without APP a line for the last wake-up of each application, the newest first.`,
		Example: `  nemesis wakeups modelserver
  nemesis wakeups -A`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: t.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return t.show(cmd.Context(), func(ctx context.Context) (view, error) {
					all, err := t.nemesis.Applications(ctx, t.namespace(), "")
					woken := wokenUp(all)
					return view{woken, func(w io.Writer) { t.lastWakeUps(w, woken) }}, err
				})
			}
			name, err := t.nemesis.NameOf(args[0])
			if err != nil {
				return err
			}
			return t.show(cmd.Context(), func(ctx context.Context) (view, error) {
				a, err := t.nemesis.Application(ctx, name)
				if err != nil {
					return view{}, err
				}
				known := wakeUp{Last: a.LastWakeUp, Expected: a.ExpectedStartSeconds, Starts: t.learned(ctx, a)}
				return view{known, func(w io.Writer) { t.wakeUp(w, a, known) }}, nil
			})
		},
	}
	return t.allFlag(t.watchFlags(c))
}

// woken is an application whose last wake-up is known.
type woken struct {
	Namespace  string            `json:"namespace"`
	Deployment string            `json:"deployment"`
	Last       autoscaler.WakeUp `json:"lastWakeUp"`
	Expected   *float64          `json:"expectedStartSeconds,omitempty"`
}

// wokenUp are those of which a wake-up is known, the newest first.
func wokenUp(all []autoscaler.Application) []woken {
	known := []woken{} // [] in JSON
	for _, a := range all {
		if a.LastWakeUp != nil {
			known = append(known, woken{a.Namespace, a.Deployment, *a.LastWakeUp, a.ExpectedStartSeconds})
		}
	}
	slices.SortStableFunc(known, func(a, b woken) int { return b.Last.ArrivedAt.Compare(a.Last.ArrivedAt) })
	return known
}

// lastWakeUps is a line for each.
func (t *tool) lastWakeUps(w io.Writer, all []woken) {
	if len(all) == 0 {
		fmt.Fprintf(w, "Of %s no wake-up was seen since the controller started.\n", cmp.Or(t.namespace(), "the namespaces that you may see"))
		return
	}
	table := show.Table{Heads: []string{"APPLICATION", "WOKE", "OUTCOME", "LONGEST PHASE", "NEXT EXPECTED"}}
	for _, a := range all {
		next := "-"
		if a.Expected != nil {
			next = show.Seconds(*a.Expected)
		}
		table.Cells(show.Cell{Text: a.Namespace + "/" + a.Deployment}, show.Cell{Text: show.Ago(&a.Last.ArrivedAt, t.Now()) + " ago"},
			show.Cell{Text: wokenInWords(a.Last)}, show.Cell{Text: longest(a.Last), Tone: show.Faint}, show.Cell{Text: next})
	}
	table.Write(w, t.palette())
}

// longest is the phase that took most of the time until the first byte.
func longest(u autoscaler.WakeUp) string {
	said, most, before, whole := "-", 0.0, 0.0, lasted(u)
	for _, phase := range u.Phases {
		if took := phase.SinceArrivalMs - before; took > most && phase.SinceArrivalMs <= whole {
			said, most = string(phase.Phase)+" "+show.Milliseconds(took), took
		}
		before = max(before, phase.SinceArrivalMs)
	}
	return said
}

// learned are the times of the last starts, which the CustomAutoscaler keeps; none where it cannot be read.
func (t *tool) learned(ctx context.Context, a autoscaler.Application) []float64 {
	object, err := t.nemesis.Autoscaler(ctx, client.Name{Namespace: a.Namespace, Name: a.Autoscaler})
	if err != nil || object.Status == nil {
		return nil
	}
	for _, target := range value(object.Status.Targets) {
		if target.Name == a.Deployment && target.Learned != nil {
			return value(target.Learned.StartSeconds)
		}
	}
	return nil
}

// barWidth is that of the bars.
const barWidth = 40

func (t *tool) wakeUp(w io.Writer, a autoscaler.Application, known wakeUp) {
	p := t.palette()
	if known.Last == nil {
		fmt.Fprintf(w, "Of %s/%s no wake-up was seen since the controller started.\n", a.Namespace, a.Deployment)
	} else {
		u := *known.Last
		fmt.Fprintf(w, "%s\n", p.Paint(show.Strong, fmt.Sprintf("%s/%s woke %s ago: %s", a.Namespace, a.Deployment, show.Ago(&u.ArrivedAt, t.Now()), wokenInWords(u))))
		fmt.Fprintf(w, "%s\n", p.Paint(show.Faint, fmt.Sprintf("%s, trace %s", u.ArrivedAt.UTC().Format(time.RFC3339), show.Line(u.Id))))
		t.phases(w, u)
	}
	if len(known.Starts) > 0 {
		fmt.Fprintln(w)
		t.starts(w, known)
	}
}

func wokenInWords(u autoscaler.WakeUp) string {
	text := map[autoscaler.WakeUpOutcome]string{
		autoscaler.WakeUpOutcomeAnswered: "answered", autoscaler.WakeUpOutcomeFailed: "failed", autoscaler.WakeUpOutcomePending: "under way",
	}[u.Outcome]
	if len(u.Phases) > 0 {
		text += " after " + show.Milliseconds(lasted(u))
	}
	if u.Waited != nil {
		text += ", " + show.Count(int(*u.Waited), "request", "requests") + " waited"
	}
	return text
}

// lasted is until the first byte of the answer, where there is one: the kubelet often calls the pod ready later.
func lasted(u autoscaler.WakeUp) float64 {
	if len(u.Phases) == 0 {
		return 0
	}
	at := len(u.Phases) - 1
	if i := slices.IndexFunc(u.Phases, func(p autoscaler.WakeUpPhase) bool { return p.Phase == autoscaler.WakeUpPhasePhaseFirstByte }); i >= 0 {
		at = i
	}
	return u.Phases[at].SinceArrivalMs
}

// phases are bars: each from the moment before to its own.
func (t *tool) phases(w io.Writer, u autoscaler.WakeUp) {
	if len(u.Phases) == 0 {
		return
	}
	whole := u.Phases[len(u.Phases)-1].SinceArrivalMs
	table := show.Table{Heads: []string{"PHASE", "AT", "TOOK", "SEEN BY", ""}}
	before := 0.0
	for _, phase := range u.Phases {
		table.Cells(show.Cell{Text: string(phase.Phase)}, show.Cell{Text: show.Milliseconds(phase.SinceArrivalMs)},
			show.Cell{Text: show.Milliseconds(max(phase.SinceArrivalMs-before, 0))}, show.Cell{Text: string(phase.SeenBy), Tone: show.Faint},
			show.Cell{Text: show.Bar(before, phase.SinceArrivalMs, whole, barWidth), Tone: show.Busy})
		before = max(before, phase.SinceArrivalMs)
	}
	table.Write(w, t.palette())
}

// starts is how the times of the last starts are spread.
func (t *tool) starts(w io.Writer, known wakeUp) {
	sorted := slices.Sorted(slices.Values(known.Starts))
	text := fmt.Sprintf("The last %s took %s to %s, half of them at most %s", show.Count(len(sorted), "start", "starts"),
		show.Seconds(sorted[0]), show.Seconds(sorted[len(sorted)-1]), show.Seconds(sorted[(len(sorted)-1)/2]))
	if known.Expected != nil {
		text += "; the next one is expected to take " + show.Seconds(*known.Expected)
	}
	fmt.Fprintln(w, text+".")
	if len(sorted) < 2 {
		return
	}
	const steps = 8
	low, high := sorted[0], sorted[len(sorted)-1]
	width := max((high-low)/steps, 0.001)
	counts := make([]int, steps)
	for _, s := range sorted {
		counts[min(int((s-low)/width), steps-1)]++
	}
	most := float64(slices.Max(counts))
	table := show.Table{Heads: []string{"UP TO", "STARTS", ""}}
	for i, n := range counts {
		bar := " "
		if n > 0 {
			bar = show.Bar(0, float64(n), most, barWidth/2)
		}
		table.Cells(show.Cell{Text: show.Number(low+width*float64(i+1)) + " s"}, show.Cell{Text: fmt.Sprint(n)}, show.Cell{Text: bar, Tone: show.Good})
	}
	table.Write(w, t.palette())
}
