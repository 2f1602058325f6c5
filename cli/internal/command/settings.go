package command

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/common"
)

// settingNames are the fields of the settings, as the contract has them.
var settingNames = []string{"policy", "max_connections", "timeout_seconds"}

func settings(t *tool) *cobra.Command {
	get := func(cmd *cobra.Command, _ []string) error {
		now, err := t.nemesis.Settings(cmd.Context())
		if err != nil {
			return err
		}
		return t.print(view{now, func(w io.Writer) { t.settingsTable(w, nil, fields(now)) }})
	}
	c := &cobra.Command{
		Use: "settings", GroupID: changes,
		Short: "What every load balancer follows: see it, and change it",
		Long: `policy is how a pod is chosen where a CustomAutoscaler says nothing else, max_connections how many client connections one load balancer
serves at a time, timeout_seconds how long a pod may stay silent. They are for whoever is bound to nemesis-operator. Without another word
it shows them.`,
		Args: cobra.NoArgs,
		RunE: get,
	}
	c.AddCommand(&cobra.Command{
		Use:   "get",
		Short: "See the settings",
		Args:  usage(cobra.NoArgs),
		RunE:  get,
	}, &cobra.Command{
		Use:   "set NAME=VALUE …",
		Short: "Change settings, for every load balancer at once",
		Long: `What is not named stays as it is. A value that is not allowed changes nothing. Of two who change settings at the same moment the last one
wins.`,
		Example:           "  nemesis settings set policy=prequal timeout_seconds=120",
		Args:              usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: completeSettings,
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := t.nemesis.Settings(cmd.Context())
			if err != nil {
				return err
			}
			wanted := before
			if err := change(&wanted, args); err != nil {
				return err
			}
			after, err := t.nemesis.PutSettings(cmd.Context(), wanted)
			if err != nil {
				return err
			}
			return t.print(view{after, func(w io.Writer) { t.settingsTable(w, fields(before), fields(after)) }})
		},
	})
	return c
}

// change puts NAME=VALUE into the settings. What a value may be, the controller says.
func change(s *common.BalancerSettings, pairs []string) error {
	all := fields(*s)
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || !slices.Contains(settingNames, name) {
			return &client.UsageError{Message: fmt.Sprintf("%q is no setting: write NAME=VALUE, of %s", pair, strings.Join(settingNames, ", "))}
		}
		if name == "policy" {
			all[name] = text
			continue
		}
		number, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return &client.UsageError{Message: fmt.Sprintf("%s=%s is not allowed: a whole number", name, text)}
		}
		all[name] = number
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	*s = common.BalancerSettings{}
	return json.Unmarshal(text, s)
}

// fields are the settings by name.
func fields(s common.BalancerSettings) map[string]any {
	all := map[string]any{}
	if s.Policy != nil {
		all["policy"] = string(*s.Policy)
	}
	if s.MaxConnections != nil {
		all["max_connections"] = *s.MaxConnections
	}
	if s.TimeoutSeconds != nil {
		all["timeout_seconds"] = *s.TimeoutSeconds
	}
	return all
}

func (t *tool) settingsTable(w io.Writer, before, now map[string]any) {
	table := show.Table{Heads: []string{"SETTING", "VALUE"}}
	for _, name := range sortedKeys(now) {
		text := fmt.Sprint(now[name])
		if was, ok := before[name]; ok && fmt.Sprint(was) != text {
			text = fmt.Sprintf("%v → %s", was, text)
		}
		table.Row(name, text)
	}
	table.Write(w, t.palette())
}

func completeSettings(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	all := make([]cobra.Completion, 0, len(policies))
	if strings.HasPrefix(begun, "policy=") {
		for _, policy := range policies {
			all = append(all, "policy="+string(policy))
		}
	} else {
		for _, name := range settingNames {
			all = append(all, name+"=")
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

var policies = []common.BalancingPolicy{
	common.RoundRobin, common.LeastConnections, common.Random, common.LeastRequest, common.PeakEwma, common.Prequal, common.ConsistentHash, common.ModelAware,
}
