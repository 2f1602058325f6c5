package rights

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// contract are the operations of api/loadbalancer.yaml, and of each whether it asks for no token.
func contract(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "..", "api", "loadbalancer.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Security []map[string][]string
		Paths    map[string]map[string]any
	}
	if err := yaml.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	if len(spec.Security) == 0 {
		t.Error("by itself an operation asks for no token")
	}
	open := map[string]bool{}
	for _, item := range spec.Paths {
		for method, operation := range item {
			if !slices.Contains([]string{"get", "put", "post", "patch", "delete", "head", "options", "trace"}, method) {
				continue
			}
			o := operation.(map[string]any)        //nolint:forcetypeassert // else the contract is none
			security, own := o["security"].([]any) // else that of the whole
			id, ok := o["operationId"].(string)
			if !ok {
				t.Errorf("an operation has no operationId: %v", o)
			}
			open[id] = own && len(security) == 0
		}
	}
	return open
}

func TestOperations_AreThoseOfTheContract(t *testing.T) {
	all := contract(t)
	if len(all) < 12 {
		t.Fatalf("the contract is not read: %v", all)
	}
	for id, open := range all {
		r, ok := Of(id)
		if !ok {
			t.Errorf("nothing says who may call %s", id)
		}
		if open != (r.Kind == Open) {
			t.Errorf("%s: open to everybody in the contract %v, here %+v", id, open, r)
		}
	}
	for id := range Operations() {
		if _, ok := all[id]; !ok {
			t.Errorf("%s has a row, and is no operation", id)
		}
	}
	if _, ok := Of(""); ok {
		t.Error("what is no operation has a right")
	}
}

func TestOperations_AskForSomethingUnlessTheyAreOpen(t *testing.T) {
	for id, r := range Operations() {
		if (r.Kind == Open) != (r.Verb == "") || (r.Verb == "") != (r.Resource == "") {
			t.Errorf("%s: %+v", id, r)
		}
		if writes := !strings.HasPrefix(id, "get") && !strings.HasPrefix(id, "list"); writes && (r.Verb == "get" || r.Verb == "list") {
			t.Errorf("%s changes something, and wants only %s", id, r.Verb)
		}
		if id == "getMetrics" && r.String() != "get /metrics" || id == "putSettings" && r.String() != "update customautoscalers/settings.autoscaler-group.autoscaler" {
			t.Errorf("%s: %s", id, r)
		}
	}
}
