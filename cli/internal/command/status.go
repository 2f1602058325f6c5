package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func status(t *tool) *cobra.Command {
	c := &cobra.Command{
		Use: "status [APP]", GroupID: asks,
		Short: "What sleeps, wakes and works, and what needs attention",
		Long: `Without APP a line for each application, those that need attention first. With APP all that is known of it: replicas, pods, traffic,
what the pods use, conditions and the last decision; with -o wide of each pod what is on it and waits in it, its KV cache and GPUs, and
how the load balancers take it: usable, or ejected, draining, busy, ramping up.`,
		Example: `  nemesis status                    # of the context's namespace
  nemesis status -A --watch         # of all that you may see, as it changes
  nemesis status modelserver        # one of them; -o wide: how load balancers take its pods
  nemesis status -o json | jq -r '.[] | select(.state == "Asleep").deployment'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: t.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				name, err := t.nemesis.NameOf(args[0])
				if err != nil {
					return err
				}
				return t.show(cmd.Context(), func(ctx context.Context) (view, error) {
					a, err := t.nemesis.Application(ctx, name)
					var taken *taking
					if err == nil && t.wide() {
						taken = new(t.takingOf(ctx, a))
					}
					return view{a, func(w io.Writer) { t.describe(w, a, taken) }}, err
				})
			}
			return t.show(cmd.Context(), func(ctx context.Context) (view, error) {
				all, refused, err := t.nemesis.Claimed(ctx, t.namespace(), "")
				slices.SortStableFunc(all, func(a, b autoscaler.Application) int { return cmp.Compare(urgency(a, t.Now()), urgency(b, t.Now())) })
				if all == nil {
					all = []autoscaler.Application{} // [] in JSON
				}
				return view{all, func(w io.Writer) { t.fleet(w, all, refused) }}, err
			})
		},
	}
	return t.allFlag(t.watchFlags(c))
}

// firstMeasured is how long the Kubernetes metrics API may take until it knows a new pod: a scrape or two of a minute at the most.
const firstMeasured = 2 * time.Minute

// urgency orders what needs attention before what does something, and that before what rests.
func urgency(a autoscaler.Application, now time.Time) int {
	switch {
	case len(troubles(a, now)) > 0:
		return 0
	case a.State == autoscaler.ApplicationStateWaking || a.State == autoscaler.ApplicationStateFallingAsleep:
		return 1
	case a.State == autoscaler.ApplicationStateAwake:
		return 2
	default:
		return 3
	}
}

// troubles are what needs attention.
func troubles(a autoscaler.Application, now time.Time) []string {
	var all []string
	for _, c := range a.Conditions {
		if c.Status == autoscaler.ConditionStatusFalse && speaks(c, now) || c.Type == "Contested" && c.Status == autoscaler.ConditionStatusTrue {
			all = append(all, cmp.Or(value(c.Message), c.Type+": "+c.Reason))
		}
	}
	for _, c := range value(a.RefusedClaims) {
		all = append(all, claimRefused(c))
	}
	for _, p := range a.Pods {
		if p.State == autoscaler.PodStateFailed || p.Message != nil && *p.Message != "" && !p.Alive && p.State != autoscaler.PodStateTerminating {
			all = append(all, p.Name+": "+cmp.Or(value(p.Message), string(p.State)))
		}
	}
	if d := a.LastDecision; d != nil && value(d.Error) != "" {
		all = append(all, "the last decision failed: "+*d.Error)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// claimRefused is a claim that is refused, in words.
func claimRefused(c autoscaler.RefusedClaim) string {
	text := "claim refused: " + c.Message
	if by := c.HeldBy; by != nil {
		text += " (it is held by the CustomAutoscaler " + by.Namespace + "/" + by.Autoscaler + ")"
	}
	return text
}

// refusedBeside are lines of the claims that no application says.
func (t *tool) refusedBeside(w io.Writer, refused []autoscaler.RefusedClaim) {
	for _, c := range refused {
		fmt.Fprintf(w, "%s %s\n", t.palette().Paint(show.Bad, "!"), show.Line(fmt.Sprintf("%s/%s, for which the CustomAutoscaler %s asks: %s", c.Namespace, c.Deployment, c.Autoscaler, claimRefused(c))))
	}
}

// speaks tells whether it is a fault that a condition is not so. Asleep is none, nor is what somebody has chosen, and
// Ready repeats another one; and what a new pod uses is not measured yet.
func speaks(c autoscaler.Condition, now time.Time) bool {
	if c.Reason == "MetricsMissing" && now.Sub(c.LastTransitionTime) < firstMeasured {
		return false
	}
	return c.Type != "Active" && c.Type != "Ready" && !slices.Contains([]string{"ModePaused", "ModeObserve", "Paused"}, c.Reason)
}

func tone(s autoscaler.ApplicationState) show.Tone {
	switch s {
	case autoscaler.ApplicationStateAwake:
		return show.Good
	case autoscaler.ApplicationStateWaking, autoscaler.ApplicationStateFallingAsleep:
		return show.Busy
	case autoscaler.ApplicationStateUnknown:
		return show.Bad
	default:
		return show.Faint
	}
}

// fleet is a line for each application.
func (t *tool) fleet(w io.Writer, all []autoscaler.Application, refused []autoscaler.RefusedClaim) {
	defer t.refusedBeside(w, refused)
	if len(all) == 0 {
		fmt.Fprintf(w, "No applications in %s. A CustomAutoscaler makes a Deployment one; `nemesis adopt` writes it from what scales it today.\n",
			cmp.Or(t.namespace(), "the namespaces that you may see"))
		return
	}
	table := show.Table{Heads: []string{"APPLICATION", "STATE", "PODS", "IN FLIGHT", "WAITING", "SLEEPS IN", "ATTENTION OR LAST DECISION"}}
	if t.all {
		table.Heads = slices.Insert(table.Heads, 0, "NAMESPACE")
	}
	if t.wide() {
		table.Heads = slices.Insert(table.Heads, len(table.Heads)-1, "MODE", "BOUNDS", "STARTS IN", "LAST TRAFFIC", "AUTOSCALER")
	}
	for _, a := range all {
		last := show.Cell{Text: t.lastWord(a)}
		if faults := troubles(a, t.Now()); len(faults) > 0 {
			last = show.Cell{Text: strings.Join(faults, "; "), Tone: show.Bad}
		}
		cells := []show.Cell{
			{Text: a.Deployment, Tone: show.Strong}, {Text: string(a.State), Tone: tone(a.State)},
			{Text: fmt.Sprintf("%d/%d", a.ReadyReplicas, a.Replicas)},
			{Text: fmt.Sprint(a.Traffic.InFlight)}, {Text: fmt.Sprint(a.Traffic.Waiting)}, {Text: sleepsIn(a)},
		}
		if t.all {
			cells = slices.Insert(cells, 0, show.Cell{Text: a.Namespace})
		}
		if t.wide() {
			cells = append(cells, show.Cell{Text: string(mode(a))}, show.Cell{Text: fmt.Sprintf("%d-%d", a.MinReplicas, a.MaxReplicas)},
				show.Cell{Text: ifKnown(a.ExpectedStartSeconds, show.Seconds)}, show.Cell{Text: show.Ago(a.LastActivityTime, t.Now())}, show.Cell{Text: a.Autoscaler})
		}
		table.Cells(append(cells, last)...)
	}
	table.Write(w, t.palette())
	fmt.Fprintln(w, t.palette().Paint(show.Faint, summary(all, t.Now())))
}

// summary counts them.
func summary(all []autoscaler.Application, now time.Time) string {
	count := map[autoscaler.ApplicationState]int{}
	var pods, attention int
	for _, a := range all {
		count[a.State]++
		pods += int(a.ReadyReplicas)
		if len(troubles(a, now)) > 0 {
			attention++
		}
	}
	parts := []string{show.Count(len(all), "application", "applications")}
	for _, s := range []autoscaler.ApplicationState{autoscaler.ApplicationStateAwake, autoscaler.ApplicationStateWaking, autoscaler.ApplicationStateFallingAsleep, autoscaler.ApplicationStateAsleep, autoscaler.ApplicationStateUnknown} {
		if count[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[s], stateInWords(s)))
		}
	}
	parts = append(parts, show.Count(pods, "pod", "pods"))
	if attention > 0 {
		parts = append(parts, fmt.Sprintf("%d in need of attention", attention))
	}
	return strings.Join(parts, ", ")
}

// lastWord is the last decision and its age.
func (t *tool) lastWord(a autoscaler.Application) string {
	if a.LastDecision == nil {
		return ""
	}
	return a.LastDecision.Summary + " (" + show.Ago(&a.LastDecision.Time, t.Now()) + " ago)"
}

func sleepsIn(a autoscaler.Application) string {
	if a.State == autoscaler.ApplicationStateAsleep {
		return ""
	}
	return ifKnown(a.SleepsInSeconds, show.Seconds)
}

func mode(a autoscaler.Application) autoscaler.ScalingMode {
	if a.Mode == nil || *a.Mode == "" {
		return autoscaler.ModeActive
	}
	return *a.Mode
}

// describe is all that is known of one application; taken is how its pods are taken, nil where nobody asked.
func (t *tool) describe(w io.Writer, a autoscaler.Application, taken *taking) {
	p := t.palette()
	fmt.Fprintf(w, "%s  %s\n", p.Paint(show.Strong, client.Of(a).String()), p.Paint(tone(a.State), string(a.State)))
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "  %-14s %s\n", name, show.Line(text))
		}
	}
	line("autoscaler", a.Autoscaler)
	if m := mode(a); m != autoscaler.ModeActive {
		line("mode", string(m))
	}
	line("pods", fmt.Sprintf("%d ready of %d, between %d and %d", a.ReadyReplicas, a.Replicas, a.MinReplicas, a.MaxReplicas))
	line("sleeps", sleepText(a))
	line("starts in", ifKnown(a.ExpectedStartSeconds, show.Seconds))
	line("last traffic", ago(a.LastActivityTime, t.Now()))
	line("traffic", traffic(a.Traffic))
	for _, m := range value(a.Metrics) {
		line(strings.ToLower(strings.ReplaceAll(m.MetricType, "_", " ")), metric(m))
	}
	t.podsOf(w, a, taken)
	for _, fault := range troubles(a, t.Now()) {
		fmt.Fprintf(w, "  %s %s\n", p.Paint(show.Bad, "!"), show.Line(fault))
	}
	if a.LastDecision != nil {
		fmt.Fprintln(w)
		t.decision(w, *a.LastDecision)
	}
}

func ago(then *time.Time, now time.Time) string {
	if said := show.Ago(then, now); said != "" {
		return said + " ago"
	}
	return ""
}

func sleepText(a autoscaler.Application) string {
	after := "after " + show.Seconds(float64(a.IdleTime)) + " without traffic"
	if a.MinReplicas > 0 {
		return fmt.Sprintf("never below %s", show.Count(int(a.MinReplicas), "pod", "pods"))
	}
	if in := sleepsIn(a); in != "" {
		return after + ", in " + in + " if none comes"
	}
	return after
}

func traffic(s autoscaler.TrafficSummary) string {
	text := fmt.Sprintf("%d in flight", s.InFlight)
	if s.Streaming > 0 {
		text += fmt.Sprintf(" (%s)", show.Count(int(s.Streaming), "stream", "streams"))
	}
	text += fmt.Sprintf(", %d waiting; %d so far, %d failed, %d refused", s.Waiting, s.Requests, s.Failures, s.Rejected)
	if l := s.LatencyMs; l != nil {
		text += fmt.Sprintf("; lately p50 %s, p95 %s, p99 %s", show.Milliseconds(l.P50), show.Milliseconds(l.P95), show.Milliseconds(l.P99))
	}
	return text
}

func metric(m autoscaler.MetricMean) string {
	if m.Mean == nil {
		return fmt.Sprintf("not known (%s without a fresh value)", show.Count(int(m.Missing), "pod", "pods"))
	}
	text := show.Number(*m.Mean) + " " + m.Unit + ", mean of " + show.Count(int(m.Pods), "pod", "pods")
	if m.Missing > 0 {
		text += fmt.Sprintf(", %d without a fresh value", m.Missing)
	}
	if m.AgeSeconds != nil {
		text += ", " + show.Seconds(*m.AgeSeconds) + " old"
	}
	return text
}
