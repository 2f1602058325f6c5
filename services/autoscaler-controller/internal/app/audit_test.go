package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/changes"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
)

func auditing() (a *audit, lines func() []string, registry *prometheus.Registry) {
	var out bytes.Buffer
	registry = prometheus.NewRegistry()
	a = newAudit(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelError})), registry, "ep")
	now := time.Unix(1000, 0)
	a.now = func() time.Time { return now }
	return a, func() []string { return strings.Split(strings.TrimSpace(out.String()), "\n") }, registry
}

func TestAudit_IsALineOfJSONWhateverTheLevel(t *testing.T) {
	a, all, registry := auditing()
	a.Changed(t.Context(), httpapi.Change{
		Who: "jane\n\"", Operation: "putBalancerSettings", Resource: "loadbalancer/settings", Status: 200,
		Before: json.RawMessage(`{"max_connections":1}`), After: json.RawMessage(`{"max_connections":2}`),
	})
	a.Changed(t.Context(), httpapi.Change{Who: "olga", Operation: "deleteCustomAutoscaler", Namespace: "shop", Resource: "customautoscalers/shop/cart", Status: 403, Reason: "olga may not"})
	lines := all()
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), lines)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || line["msg"] != "audit" || line["who"] != "jane\n\"" || line["status"] != 200.0 || line["id"] != "ep-1" {
		t.Errorf("%v %v", line, err)
	}
	for _, want := range []string{`"before":{"max_connections":1}`, `"after":{"max_connections":2}`, `"operation":"putBalancerSettings"`, `"resource":"loadbalancer/settings"`} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("%s lacks %s", lines[0], want)
		}
	}
	if strings.Contains(lines[1], "before") || strings.Contains(lines[1], "after") || !strings.Contains(lines[1], `"reason":"olga may not"`) {
		t.Errorf("what is not known is said, or why is not: %s", lines[1])
	}
	got := series(t, registry)
	for _, want := range []string{"nemesis_changes_total operation=putBalancerSettings result=made", "nemesis_changes_total operation=deleteCustomAutoscaler result=refused"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if kept := a.book.Last(func(*changes.Change) bool { return true }, 10); len(kept) != 2 || kept[0].ID != "ep-1" || kept[1].Namespace != "shop" {
		t.Errorf("to be shipped: %+v", kept)
	}
}

func TestAudit_NamesWhoIsRefusedAtAPaceForEach(t *testing.T) {
	a, all, registry := auditing()
	refuse := func(operation, who string, code fault.Code, times int) {
		for range times {
			a.Refused(context.WithoutCancel(t.Context()), guard.Refusal{Operation: operation, Namespace: "bank", Who: who, Pod: "pod-of-" + who, Code: code, Why: who + " may not"})
		}
	}
	refuse("startApplication", "olga", fault.Forbidden, 50)
	refuse("listPods", "omar", fault.TooMany, 1)
	refuse("listPods", "", fault.Forbidden, 1)                // nobody
	refuse("listPods", "jane", fault.Unavailable, 1)          // nobody could say
	refuse("putBalancerSettings", "jane", fault.Forbidden, 2) // a change
	refuse("deleteCustomAutoscaler", "jane", fault.TooMany, 1)
	lines := strings.Join(all(), "\n")
	for want, n := range map[string]int{
		`"msg":"refused","who":"olga","operation":"startApplication","status":403,"reason":"olga may not","pod":"pod-of-olga","namespace":"bank"`: refusals.Burst,
		`"msg":"refused","who":"omar","operation":"listPods","status":429`:                                                                        1,
		`"msg":"refused"`: refusals.Burst + 1,
		`"who":"jane","operation":"putBalancerSettings","resource":"loadbalancer/settings","status":403,"reason":"jane may not"`:     2,
		`"who":"jane","operation":"deleteCustomAutoscaler","resource":"customautoscalers/bank","status":429,"reason":"jane may not"`: 1,
		`"msg":"audit"`: 3,
	} {
		if got := strings.Count(lines, want); got != n {
			t.Errorf("%d lines, want %d, of %s in\n%s", got, n, want, lines)
		}
	}
	if got, want := values(t, registry), fmt.Sprintf("nemesis_refusals_unnamed_total %d", 50-refusals.Burst); !strings.Contains(got, want) {
		t.Errorf("no %s in\n%s", want, got)
	}
	if kept := a.book.Last(func(*changes.Change) bool { return true }, 10); len(kept) != 3 || kept[0].Namespace != "bank" && kept[2].Namespace != "bank" {
		t.Errorf("to be shipped: %+v", kept)
	}
	for i := range 2 * refusalCallers {
		a.Refused(t.Context(), guard.Refusal{Operation: "listPods", Who: fmt.Sprint(i), Code: fault.Forbidden})
	}
	if a.paces.Len() != refusalCallers {
		t.Errorf("%d callers are known", a.paces.Len())
	}
}

// values are the counters of a registry without labels.
func values(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			all = append(all, fmt.Sprintf("%s %g", f.GetName(), m.GetCounter().GetValue()))
		}
	}
	return strings.Join(all, "\n")
}
