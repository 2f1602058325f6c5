package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// A query that compares with a word that nobody writes finds nothing, and looks like good news.
// These are where the words come from.
func TestQueries_CompareWithWordsThatAreWritten(t *testing.T) {
	words := map[string][]string{
		"nemesis.wakeup.outcome":  lower(enumerated(t, "components", "schemas", "WakeUpOutcome")),
		"nemesis.decision.result": enumerated(t, "components", "schemas", "Decision", "properties", "result"),
		"error.type":              quoted(t, "accesslog"),
		"event.action":            quoted(t, "scalinglog"),
		"service.name":            quoted(t, "accesslog"),
		"data_stream.dataset":     {strings.TrimSuffix(strings.TrimPrefix(access.pattern, "logs-"), "-*"), strings.TrimSuffix(strings.TrimPrefix(scaling.pattern, "logs-"), "-*")},
	}
	compared := map[string]bool{}
	for _, l := range drawnLayers(t) {
		for _, q := range l.queries() {
			c, err := parseKQL(q)
			if err != nil {
				t.Fatal(err)
			}
			c.each(func(one condition) {
				if list, ok := words[one.field]; ok && one.value != "*" {
					compared[one.field] = true
					if !slices.Contains(list, one.value) {
						t.Errorf("%s: %s is never %q; it is one of %q", l.name, one.field, one.value, list)
					}
				} else if regexp.MustCompile(`^[^*0-9]`).MatchString(one.value) && one.value != "true" && one.value != "false" {
					t.Errorf("%s: where is it written that %s can be %q?", l.name, one.field, one.value)
				}
			})
		}
	}
	if len(compared) != len(words) {
		t.Errorf("of %v only %v are compared", words, compared)
	}
}

func contract(t *testing.T) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "api", "autoscaler.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var api map[string]any
	if err := yaml.Unmarshal(raw, &api); err != nil {
		t.Fatal(err)
	}
	return api
}

func enum(t *testing.T, schema any) (out []string) {
	t.Helper()
	list, _ := schema.(map[string]any)["enum"].([]any)
	for _, one := range list {
		out = append(out, one.(string))
	}
	if len(out) < 2 {
		t.Fatalf("no words in %v", schema)
	}
	return out
}

// enumerated are the words of a schema of the controller's contract.
func enumerated(t *testing.T, path ...string) []string {
	t.Helper()
	var at any = contract(t)
	for _, name := range path {
		at = at.(map[string]any)[name]
	}
	return enum(t, at)
}

// lower is how the words of wake-ups are written in documents.
func lower(words []string) (out []string) {
	for _, w := range words {
		out = append(out, strings.ToLower(w))
	}
	return out
}

// quoted are the words in quotes in the source of one of the balancer's packages.
func quoted(t *testing.T, name string) (out []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(templates, "..", "..", name, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"([a-z-]+)"`).FindAllStringSubmatch(string(raw), -1) {
			out = append(out, m[1])
		}
	}
	return out
}
