package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func TestRun_TheCommittedDefinitionIsTheOneOfTheContract(t *testing.T) {
	out := filepath.Join(t.TempDir(), "crd.yaml")
	if err := run("../../../api/autoscaler.yaml", "CustomAutoscaler", out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../../../kustomize/base/crd/customautoscalers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("kustomize/base/crd/customautoscalers.yaml is out of date: run make generate")
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
