// Command chart writes the generated part of the Helm chart charts/nemesis: what kustomize makes of kustomize/, an
// object a file, the CustomResourceDefinition, and the table of values in its README.
//
//	go run ./chart                # writes ../charts/nemesis
//
// The objects of the chart are kustomize's own: its templates take them from these files and fill in what values
// say, so that a change of a manifest is a change of both. What a template cannot take over (a component that changes
// something, in place of adding to it) is refused here, and the tests compare what Helm and kustomize make of
// each component and overlay. The library is Helm 3's: the chart is of the format that 3 and 4 both read.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("chart", flag.ExitOnError)
	from := flags.String("kustomize", filepath.Join("..", "kustomize"), "the folder of the manifests")
	chart := flags.String("chart", filepath.Join("..", "charts", "nemesis"), "the folder of the chart")
	_ = flags.Parse(args) // it exits by itself
	files, err := generated(*from)
	if err != nil {
		return err
	}
	if files["README.md"], err = readme(*chart); err != nil {
		return err
	}
	// What is no longer made must go.
	if err := os.RemoveAll(filepath.Join(*chart, "manifests")); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(*chart, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // it is committed, for all to read
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}

// source is a part of kustomize/, and where in manifests/ what it makes is kept.
type source struct {
	folder    string
	resources []string // below kustomize/
	component string   // on top of them; kept is what it adds
	below     []string // likewise: what these make is not kept again
	// byValues are objects, as kind/name or the beginning of it, that the templates make from values alone, and which.
	byValues map[string]string
}

var bases = []string{"base/autoscaler-controller", "base/load-balancer"}

var sources = []source{
	{folder: "autoscaler-controller", resources: []string{"base/autoscaler-controller"}},
	{folder: "load-balancer", resources: []string{"base/load-balancer"}},
	{folder: "roles", resources: []string{"base/crd"}},
	{
		folder: "production", below: append([]string{"base/namespace"}, bases...),
		resources: []string{"overlays/production/namespace", "overlays/production/autoscaler-controller", "overlays/production/load-balancer"},
		byValues: map[string]string{
			"Deployment/autoscaler-controller": "values-production.yaml", "Deployment/load-balancer": "values-production.yaml",
			"Service/autoscaler-controller": "webhook.enabled, as all that follows", "Role/autoscaler-controller-webhook": "", "RoleBinding/autoscaler-controller-webhook": "",
			"ClusterRole/nemesis-autoscaler-controller-webhook": "", "ClusterRoleBinding/nemesis-autoscaler-controller-webhook": "",
			"MutatingWebhookConfiguration/": "", "ValidatingWebhookConfiguration/": "",
		},
	},
	{folder: "servicemonitor", component: "servicemonitor"},
	{folder: "alerts", component: "alerts"},
	{folder: "grafana-dashboards", component: "grafana-dashboards"},
	{folder: "collector", component: "collector"},
	{folder: "data-tls", component: "data-tls"},
	{folder: "webhook", component: "webhook"},
	{folder: "elasticsearch", component: "elasticsearch-existing"},
	{folder: "elasticsearch-egress", component: "elasticsearch-egress"},
	{folder: "sharding", component: "sharding", byValues: map[string]string{
		"Deployment/autoscaler-controller": "shards, replicas, resources", "ConfigMap/nemesis-sharding": "shards",
	}},
	{folder: "otlp", component: "otlp", byValues: map[string]string{
		"Deployment/": "otlp.endpoint", "ConfigMap/nemesis-otlp": "otlp.endpoint",
	}},
}

func (s source) isByValues(id string) bool {
	for prefix := range s.byValues {
		if strings.HasPrefix(id, prefix) {
			return true
		}
	}
	return false
}

// generated are the files of the chart that come from kustomize/, by their path in the chart.
func generated(kustomize string) (map[string][]byte, error) {
	files := map[string][]byte{}
	var faults []error
	for _, s := range sources {
		if err := s.into(files, kustomize); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", s.folder, err))
		}
	}
	return files, errors.Join(faults...)
}

func (s source) into(files map[string][]byte, kustomize string) error {
	var before objects
	var err error
	resources, from := s.resources, strings.Join(s.resources, ", ")
	below := s.below
	if s.component != "" {
		resources, below, from = bases, bases, "components/"+s.component
	}
	if len(below) > 0 {
		if before, err = render(kustomize, overlay{Resources: below}); err != nil {
			return err
		}
	}
	over := overlay{Resources: resources}
	if s.component != "" {
		over.Components = []string{"components/" + s.component}
	}
	after, err := render(kustomize, over)
	if err != nil {
		return err
	}
	for _, id := range after.ids() {
		object := after[id]
		kind, name, _ := strings.Cut(id, "/")
		file := fmt.Sprintf("manifests/%s/%s-%s.yaml", s.folder, strings.ToLower(kind), name)
		switch old, there := before[id]; {
		case kind == "CustomResourceDefinition":
			file = "crds/" + strings.SplitN(name, ".", 2)[0] + ".yaml"
		case s.isByValues(id) || there && equal(old, object):
			continue
		case there:
			if object, err = added(old, object); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			file = fmt.Sprintf("manifests/%s/adds-%s-%s.yaml", s.folder, strings.ToLower(kind), name)
		}
		untag(object)
		raw, err := encode(object)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		files[file] = append(fmt.Appendf(nil, "# Generated from kustomize/%s by deployments/chart. Change it there; make generate writes it.\n", from), raw...)
	}
	return nil
}

// readme is the chart's README with the table of its values, between the two marks.
func readme(chart string) ([]byte, error) {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml")) //nolint:gosec // the folder is whoever runs it's to name
	if err != nil {
		return nil, err
	}
	table, err := valuesTable(values)
	if err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(chart, "README.md")) //nolint:gosec // as above
	if err != nil {
		return nil, err
	}
	begin, end := []byte("<!-- values -->\n"), []byte("<!-- /values -->")
	before, rest, ok := bytes.Cut(text, begin)
	_, after, closed := bytes.Cut(rest, end)
	if !ok || !closed {
		return nil, fmt.Errorf("README.md has no %q and %q to put the values between", bytes.TrimSpace(begin), end)
	}
	return bytes.Join([][]byte{before, begin, table, end, after}, nil), nil
}
