package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/pkg/build"
)

func version(t *tool) *cobra.Command {
	return &cobra.Command{
		Use: "version", GroupID: cares,
		Short: "The version of this command; those of the services are in check",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(t.Out, build.Line("nemesis"))
			return err
		},
	}
}
