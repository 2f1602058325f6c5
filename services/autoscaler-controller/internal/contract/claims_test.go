package contract

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadClaimRules(t *testing.T) {
	object := map[string]any{"spec": map[string]any{"rules": []any{
		map[string]any{"from": map[string]any{"namespaces": "All"}},
		map[string]any{"hosts": []any{"*.example"}, "prefixes": []any{"/shop"}, "from": map[string]any{"namespaces": "Names", "names": []any{"a", "b"}}},
		map[string]any{"from": map[string]any{"namespaces": "Selector", "selector": map[string]any{
			"matchLabels":      map[string]any{"team": "x"},
			"matchExpressions": []any{map[string]any{"key": "stage", "operator": "In", "values": []any{"test"}}, map[string]any{"key": "k", "operator": "Exists"}},
		}}},
		map[string]any{"from": map[string]any{"namespaces": "Selector"}},
		map[string]any{"prefixes": []any{"/later"}, "from": map[string]any{"namespaces": "FromAnotherVersion"}},
	}}}
	want := []ClaimRule{
		{All: true},
		{Hosts: []string{"*.example"}, Prefixes: []string{"/shop"}, Names: []string{"a", "b"}},
		{Selector: &Selector{Labels: map[string]string{"team": "x"}, Expressions: []Expression{{"stage", "In", []string{"test"}}, {"k", "Exists", nil}}}},
		{Selector: &Selector{}},
		{Prefixes: []string{"/later"}},
	}
	got, err := ReadClaimRules(object)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, spec := range []any{"text", map[string]any{"rules": "all"}, map[string]any{"rules": []any{map[string]any{"hosts": 5}}}} {
		if rules, err := ReadClaimRules(map[string]any{"spec": spec}); err == nil || len(rules) > 0 {
			t.Errorf("of %v it reads %v", spec, rules)
		}
	}
	if rules, err := ReadClaimRules(map[string]any{}); err != nil || len(rules) > 0 {
		t.Errorf("without a spec: %v, %v", rules, err)
	}
}
