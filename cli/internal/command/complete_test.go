package command

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// completed is what a shell is offered for a line, each with what is said of it.
func (w *world) completed(t *testing.T, line ...string) []string {
	t.Helper()
	return w.completedAs(t, append([]string{"nemesis", cobra.ShellCompRequestCmd}, line...))
}

func (w *world) completedAs(t *testing.T, args []string) []string {
	t.Helper()
	var out, errs strings.Builder
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	env := map[string]string{"NEMESIS_CONTROLLER": w.controller.URL, "NEMESIS_TOKEN": "jane's"}
	if code := Main(t.Context(), args, Streams{Out: &out, Err: &errs, Env: func(k string) string { return env[k] }, Now: func() time.Time { return now }}); code != done {
		t.Errorf("%v: exit code %d: %s", args, code, errs.String())
	}
	offered, directive, found := strings.Cut(out.String(), ":")
	if !found || strings.TrimSpace(directive) != "4" { // no files
		t.Errorf("%v: %s", args, out.String())
	}
	return slices.Collect(strings.Lines(offered))
}

func TestCompletion_OfNames(t *testing.T) {
	w := newWorld(t)
	other := awake()
	other.Namespace, other.Deployment = "stock", "cart-stock"
	w.apps = []autoscaler.Application{asleep(), awake(), broken(), other}
	for _, c := range []struct {
		line []string
		want []string
	}{
		{[]string{"status", "-n", "shop", ""}, []string{"search\tAsleep\n", "cart\tAwake\n", "broken\tAsleep\n"}},
		{[]string{"why", "-n", "shop", "ca"}, []string{"cart\tAwake\n"}},
		{[]string{"wake", "stock/"}, []string{"stock/cart-stock\tAwake\n"}},
		{[]string{"sleep", "-n", "shop", "nothing"}, nil},
		{[]string{"status", "-n", "shop", "cart", ""}, nil}, // there is one
		{[]string{"status", "-n", "s"}, []string{"shop\n", "stock\n"}},
		{[]string{"status", "-o", ""}, []string{"json\n", "yaml\n", "wide\n"}},
		{[]string{"adopt", "-o", ""}, outputLines(t, "adopt")},
	} {
		if got := w.completed(t, c.line...); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.line, got, c.want)
		}
	}
}

// outputLines are what -o of a verb may be.
func outputLines(t *testing.T, verb string) []string {
	t.Helper()
	c, _, err := Root().Find([]string{verb})
	if err != nil {
		t.Fatal(err)
	}
	all := outputsOf(c)
	for i := range all {
		all[i] += "\n"
	}
	return all
}

// kubectl looks for a program of this name to complete its plugin.
func TestCompletion_OfThePlugin(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{awake()}
	want := []string{"cart\tAwake\n"}
	if got := w.completedAs(t, []string{"/usr/local/bin/kubectl_complete-nemesis", "status", "-n", "shop", "c"}); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Without an answer nothing is offered, and the shell is told so.
func TestCompletion_NobodyAnswers(t *testing.T) {
	w := newWorld(t)
	w.controller.Close()
	var out, errs strings.Builder
	env := map[string]string{"NEMESIS_CONTROLLER": w.controller.URL, "NEMESIS_TOKEN": "jane's"}
	code := Main(t.Context(), []string{"nemesis", cobra.ShellCompRequestCmd, "status", "c"}, Streams{Out: &out, Err: &errs, Env: func(k string) string { return env[k] }, Now: func() time.Time { return now }})
	if code != done || out.String() != ":5\n" {
		t.Errorf("exit code %d: %q", code, out.String())
	}
}

func TestCompletion_ScriptsOfShellsAreThere(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var out, errs strings.Builder
		code := Main(t.Context(), []string{"nemesis", "completion", shell}, Streams{Out: &out, Err: &errs, Env: func(string) string { return "" }, Now: func() time.Time { return now }})
		if code != done || !strings.Contains(out.String(), "nemesis") || errs.Len() > 0 {
			t.Errorf("%s: exit code %d: %s", shell, code, errs.String())
		}
	}
}
