package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/check"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
)

func checkVerb(t *tool) *cobra.Command {
	c := &cobra.Command{
		Use: "check", GroupID: cares,
		Short: "Whether the installation is well, and what to do where it is not",
		Long: `Looks at the resource, the controller and its leader, the load balancers and what they follow, the age of their reports, versions,
certificates, the controller's rights, the log (Elasticsearch among it), NetworkPolicies, clocks, and the applications. What you may not see is said to be unseen. The
exit code is 6 when there is a fault; warnings alone are none.`,
		Example: "  nemesis check\n  nemesis check -o json | jq -r '.[] | select(.level != \"ok\").says'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var found []check.Finding
			err := t.show(cmd.Context(), func(ctx context.Context) (view, error) {
				facts := t.facts(ctx)
				if ctx.Err() != nil { // else all that was not seen any more would be faults
					return view{}, ctx.Err()
				}
				found = check.Look(facts)
				return view{found, func(w io.Writer) { t.findings(w, found) }}, nil
			})
			if err == nil && check.Worst(found) == check.Fault {
				return &outcome{code: unwell}
			}
			return err
		},
	}
	return t.watchFlags(c)
}

var marks = map[check.Level]show.Cell{
	check.OK:      {Text: "ok", Tone: show.Good},
	check.Unseen:  {Text: "unseen", Tone: show.Faint},
	check.Warning: {Text: "warning", Tone: show.Busy},
	check.Fault:   {Text: "FAULT", Tone: show.Bad},
}

func (t *tool) findings(w io.Writer, all []check.Finding) {
	p, count := t.palette(), map[check.Level]int{}
	for _, f := range all {
		count[f.Level]++
		mark := marks[f.Level]
		fmt.Fprintf(w, "%s  %s: %s\n", p.Paint(mark.Tone, fmt.Sprintf("%-7s", mark.Text)), f.Check, show.Line(f.Says))
		if f.Do != "" {
			fmt.Fprintf(w, "         %s\n", p.Paint(show.Faint, "→ "+show.Line(f.Do)))
		}
	}
	fmt.Fprintf(w, "%s, %s, %d unseen\n", show.Count(count[check.Fault], "fault", "faults"), show.Count(count[check.Warning], "warning", "warnings"), count[check.Unseen])
}
