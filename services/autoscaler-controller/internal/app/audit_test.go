package app

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
)

func TestAudit_IsALineOfJSONWhateverTheLevel(t *testing.T) {
	var out bytes.Buffer
	registry := prometheus.NewRegistry()
	a := newAudit(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelError})), registry)
	a.Changed(t.Context(), httpapi.Change{Who: "jane\n\"", Operation: "putBalancerSettings", Resource: "loadbalancer/settings", Status: 200, Before: map[string]int{"max_connections": 1}, After: map[string]int{"max_connections": 2}})
	a.Changed(t.Context(), httpapi.Change{Who: "olga", Operation: "deleteCustomAutoscaler", Resource: "customautoscalers/shop/cart", Status: 403})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || line["msg"] != "audit" || line["who"] != "jane\n\"" || line["status"] != 200.0 {
		t.Errorf("%v %v", line, err)
	}
	for _, want := range []string{`"before":{"max_connections":1}`, `"after":{"max_connections":2}`, `"operation":"putBalancerSettings"`, `"resource":"loadbalancer/settings"`} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("%s lacks %s", lines[0], want)
		}
	}
	if strings.Contains(lines[1], "before") || strings.Contains(lines[1], "after") {
		t.Errorf("what is not known is said: %s", lines[1])
	}
	got := series(t, registry)
	for _, want := range []string{"nemesis_changes_total operation=putBalancerSettings result=made", "nemesis_changes_total operation=deleteCustomAutoscaler result=refused"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}
