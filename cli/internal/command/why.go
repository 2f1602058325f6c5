package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func why(t *tool) *cobra.Command {
	var at string
	var not bool
	var last int
	var with []string
	c := &cobra.Command{
		Use: "why APP", GroupID: asks,
		Short: "Why it has as many pods as it has: the last decision in words",
		Long: `Shows the last decision on an application: what was wished for and by which rule, what limited or held it, and the values it was made
from with their ages. The controller holds the last 1000 decisions of all applications, and of each its own last 8, whatever was decided on
others (fewer where there are more than 5,000 of them); what it asks for beyond that is said to be forgotten. A decision that says the same
as the one before is not recorded again.

With --if it asks what would be decided at this moment with another spec. Nothing is done and nothing recorded.`,
		Example: `  nemesis why modelserver                  # the last decision
  nemesis why modelserver --last 5         # the last five
  nemesis why modelserver --at 10m         # what held ten minutes ago
  nemesis why modelserver --at 2026-01-02T03:04:05Z
  nemesis why modelserver --not            # what was wished for and held back
  nemesis why modelserver --if idleTime=60 --if maxReplicas=5
  nemesis why modelserver --if 'scalingRules=[{name: busy, action: INCREASE_INSTANCES, thresholds: [{metricType: CPU_USAGE, operator: GREATER_THAN, value: 500}]}]'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := t.nemesis.NameOf(args[0])
			if err != nil {
				return err
			}
			if err := within("--last", last, 1000); err != nil {
				return err
			}
			moment, err := t.moment("--at", at)
			if err != nil {
				return err
			}
			return t.show(cmd.Context(), func(ctx context.Context) (view, error) {
				if len(with) > 0 {
					return t.whatIf(ctx, name, with)
				}
				return t.decided(ctx, name, moment, not, last)
			})
		},
	}
	c.Flags().StringVar(&at, "at", "", "the decision that held at a `moment`: a time (RFC 3339), or how long ago (10m)")
	c.Flags().BoolVar(&not, "not", false, "what was wished for and not done, and what held it")
	c.Flags().StringArrayVar(&with, "if", nil, "what would be decided now with another spec: `field=value`, as in the CustomAutoscaler; field=null leaves it out")
	c.MarkFlagsMutuallyExclusive("if", "at")
	c.MarkFlagsMutuallyExclusive("if", "not")
	c.Flags().IntVar(&last, "last", 1, "how many decisions")
	return t.watchFlags(c)
}

// moment reads a time, or how long ago it was; zero: none was said.
func (t *tool) moment(flag, said string) (time.Time, error) {
	if said == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(said); err == nil && ago >= 0 {
		return t.Now().Add(-ago), nil
	}
	if then, err := time.Parse(time.RFC3339, said); err == nil {
		return then, nil
	}
	return time.Time{}, &client.UsageError{Message: fmt.Sprintf("%s %s is not allowed: a time as 2026-01-02T03:04:05Z, or how long ago as 10m", flag, said)}
}

func (t *tool) decided(ctx context.Context, name client.Name, moment time.Time, not bool, last int) (view, error) {
	a, err := t.nemesis.Application(ctx, name)
	if err != nil {
		return view{}, err
	}
	name = client.Of(a)
	of := client.Decisions{Name: name, AtMost: last}
	if not {
		of.Result = "held"
	}
	if !moment.IsZero() { // those after it are read over
		older := 0
		of.AtMost, of.Through = 0, func(d autoscaler.Decision) bool {
			if !d.Time.After(moment) {
				older++
			}
			return older < last
		}
	}
	all, complete, err := t.nemesis.Decisions(ctx, of)
	if err != nil {
		return view{}, err
	}
	chosen := []autoscaler.Decision{}
	for _, d := range all {
		if moment.IsZero() || !d.Time.After(moment) {
			chosen = append(chosen, d)
		}
	}
	if len(chosen) == 0 && !not && moment.IsZero() && a.LastDecision != nil {
		chosen = append(chosen, *a.LastDecision) // another replica may lead, and not answer
	}
	return view{chosen, func(w io.Writer) {
		t.decisions(w, name, asked{moment, not, last, complete, a.LastDecision != nil}, chosen)
		for _, c := range value(a.RefusedClaims) {
			fmt.Fprintf(w, "%s %s\n", t.palette().Paint(show.Bad, "!"), show.Line(claimRefused(c)))
		}
	}}, nil
}

// asked is what was asked for of the decisions on an application, and what is known of the answer.
type asked struct {
	moment   time.Time
	not      bool
	last     int
	complete time.Time // from when on no decision is missing; zero: the controller does not say
	decided  bool      // there was one at least
}

func (t *tool) decisions(w io.Writer, name client.Name, q asked, all []autoscaler.Decision) {
	held := "the controller holds those from " + q.complete.UTC().Format(time.RFC3339) + " on"
	at := q.moment.UTC().Format(time.RFC3339)
	forgotten := !q.complete.IsZero()
	switch {
	case len(all) > 0:
		for i, d := range all {
			if i > 0 {
				fmt.Fprintln(w)
			}
			t.decision(w, d)
		}
		if forgotten && len(all) < q.last {
			fmt.Fprintf(w, "\n%s\n", t.palette().Paint(show.Faint, "Those before are forgotten: "+held+"."))
		}
	case q.not && forgotten && !q.moment.IsZero() && q.moment.Before(q.complete):
		fmt.Fprintf(w, "What was held back of %s before %s is forgotten: %s.\n", name, at, held)
	case q.not && forgotten:
		fmt.Fprintf(w, "Of %s nothing was held back since %s; what was before is forgotten.\n", name, q.complete.UTC().Format(time.RFC3339))
	case q.not:
		fmt.Fprintf(w, "Of %s nothing was held back, as far as the controller remembers.\n", name)
	case !q.moment.IsZero() && forgotten && q.decided: // something held then: it was decided before those that are held
		fmt.Fprintf(w, "The decision on %s that held at %s is forgotten: %s.\n", name, at, held)
	case !q.moment.IsZero():
		fmt.Fprintf(w, "The controller remembers no decision on %s of before %s.\n", name, at)
	default:
		fmt.Fprintf(w, "Nothing was decided on %s yet.\n", name)
	}
}

// decision is one in words: the sentence, and below it each reason with the values that it looked at.
func (t *tool) decision(w io.Writer, d autoscaler.Decision) {
	p := t.palette()
	fmt.Fprintf(w, "%s\n", p.Paint(show.Strong, show.Line(d.Summary)))
	result := string(value(d.Result))
	if result == "" && d.Applied {
		result = "applied"
	}
	fmt.Fprintf(w, "%s\n", p.Paint(show.Faint, fmt.Sprintf("%s ago, %s; asked for by %s; %s; %s/%s, decision %s",
		show.Ago(&d.Time, t.Now()), d.Time.UTC().Format(time.RFC3339), d.Trigger, cmp.Or(result, "not applied"), d.Namespace, d.Deployment, d.Id)))
	if value(d.Error) != "" {
		fmt.Fprintf(w, "  %s %s\n", p.Paint(show.Bad, "failed:"), show.Line(*d.Error))
	}
	t.reasons(w, d)
	if value(d.TraceId) != "" && t.wide() {
		fmt.Fprintf(w, "  trace  %s\n", show.Line(*d.TraceId))
	}
}

// reasons are what shaped a decision, each with the values that it looked at.
func (t *tool) reasons(w io.Writer, d autoscaler.Decision) {
	p := t.palette()
	for _, r := range d.Reasons {
		fmt.Fprintf(w, "  %s %s\n", p.Paint(effectTone(r.Effect), fmt.Sprintf("%-6s", effects[r.Effect])), show.Line(reason(r)))
		if r.Inputs != nil && len(*r.Inputs) > 0 {
			fmt.Fprintf(w, "         %s\n", p.Paint(show.Faint, show.Line(inputs(r))))
		}
	}
}

// effects are what a reason did, as people say it.
var effects = map[autoscaler.ReasonEffect]string{
	autoscaler.Wish: "wishes", autoscaler.Clamp: "limits", autoscaler.Hold: "holds", autoscaler.Note: "notes",
}

func effectTone(e autoscaler.ReasonEffect) show.Tone {
	switch e {
	case autoscaler.Wish:
		return show.Good
	case autoscaler.Clamp, autoscaler.Hold:
		return show.Busy
	default:
		return show.Faint
	}
}

func reason(r autoscaler.Reason) string {
	return fmt.Sprintf("%d by %s: %s", r.Replicas, strings.TrimPrefix(r.Rule, "Rule:"), r.Message)
}

// inputs are the values with their ages.
func inputs(r autoscaler.Reason) string {
	all := make([]string, 0, len(*r.Inputs))
	for _, in := range *r.Inputs {
		text := in.Name + " " + show.Number(in.Value)
		if value(in.Unit) != "" {
			text += " " + *in.Unit
		}
		if in.AgeSeconds != nil && *in.AgeSeconds > 0 {
			text += " (" + show.Seconds(*in.AgeSeconds) + " old)"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}
