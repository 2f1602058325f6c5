package command

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/check"
	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/redact"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/pkg/build"
)

// The bounds of a bundle: lines of each log, and bytes of each part.
const (
	logLines  = 2000
	partLimit = 32 << 20
)

func support(t *tool) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "support", GroupID: cares,
		Short: "A bundle for whoever helps you, without secrets",
		Long: `Writes an archive (tar.gz) with what check found, the applications, the last decisions, the settings, what the load balancers know, and of the
namespace of Nemesis its Deployments, pods, events, Leases and the last lines of its logs. Of requests there is nothing but counts. What looks like
a secret is taken out: values of fields and variables of such names, tokens, keys, passwords in addresses. Look into it before you give
it away: names of namespaces, applications and nodes are in it, and who asked for what.

What you may not see is left out, and said in errors.txt.`,
		Example: "  nemesis support --file nemesis-support.tar.gz",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				file = "nemesis-support-" + t.Now().UTC().Format("20060102-150405") + ".tar.gz"
			}
			p := t.progress("gathering")
			defer p.end()
			out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // it is the person's own to name
			if err != nil {
				return &client.UsageError{Message: fmt.Sprintf("--file: %v", err)}
			}
			parts, err := t.bundle(cmd.Context(), out)
			if err = errors.Join(err, out.Close()); err != nil {
				_ = os.Remove(file)
				return err
			}
			return t.print(view{map[string]any{"file": file, "parts": parts}, func(w io.Writer) {
				fmt.Fprintf(w, "%s, with %s: %s\n", file, show.Count(len(parts), "part", "parts"), strings.Join(parts, ", "))
			}})
		},
	}
	c.Flags().StringVar(&file, "file", "", "the `file` to write, which must not be there; left out, one named after the time")
	must(c.MarkFlagFilename("file", "gz"))
	return c
}

// part is one file of a bundle.
type part struct {
	name string
	read func(context.Context) ([]byte, error)
}

// bundle writes all that can be seen.
func (t *tool) bundle(ctx context.Context, out io.Writer) ([]string, error) {
	packed := gzip.NewWriter(out)
	archive := tar.NewWriter(packed)
	var names, faults []string
	add := func(name string, text []byte) error {
		names = append(names, name)
		if err := archive.WriteHeader(&tar.Header{Name: "nemesis-support/" + name, Mode: 0o600, Size: int64(len(text)), ModTime: t.Now()}); err != nil {
			return err
		}
		_, err := archive.Write(text)
		return err
	}
	for _, p := range append(t.ownParts(), t.clusterParts(ctx)...) {
		text, err := p.read(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			faults = append(faults, p.name+": "+err.Error())
			continue
		}
		if strings.HasSuffix(p.name, ".json") {
			text = redact.JSON(text)
		} else {
			text = []byte(redact.Text(string(text)))
		}
		if err := add(p.name, text); err != nil {
			return nil, err
		}
	}
	if len(faults) > 0 {
		if err := add("errors.txt", []byte(redact.Text(strings.Join(faults, "\n")+"\n"))); err != nil {
			return nil, err
		}
	}
	return names, errors.Join(archive.Close(), packed.Close())
}

// asJSON is a part of what somebody answers.
func asJSON[T any](name string, read func(context.Context) (T, error)) part {
	return part{name, func(ctx context.Context) ([]byte, error) {
		v, err := read(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(v)
	}}
}

// ownParts are what Nemesis itself says.
func (t *tool) ownParts() []part {
	n := t.nemesis
	return []part{
		{"version.txt", func(context.Context) ([]byte, error) { return []byte(build.Line("nemesis") + "\n"), nil }},
		asJSON("check.json", func(ctx context.Context) ([]check.Finding, error) { return check.Look(t.facts(ctx)), nil }),
		asJSON("applications.json", func(ctx context.Context) (any, error) { return n.Applications(ctx, "", "") }),
		asJSON("decisions.json", func(ctx context.Context) (any, error) {
			all, _, err := n.Decisions(ctx, client.Decisions{AtMost: 1000})
			return all, err
		}),
		asJSON("settings.json", func(ctx context.Context) (any, error) { return n.Settings(ctx) }),
		asJSON("balancers.json", func(ctx context.Context) (any, error) {
			all, _, err := n.Balancers(ctx)
			states := make([]any, 0, len(all))
			for _, b := range all {
				state, failed := b.State(ctx, client.Name{})
				if failed != nil {
					return nil, failed
				}
				states = append(states, state)
			}
			return states, err
		}),
	}
}

// clusterParts are what the API server says of the namespace of Nemesis, and of the CustomAutoscalers.
func (t *tool) clusterParts(ctx context.Context) []part {
	paths := map[string]string{
		"customautoscalers.json": "/apis/autoscaler-group.autoscaler/v1alpha1/customautoscalers?limit=1000",
		"deployments.json":       t.ofSystem("/apis/apps/v1", "deployments"),
		"pods.json":              t.ofSystem("/api/v1", "pods"),
		"events.json":            t.ofSystem("/api/v1", "events?limit=1000"),
		"leases.json":            t.ofSystem("/apis/coordination.k8s.io/v1", "leases"),
		"networkpolicies.json":   t.ofSystem("/apis/networking.k8s.io/v1", "networkpolicies"),
		"kubernetes.json":        "/version",
	}
	var all []part
	for _, name := range sortedKeys(paths) {
		all = append(all, t.rawPart(name, paths[name]))
	}
	pods, err := t.podFacts(ctx)
	if err != nil {
		return all // errors.txt has it, of pods.json
	}
	for _, p := range pods {
		all = append(all, t.rawPart("logs/"+p.Name+".txt", t.ofSystem("/api/v1", fmt.Sprintf("pods/%s/log?tailLines=%d&limitBytes=%d", p.Name, logLines, partLimit))))
	}
	return all
}

func (t *tool) rawPart(name, path string) part {
	return part{name, func(ctx context.Context) ([]byte, error) {
		body, _, err := t.nemesis.Raw(ctx, path, partLimit)
		return body, err
	}}
}
