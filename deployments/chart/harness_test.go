package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/yaml"
)

const (
	kustomizeFolder = "../../kustomize"
	chartFolder     = "../../charts/nemesis"
)

func load(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// parse reads values, or whatever is YAML.
func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var values map[string]any
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

func production(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(chartFolder, "values-production.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// template makes what helm template would: files by their path, of values that come one over the other, the last one wins.
func template(t *testing.T, namespace string, values ...string) (map[string]string, error) {
	t.Helper()
	c := load(t)
	merged := map[string]any{}
	for _, text := range values {
		merged = chartutil.MergeTables(parse(t, text), merged)
	}
	options := chartutil.ReleaseOptions{Name: "nemesis", Namespace: namespace, Revision: 1, IsInstall: true}
	full, err := chartutil.ToRenderValues(c, merged, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, full)
}

var separator = regexp.MustCompile(`(?m)^---$`)

// helm are the objects of the chart, in the namespace and of these values.
func helm(t *testing.T, namespace string, values ...string) objects {
	t.Helper()
	files, err := template(t, namespace, values...)
	if err != nil {
		t.Fatal(err)
	}
	found := objects{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(path, ".yaml") {
			continue
		}
		for _, document := range separator.Split(files[path], -1) {
			if strings.TrimSpace(document) == "" {
				continue
			}
			if err := found.add([]byte(document)); err != nil {
				t.Fatalf("%s: %v\n%s", path, err, document)
			}
		}
	}
	return found
}

// at is what stands at a path of keys and of names or indices in lists, or nil.
func at(value any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

// container is the one of a Deployment, DaemonSet or Job.
func container(o object) any { return at(o, "spec", "template", "spec", "containers", 0) }

// env is a container's environment, by name; what is not a plain value is a map.
func env(o object) map[string]any {
	found := map[string]any{}
	list, _ := at(container(o), "env").([]any)
	for _, item := range list {
		name, _ := at(item, "name").(string)
		if value, plain := at(item, "value").(string); plain {
			found[name] = value
		} else {
			found[name] = at(item, "valueFrom")
		}
	}
	return found
}
