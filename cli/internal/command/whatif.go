package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// supposed is what would be decided now: as it is, and with what is supposed.
type supposed struct {
	Now autoscaler.Decision `json:"now"`
	If  autoscaler.Decision `json:"if"`
}

func (t *tool) whatIf(ctx context.Context, name client.Name, with []string) (view, error) {
	a, err := t.nemesis.Application(ctx, name)
	if err != nil {
		return view{}, err
	}
	object, err := t.nemesis.Autoscaler(ctx, client.Name{Namespace: a.Namespace, Name: a.Autoscaler})
	if err != nil {
		return view{}, err
	}
	other, err := suppose(object.Spec, with)
	if err != nil {
		return view{}, err
	}
	name = client.Of(a)
	var s supposed
	if s.Now, err = t.nemesis.Preview(ctx, name, object.Spec); err != nil {
		return view{}, err
	}
	if s.If, err = t.nemesis.Preview(ctx, name, other); err != nil {
		return view{}, err
	}
	return view{s, func(w io.Writer) {
		p := t.palette()
		fmt.Fprintf(w, "%s %s\n", p.Paint(show.Faint, "As it is:"), show.Line(s.Now.Summary))
		fmt.Fprintf(w, "%s %s\n", p.Paint(show.Faint, "With "+show.Line(strings.Join(with, ", "))+":"), p.Paint(show.Strong, show.Line(s.If.Summary)))
		t.reasons(w, s.If)
		fmt.Fprintln(w, p.Paint(show.Faint, "Nothing was changed."))
	}}, nil
}

// suppose is a spec with fields changed, each as path=value, where the value is YAML.
func suppose(spec autoscaler.CustomAutoscalerSpec, with []string) (autoscaler.CustomAutoscalerSpec, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return spec, err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return spec, err
	}
	for _, one := range with {
		path, said, ok := strings.Cut(one, "=")
		var v any
		if err := yaml.Unmarshal([]byte(said), &v); !ok || path == "" || err != nil {
			return spec, &client.UsageError{Message: fmt.Sprintf("--if %s is not allowed: write field=value, as idleTime=60 or behavior.scaleDown.selectPolicy=Disabled", one)}
		}
		put(fields, strings.Split(strings.TrimPrefix(path, "spec."), "."), v)
	}
	if text, err = json.Marshal(fields); err != nil {
		return spec, err
	}
	var other autoscaler.CustomAutoscalerSpec
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&other); err != nil {
		return spec, &client.UsageError{Message: fmt.Sprintf("--if %s: %s", strings.Join(with, " --if "), strings.TrimPrefix(err.Error(), "json: "))}
	}
	return other, known(other, with)
}

// known refuses fields that were not taken for what they were meant to be: JSON in Go overlooks capitals.
func known(spec autoscaler.CustomAutoscalerSpec, with []string) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	for _, one := range with {
		path, said, _ := strings.Cut(one, "=")
		var in any
		if err := json.Unmarshal(text, &in); err != nil {
			return err
		}
		for name := range strings.SplitSeq(strings.TrimPrefix(path, "spec."), ".") {
			fields, _ := in.(map[string]any)
			if in = fields[name]; in == nil && said != "null" && said != "" {
				return &client.UsageError{Message: fmt.Sprintf("--if %s: there is no field %s: names are written as in the CustomAutoscaler", one, name)}
			}
		}
	}
	return nil
}

// put sets a field, or takes it out.
func put(in map[string]any, path []string, v any) {
	if len(path) > 1 {
		inner, ok := in[path[0]].(map[string]any)
		if !ok {
			inner = map[string]any{}
		}
		put(inner, path[1:], v)
		in[path[0]] = inner
		return
	}
	if v == nil {
		delete(in, path[0])
		return
	}
	in[path[0]] = v
}
