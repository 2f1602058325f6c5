package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func TestRun_TheCommittedDefinitionsAreThoseOfTheContract(t *testing.T) {
	for schema, committed := range map[string]string{"CustomAutoscaler": "customautoscalers.yaml", "ClaimPolicy": "claimpolicies.yaml"} {
		out := filepath.Join(t.TempDir(), "crd.yaml")
		if err := run("../../../api/autoscaler.yaml", schema, out); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile("../../../kustomize/base/crd/" + committed)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("kustomize/base/crd/%s is out of date: run make generate", committed)
		}
	}
}

func TestRun_ScopeAndStatusAreTheSchemas(t *testing.T) {
	for schema, want := range map[string][]bool{"CustomAutoscaler": {true, true}, "ClaimPolicy": {false, false}} {
		out := filepath.Join(t.TempDir(), "crd.yaml")
		if err := run("../../../api/autoscaler.yaml", schema, out); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if got := []bool{strings.Contains(text, "scope: Namespaced"), strings.Contains(text, "subresources:")}; got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s: namespaced and with a status %v, want %v", schema, got, want)
		}
		if strings.Contains(text, "null") {
			t.Errorf("%s says null:\n%s", schema, text)
		}
	}
}

func TestStructural_RefusesWhatTheClusterCannotCheck(t *testing.T) {
	for name, s := range map[string]*openapi3.Schema{
		"oneOf":       {OneOf: openapi3.SchemaRefs{{Value: openapi3.NewStringSchema()}}},
		"bare object": openapi3.NewObjectSchema(),
	} {
		if _, err := structural(s, "spec.x"); err == nil || !strings.HasPrefix(err.Error(), "spec.x:") {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

func TestRun_NamesWhatIsMissing(t *testing.T) {
	err := run("../../../api/autoscaler.yaml", "Nope", filepath.Join(t.TempDir(), "x"))
	if err == nil || !strings.Contains(err.Error(), "Nope") {
		t.Errorf("err = %v", err)
	}
}
