package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func pause(t *tool) *cobra.Command {
	var replicas int32
	var observe bool
	c := &cobra.Command{
		Use: "pause APP", GroupID: changes,
		Short: "Have it neither started nor stopped",
		Long: `Sets the mode of the application's CustomAutoscaler: to Paused, in which its pods stay as many as they are (or as many as --replicas says;
with 0 it is down, and requests are answered 503 at once), or with --observe to Observe, in which everything is decided and recorded and
nothing done, except that a request still wakes it. It is so for all Deployments of the CustomAutoscaler, until nemesis resume. What keeps
the CustomAutoscaler in step with a repository (GitOps) may set it back.`,
		Example: `  nemesis pause modelserver
  nemesis pause modelserver --replicas 2
  nemesis pause modelserver --observe`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			spec := map[string]any{"mode": autoscaler.ModePaused, "pausedReplicas": nil}
			switch {
			case observe:
				spec["mode"] = autoscaler.ModeObserve
			case cmd.Flags().Changed("replicas"):
				if replicas < 0 {
					return &client.UsageError{Message: fmt.Sprintf("--replicas %d is not allowed: 0 or more", replicas)}
				}
				spec["pausedReplicas"] = replicas
			}
			return t.setMode(cmd.Context(), args[0], spec)
		},
	}
	c.Flags().Int32Var(&replicas, "replicas", 0, "how many pods are held; left out, as many as there are")
	c.Flags().BoolVar(&observe, "observe", false, "go on deciding, and do nothing but wake it")
	c.MarkFlagsMutuallyExclusive("replicas", "observe")
	return c
}

func resume(t *tool) *cobra.Command {
	return &cobra.Command{
		Use: "resume APP", GroupID: changes,
		Short:             "Have it scaled again after pause",
		Long:              "Takes mode and pausedReplicas out of the application's CustomAutoscaler, so that it is scaled by its rules again.",
		Example:           "  nemesis resume modelserver",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.setMode(cmd.Context(), args[0], map[string]any{"mode": nil, "pausedReplicas": nil})
		},
	}
}

// setMode changes the CustomAutoscaler of an application, and says what is so now.
func (t *tool) setMode(ctx context.Context, said string, spec map[string]any) error {
	name, err := t.autoscalerOf(ctx, said)
	if err != nil {
		return err
	}
	changed, err := t.nemesis.PatchSpec(ctx, name, spec)
	if err != nil {
		return err
	}
	return t.print(view{changed, func(w io.Writer) { fmt.Fprintln(w, modeInWords(name, changed)) }})
}

// autoscalerOf is the CustomAutoscaler that is meant: of this name, or the one that names the Deployment.
func (t *tool) autoscalerOf(ctx context.Context, said string) (client.Name, error) {
	name, err := t.nemesis.NameOf(said)
	if err != nil {
		return name, err
	}
	a, err := t.nemesis.Application(ctx, name)
	if err == nil {
		return client.Name{Namespace: a.Namespace, Name: a.Autoscaler}, nil
	}
	// Of several Deployments no single one is needed here, and the API server knows the object also while the
	// controller is away.
	if _, found := t.nemesis.Autoscaler(ctx, name); found == nil {
		return name, nil
	}
	return name, err
}

func modeInWords(name client.Name, a autoscaler.CustomAutoscaler) string {
	what := fmt.Sprintf("CustomAutoscaler %s, of %s", name, show.Count(len(targets(a)), "Deployment", "Deployments"))
	switch mode := value(a.Spec.Mode); {
	case mode == autoscaler.ModePaused && value(a.Spec.PausedReplicas) == 0 && a.Spec.PausedReplicas != nil:
		return what + ": paused at zero pods. Requests are answered 503 until `nemesis resume`."
	case mode == autoscaler.ModePaused && a.Spec.PausedReplicas != nil:
		return fmt.Sprintf("%s: paused at %s, until `nemesis resume`.", what, show.Count(int(*a.Spec.PausedReplicas), "pod", "pods"))
	case mode == autoscaler.ModePaused:
		return what + ": paused. It keeps the pods that it has, and is not woken from zero, until `nemesis resume`."
	case mode == autoscaler.ModeObserve:
		return what + ": observed. Decisions are recorded and not carried out, except that a request wakes it, until `nemesis resume`."
	default:
		return what + ": scaled by its rules."
	}
}

// targets are the Deployments of a CustomAutoscaler, each once.
func targets(a autoscaler.CustomAutoscaler) map[string]bool {
	names := map[string]bool{}
	for _, target := range a.Spec.TargetDeployments {
		names[target.Name] = true
	}
	return names
}
