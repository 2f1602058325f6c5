// Package command is the command line: one file for each verb, which asks by package client and shows by package show.
package command

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/pkg/build"
)

// Main runs a command line, args[0] being how the program was called, and returns its exit code.
func Main(ctx context.Context, args []string, s Streams) int {
	name, rest := called(args)
	root, t := newRoot(name, s)
	root.SetArgs(rest)
	err := root.ExecuteContext(ctx)
	if t.nemesis != nil {
		t.nemesis.Close()
	}
	code := exitCode(ctx, err)
	if text := said(err); text != "" {
		fmt.Fprintln(s.Err, t.paint(show.Bad, "nemesis:"), text)
	}
	return code
}

// called is what the program is called as, and what is asked of it.
func called(args []string) (string, []string) {
	switch filepath.Base(args[0]) {
	case "kubectl-nemesis":
		return "kubectl nemesis", args[1:]
	case "kubectl_complete-nemesis":
		return "kubectl nemesis", append([]string{cobra.ShellCompRequestCmd}, args[1:]...)
	default:
		return "nemesis", args[1:]
	}
}

// Root is the whole command line, for what is generated from it.
func Root() *cobra.Command {
	root, _ := newRoot("nemesis", Streams{Env: func(string) string { return "" }})
	root.DisableAutoGenTag = true
	return root
}

func newRoot(name string, s Streams) (*cobra.Command, *tool) {
	t := &tool{Streams: s}
	root := &cobra.Command{
		Use:   "nemesis",
		Short: "See what sleeps, what wakes and why, and change it",
		Long: `nemesis asks Nemesis: what sleeps and what works, why something was scaled or was not, who waits and for what.

It takes cluster, namespace and credentials as kubectl does, and reaches Nemesis through the Kubernetes API server. Who asks is said
by a token; a kubeconfig that has a client certificate instead needs --service-account or --token.

An application is named by its Deployment or by its CustomAutoscaler, as NAME or NAMESPACE/NAME.

Exit codes: ` + codesInWords(),
		Version:           build.Line("nemesis"),
		SilenceUsage:      true,
		SilenceErrors:     true,
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: name},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return t.begin(cmd) },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &client.UsageError{Message: fmt.Sprintf("%v; see %s --help", err, c.CommandPath())}
	})
	t.flags(root)
	root.AddGroup(&cobra.Group{ID: asks, Title: "See:"}, &cobra.Group{ID: changes, Title: "Change:"}, &cobra.Group{ID: cares, Title: "Run it:"})
	for _, add := range verbs {
		verb := add(t)
		verb.Args = usage(verb.Args)
		root.AddCommand(verb)
	}
	return root, t
}

// The groups of verbs in the help.
const (
	asks    = "asks"
	changes = "changes"
	cares   = "cares"
)

// verbs are the commands, in the order of the help.
var verbs = []func(*tool) *cobra.Command{status, why, wakeups, waiting, top, logs, reportVerb, wake, sleep, pause, resume, settings, adoptVerb, checkVerb, support, version}

// usage makes faults of the arguments faults of the command line.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if check == nil {
			check = cobra.ArbitraryArgs
		}
		if err := check(c, args); err != nil {
			return &client.UsageError{Message: fmt.Sprintf("%v; it is used as: %s", err, c.UseLine())}
		}
		return nil
	}
}

// flags are those of all verbs.
func (t *tool) flags(root *cobra.Command) {
	f, o := root.PersistentFlags(), &t.options
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig `file`; left out, as kubectl finds it")
	f.StringVar(&o.Context, "context", "", "`name` of the kubeconfig's context")
	f.StringVarP(&o.Namespace, "namespace", "n", "", "`namespace` of the applications; left out, the context's")
	f.StringVar(&o.System, "system-namespace", cmp.Or(t.Env("NEMESIS_SYSTEM_NAMESPACE"), "nemesis-system"), "`namespace` where Nemesis runs (NEMESIS_SYSTEM_NAMESPACE)")
	f.StringVar(&o.Controller, "controller", t.Env("NEMESIS_CONTROLLER"), "`address` of the controller, as https://HOST:8080, past the API server (NEMESIS_CONTROLLER)")
	f.StringSliceVar(&o.Balancers, "balancer", listed(t.Env("NEMESIS_BALANCER")), "`addresses` of the load balancers' admin ports, as https://HOST:8081 (NEMESIS_BALANCER)")
	f.StringVar(&o.CA, "ca", t.Env("NEMESIS_CA"), "`file` of the authority by which these are verified; left out, the ConfigMap nemesis-ca (NEMESIS_CA)")
	f.StringVar(&o.Token, "token", "", "`token` that says who you are, in place of the kubeconfig's credentials (NEMESIS_TOKEN)")
	f.StringVar(&o.ServiceAccount, "service-account", t.Env("NEMESIS_SERVICE_ACCOUNT"), "[namespace/]`name` of a service account that Nemesis is asked as: a token of it is made for an hour (NEMESIS_SERVICE_ACCOUNT)")
	f.BoolVar(&o.Forward, "port-forward", false, "reach Nemesis by forwarded ports, as kubectl port-forward does, in place of the API server's proxy")
	f.DurationVar(&o.Timeout, "request-timeout", 20*time.Second, "how long one call may take")
	f.StringVarP(&t.output, "output", "o", "", "json, yaml or wide; left out, for people")
	must(root.RegisterFlagCompletionFunc("output", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return outputsOf(cmd), cobra.ShellCompDirectiveNoFileComp
	}))
	must(root.RegisterFlagCompletionFunc("namespace", t.completeNamespaces))
}

func must(err error) {
	if err != nil {
		panic(err) // a flag of that name is defined beside it
	}
}

// Standard are the program's own streams.
func Standard() Streams {
	return Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Now: time.Now, Pace: defaultPace,
		OutTerminal: terminal(os.Stdout), ErrTerminal: terminal(os.Stderr), InTerminal: terminal(os.Stdin),
	}
}
