package command

import (
	"cmp"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func reportVerb(t *tool) *cobra.Command {
	var period, until string
	c := &cobra.Command{
		Use: "report", GroupID: asks,
		Short: "What sleeping saved, how wake-ups went, what was not answered",
		Long: `A report on some hours, a day or a week: what sleeping saved against one pod of each application that is always there and against
maxReplicas, how long the first request of a wake-up waited, how many failed, which requests were not answered, which Deployments somebody
else scaled too, and which thresholds and rules asked for nothing.

As Markdown where nothing is said, as a page that stands alone with -o html; -o json and -o yaml are for programs. It is of what a leader
looked at, and says so where that is less. A period has seven days at the most, and ends within the last eight. A webhook can be sent the
same each day or week.`,
		Example: `  nemesis report                                # of the context's namespace, the last day
  nemesis report -A --for 7d -o html > week.html
  nemesis report --until 2026-01-05T06:00:00Z --for 7d
  nemesis report -o json | jq .totals.savedAgainstOne`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{outputs: "markdown html json yaml"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			format := autoscaler.ReportFormat(cmp.Or(t.output, string(autoscaler.ReportMarkdown)))
			if t.output == "yaml" {
				format = autoscaler.ReportJSON
			}
			end, err := t.moment("--until", until)
			if err != nil {
				return err
			}
			p := t.progress("asking")
			text, err := t.nemesis.Report(cmd.Context(), t.namespace(), client.Period{For: period, Until: end}, format)
			p.end()
			if err != nil {
				return err
			}
			if format == autoscaler.ReportJSON {
				var r autoscaler.Report
				if err := json.Unmarshal(text, &r); err != nil {
					return err
				}
				return t.print(view{value: r})
			}
			return t.print(view{text: func(w io.Writer) { _, _ = w.Write(text) }})
		},
	}
	c.Flags().StringVar(&period, "for", "24h", "how long the `period` is: 12h, 24h, 7d")
	c.Flags().StringVar(&until, "until", "", "the `moment` at which it ends, now where nothing is said: a time (RFC 3339), or how long ago (24h)")
	return t.allFlag(c)
}
