package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// defaultPace is how often is looked for what was asked for.
const defaultPace = 500 * time.Millisecond

// until is how long a verb waits for what it has asked for.
type until struct {
	wait    bool
	timeout time.Duration
}

func (u *until) flags(c *cobra.Command, what string) *cobra.Command {
	c.Flags().BoolVar(&u.wait, "wait", true, "wait until "+what)
	c.Flags().DurationVar(&u.timeout, "timeout", 5*time.Minute, "how long is waited; then the exit code is 7")
	return c
}

func wake(t *tool) *cobra.Command {
	var u until
	return u.flags(&cobra.Command{
		Use: "wake APP", GroupID: changes,
		Short: "Wake it now, as a request would",
		Long: `Has the application scaled up from zero, without sending it a request, and waits until a pod serves. It sleeps again after its idleTime.
For whoever may send it requests through the admin port (create customautoscalers/request, as with the role edit).`,
		Example:           "  nemesis wake modelserver\n  nemesis wake modelserver --wait=false",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.wakeIt(cmd.Context(), args[0], u)
		},
	}, "a pod serves")
}

func sleep(t *tool) *cobra.Command {
	var u until
	return u.flags(&cobra.Command{
		Use: "sleep APP", GroupID: changes,
		Short: "Let it sleep now, and not only after its idleTime",
		Long: `Has the application scaled to zero as after idleTime: the load balancers are asked first, and a request that comes meanwhile calls it off.
While requests work or wait it is refused. For whoever may update the CustomAutoscaler.`,
		Example:           "  nemesis sleep modelserver",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.sleepIt(cmd.Context(), args[0], u)
		},
	}, "it sleeps")
}

func (t *tool) wakeIt(ctx context.Context, said string, u until) error {
	name, err := t.applicationOf(ctx, said)
	if err != nil {
		return err
	}
	started, err := t.nemesis.Wake(ctx, name)
	if err != nil {
		return err
	}
	takes := ""
	if started.ExpectedStartSeconds != nil && started.State != autoscaler.ApplicationStateAwake {
		takes = " A start takes about " + show.Seconds(*started.ExpectedStartSeconds) + "."
	}
	if b := started.Blocked; b != nil {
		return &outcome{unfinished, fmt.Sprintf("%s cannot start: %s: %s", name, b.Reason, b.Message)}
	}
	if !u.wait || started.State == autoscaler.ApplicationStateAwake {
		return t.print(view{started, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %s. It is %s.%s\n", name, show.Line(started.Message), stateInWords(started.State), takes)
		}})
	}
	if t.output == "" {
		fmt.Fprintf(t.Out, "%s: %s.%s\n", name, show.Line(started.Message), takes)
	}
	began := t.Now()
	a, err := t.await(ctx, name, u.timeout, "waiting for a pod", func(a autoscaler.Application) (bool, error) {
		if a.State == autoscaler.ApplicationStateAsleep && t.Now().Sub(began) > time.Second {
			return false, &outcome{unfinished, fmt.Sprintf("%s sleeps again: %s", name, t.lastWord(a))}
		}
		return a.State == autoscaler.ApplicationStateAwake, nil
	})
	if err != nil {
		return err
	}
	return t.print(view{a, func(w io.Writer) {
		fmt.Fprintf(w, "%s is awake after %s, with %s.\n", name, show.Duration(t.Now().Sub(began)), show.Count(int(a.ReadyReplicas), "pod", "pods"))
	}})
}

func (t *tool) sleepIt(ctx context.Context, said string, u until) error {
	name, err := t.applicationOf(ctx, said)
	if err != nil {
		return err
	}
	answer, err := t.nemesis.Sleep(ctx, name)
	if err != nil {
		return err
	}
	if !u.wait || answer.State == autoscaler.ApplicationStateAsleep {
		return t.print(view{answer, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %s. It is %s.\n", name, show.Line(answer.Message), stateInWords(answer.State))
		}})
	}
	if t.output == "" {
		fmt.Fprintf(t.Out, "%s: %s.\n", name, show.Line(answer.Message))
	}
	began := t.Now()
	falling := answer.State == autoscaler.ApplicationStateFallingAsleep
	a, err := t.await(ctx, name, u.timeout, "waiting until the load balancers have agreed", func(a autoscaler.Application) (bool, error) {
		if falling && a.State == autoscaler.ApplicationStateAwake {
			return false, &outcome{unfinished, fmt.Sprintf("%s goes on: %s", name, cmp.Or(t.lastWord(a), "it was called off"))}
		}
		falling = falling || a.State == autoscaler.ApplicationStateFallingAsleep
		return a.State == autoscaler.ApplicationStateAsleep, nil
	})
	if err != nil {
		return err
	}
	return t.print(view{a, func(w io.Writer) { fmt.Fprintf(w, "%s sleeps after %s.\n", name, show.Duration(t.Now().Sub(began))) }})
}

// applicationOf is the application that is meant, by its Deployment.
func (t *tool) applicationOf(ctx context.Context, said string) (client.Name, error) {
	name, err := t.nemesis.NameOf(said)
	if err != nil {
		return name, err
	}
	a, err := t.nemesis.Application(ctx, name)
	return client.Of(a), err
}

// await looks at an application until it is as it should be.
func (t *tool) await(ctx context.Context, name client.Name, timeout time.Duration, what string, is func(autoscaler.Application) (bool, error)) (autoscaler.Application, error) {
	p := t.progress(what)
	defer p.end()
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last autoscaler.Application
	for {
		a, err := t.nemesis.Application(limited, name)
		if err == nil {
			last = a
			if done, err := is(a); done || err != nil {
				return a, err
			}
		} else if limited.Err() == nil && !passing(err) {
			return a, err
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return last, ctx.Err()
			}
			return last, &outcome{unfinished, fmt.Sprintf("%s is %s after %s%s", name, stateInWords(last.State), show.Duration(timeout), because(last, t.Now()))}
		case <-time.After(t.Pace):
		}
	}
}

// because is what keeps an application as it is.
func because(a autoscaler.Application, now time.Time) string {
	if faults := troubles(a, now); len(faults) > 0 {
		return ": " + faults[0]
	}
	if a.LastDecision != nil {
		return ": " + a.LastDecision.Summary
	}
	return ""
}

func stateInWords(s autoscaler.ApplicationState) string {
	switch s {
	case autoscaler.ApplicationStateAsleep:
		return "asleep"
	case autoscaler.ApplicationStateWaking:
		return "waking"
	case autoscaler.ApplicationStateAwake:
		return "awake"
	case autoscaler.ApplicationStateFallingAsleep:
		return "falling asleep"
	default:
		return "in an unknown state"
	}
}
