package command

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/pkg/build"
)

// versions is what this command was built from.
type versions struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"goVersion"`
}

func version(t *tool) *cobra.Command {
	return &cobra.Command{
		Use: "version", GroupID: cares,
		Short: "The version of this command; those of the services are in check",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return t.print(view{
				versions{build.Version(), build.Revision(), build.Go()},
				func(w io.Writer) { fmt.Fprintln(w, build.Line("nemesis")) },
			})
		},
	}
}
