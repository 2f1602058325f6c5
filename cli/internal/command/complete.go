package command

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
)

// completeNames are the applications, as the first argument of a verb: in the namespace by name, in others with it.
func (t *tool) completeNames(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 || t.begin(cmd) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	namespace, _, qualified := strings.Cut(begun, "/")
	if !qualified {
		namespace = t.nemesis.Namespace()
	}
	all, err := t.nemesis.Applications(cmd.Context(), namespace, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveError
	}
	var names []cobra.Completion
	for _, a := range all {
		name := a.Deployment
		if qualified {
			name = client.Of(a).String()
		}
		if strings.HasPrefix(name, begun) {
			names = append(names, cobra.CompletionWithDesc(name, string(a.State)))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeNamespaces are those that have applications.
func (t *tool) completeNamespaces(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if t.begin(cmd) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := t.nemesis.Applications(cmd.Context(), "", "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveError
	}
	var names []string
	for _, a := range all {
		if strings.HasPrefix(a.Namespace, begun) {
			names = append(names, a.Namespace)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}
