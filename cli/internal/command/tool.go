package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
)

// Streams are what the command line has of its surroundings.
type Streams struct {
	In                                   io.Reader
	Out, Err                             io.Writer
	Env                                  func(string) string
	Now                                  func() time.Time
	Pace                                 time.Duration // how often is looked for what was asked for
	OutTerminal, ErrTerminal, InTerminal bool
}

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// tool is what all verbs share.
type tool struct {
	Streams
	options client.Options
	output  string
	nemesis *client.Nemesis

	// Of the verbs that have these flags.
	watch bool
	every time.Duration
	all   bool
}

// begin makes ready what every verb needs; nothing is asked yet.
func (t *tool) begin(cmd *cobra.Command) error {
	if allowed := outputsOf(cmd); t.output != "" && !slices.Contains(allowed, t.output) {
		last := len(allowed) - 1
		return &client.UsageError{Message: fmt.Sprintf("--output %s is not allowed: %s or %s", t.output, strings.Join(allowed[:last], ", "), allowed[last])}
	}
	if t.watch {
		if err := t.paced(); err != nil {
			return err
		}
	}
	if t.options.Token == "" && !cmd.Flags().Changed("token") && t.options.ServiceAccount == "" {
		t.options.Token = t.Env("NEMESIS_TOKEN") // never a default, which the help would print
	}
	var err error
	t.nemesis, err = client.New(t.options)
	return err
}

// outputs is the annotation of a verb that has other outputs than most, with blanks between.
const outputs = "outputs"

// outputsOf are what --output may be.
func outputsOf(cmd *cobra.Command) []string {
	return strings.Fields(cmp.Or(cmd.Annotations[outputs], "json yaml wide"))
}

// paced refuses to look all the time.
func (t *tool) paced() error {
	const least = 100 * time.Millisecond
	if t.every < least {
		return &client.UsageError{Message: fmt.Sprintf("--interval %s is not allowed: at least %s", t.every, least)}
	}
	return nil
}

// within refuses a number that is not from 1 to most.
func within(flag string, n, most int) error {
	if n < 1 || n > most {
		return &client.UsageError{Message: fmt.Sprintf("%s %d is not allowed: from 1 to %d", flag, n, most)}
	}
	return nil
}

// coloured has colours for a terminal alone, and not where somebody does not want them (no-color.org).
func (t *tool) coloured(terminal bool) show.Palette {
	return show.Palette(terminal && t.Env("NO_COLOR") == "" && t.Env("TERM") != "dumb")
}

func (t *tool) palette() show.Palette { return t.coloured(t.OutTerminal) }

// paint is for what is written beside the answer.
func (t *tool) paint(tone show.Tone, text string) string {
	return t.coloured(t.ErrTerminal).Paint(tone, text)
}

// wide tells whether more is asked for than fits most screens.
func (t *tool) wide() bool { return t.output == "wide" }

// view is an answer: as it came, and as people read it.
type view struct {
	value any
	text  func(io.Writer)
}

// print shows an answer once.
func (t *tool) print(v view) error {
	text, err := t.render(v, false)
	if err != nil {
		return err
	}
	_, err = t.Out.Write(text)
	return err
}

// render is an answer in the form that was asked for; on one line where it is one of many.
func (t *tool) render(v view, oneLine bool) ([]byte, error) {
	var b bytes.Buffer
	switch t.output {
	case "json":
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if !oneLine {
			e.SetIndent("", "  ")
		}
		err := e.Encode(v.value)
		return b.Bytes(), err
	case "yaml":
		text, err := yaml.Marshal(v.value)
		if oneLine {
			b.WriteString("---\n")
		}
		b.Write(text)
		return b.Bytes(), err
	default:
		v.text(&b)
		return b.Bytes(), nil
	}
}

// show asks and shows, once or, with --watch, again and again until somebody has seen enough: on a terminal in place,
// elsewhere the lines that are new; as JSON and YAML each answer that is another one.
func (t *tool) show(ctx context.Context, ask func(context.Context) (view, error)) error {
	p := t.progress("asking")
	v, err := ask(ctx)
	p.end()
	if err != nil {
		return err
	}
	if !t.watch {
		return t.print(v)
	}
	w := watching{t: t}
	for {
		if err == nil {
			err = w.show(v)
		}
		switch {
		case ctx.Err() != nil: // the next thing ends it
		case err != nil && !passing(err):
			return err
		case err != nil:
			fmt.Fprintln(t.Err, t.paint(show.Bad, "nemesis:"), err)
		}
		select {
		case <-ctx.Done():
			return nil // that is how a watch ends
		case <-time.After(t.every):
		}
		v, err = ask(ctx)
	}
}

// passing tells whether a fault may be over the next time.
func passing(err error) bool {
	code := exitCode(context.Background(), err)
	return code == unreachable || client.Status(err) == 429
}

// watching knows what was shown last.
type watching struct {
	t     *tool
	last  []byte
	lines map[string]bool
}

func (w *watching) show(v view) error {
	text, err := w.t.render(v, true)
	if err != nil || bytes.Equal(text, w.last) {
		return err
	}
	w.last = text
	switch {
	case w.t.output == "json" || w.t.output == "yaml":
	case w.t.OutTerminal:
		text = append([]byte("\x1b[H\x1b[2J\x1b[3J"), text...)
	default:
		text = w.fresh(text)
	}
	_, err = w.t.Out.Write(text)
	return err
}

// fresh are the lines that were not there before.
func (w *watching) fresh(text []byte) []byte {
	var fresh []byte
	seen := map[string]bool{}
	for line := range bytes.Lines(text) {
		if seen[string(line)] = true; !w.lines[string(line)] {
			fresh = append(fresh, line...)
		}
	}
	w.lines = seen
	return fresh
}

// watchFlags are those of verbs that can go on.
func (t *tool) watchFlags(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVarP(&t.watch, "watch", "w", false, "go on, and show what changes")
	c.Flags().DurationVar(&t.every, "interval", 2*time.Second, "with --watch, how often is looked")
	return c
}

// allFlag is that of verbs that can look at all namespaces.
func (t *tool) allFlag(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVarP(&t.all, "all-namespaces", "A", false, "all namespaces that you may see")
	return c
}

// namespace is the one that a list is about; empty: all.
func (t *tool) namespace() string {
	if t.all {
		return ""
	}
	return t.nemesis.Namespace()
}

func listed(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// value is what a pointer leads to, or nothing.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

// ifKnown is a number in words, or nothing.
func ifKnown(n *float64, words func(float64) string) string {
	if n == nil {
		return ""
	}
	return words(*n)
}

// sortedKeys are the keys of a map in their order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
