package scalinglog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
)

var (
	shop = accesslog.Application{Namespace: "default", Deployment: "shop"}
	noon = time.Date(2026, 3, 4, 12, 0, 0, 5e6, time.UTC)
	from = Origin{Balancer: "lb-1", Version: "1.2", Namespace: "default"}
)

func TestDecision_IsAnEntryWithItsReasons(t *testing.T) {
	age := 1.5
	entry, err := from.Decision(Decision{
		ID: "01-shop-17", Time: noon, Application: shop, From: 1, To: 3, Trigger: "Threshold", Applied: true, Result: "applied", TraceID: "4bf9", Summary: "1 → 3: busy",
		Reasons: []Reason{
			{Rule: "CPU", Effect: "Wish", Replicas: 3, Message: "busy", Inputs: []Input{{Name: "cpu", Value: 900, Unit: "m", AgeSeconds: &age}}},
			{Rule: "MaxReplicas", Effect: "Clamp", Replicas: 3, Message: "is 5"}, {Rule: "CPU", Effect: "Note", Replicas: 3, Message: "again"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, entry, `{"create":{"_index":"logs-nemesis.scaling-default","_id":"decision.01-shop-17"}}`, `{
		"@timestamp": "2026-03-04T12:00:00.005Z", "message": "default/shop: 1 → 3: busy", "ecs": {"version": "9.0.0"},
		"data_stream": {"type": "logs", "dataset": "nemesis.scaling", "namespace": "default"},
		"host": {"name": "autoscaler-controller"}, "service": {"name": "autoscaler-controller"},
		"event": {"kind": "event", "category": ["configuration"], "type": ["change"], "action": "decision", "outcome": "success", "dataset": "nemesis.scaling",
			"id": "decision.01-shop-17", "reason": "1 → 3: busy"},
		"kubernetes": {"namespace": "default", "deployment": {"name": "shop"}}, "trace": {"id": "4bf9"},
		"nemesis": {"application": "default/shop", "replicas": 3, "decision": {
			"id": "01-shop-17", "trigger": "Threshold", "from": 1, "to": 3, "applied": true, "result": "applied", "summary": "1 → 3: busy", "rules": ["CPU", "MaxReplicas"],
			"reasons": [
				{"rule": "CPU", "effect": "Wish", "replicas": 3, "message": "busy", "inputs": [{"name": "cpu", "value": 900, "unit": "m", "age_seconds": 1.5}]},
				{"rule": "MaxReplicas", "effect": "Clamp", "replicas": 3, "message": "is 5"}, {"rule": "CPU", "effect": "Note", "replicas": 3, "message": "again"}]}}}`)
}

func TestDecision_IsTheSameWhoeverWritesIt(t *testing.T) {
	d := Decision{ID: "1", Time: noon, Application: shop, From: 1, Summary: "1 → 0", Error: "conflict"}
	other := from
	other.Balancer, other.Version = "lb-2", "1.3"
	one, _ := from.Decision(d)
	two, _ := other.Decision(d)
	if !bytes.Equal(one, two) {
		t.Errorf("%s\n%s", one, two)
	}
	if !strings.Contains(string(one), `"outcome":"failure"`) || strings.Contains(string(one), `"trace"`) || strings.Contains(string(one), `"result"`) || !strings.Contains(string(one), `"to":0`) {
		t.Errorf("%s", one)
	}
}

func TestWakeUp_IsAnEntryWithItsPhases(t *testing.T) {
	entry, err := from.WakeUp(WakeUp{
		Application: shop, ID: "4bf92f", ArrivedAt: noon, StartCalledAt: noon.Add(1500 * time.Microsecond), FirstByteAt: noon.Add(2 * time.Second), Pod: "shop-1", Waited: 4, Answered: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	action, _, _ := bytes.Cut(entry, []byte("\n"))
	id := strings.TrimSuffix(strings.TrimPrefix(string(action), `{"create":{"_index":"logs-nemesis.scaling-default","_id":"`), `"}}`)
	check(t, entry, string(action), fmt.Sprintf(`{
		"@timestamp": "2026-03-04T12:00:00.005Z", "message": "default/shop: wake-up answered, 4 waited", "ecs": {"version": "9.0.0"},
		"data_stream": {"type": "logs", "dataset": "nemesis.scaling", "namespace": "default"},
		"host": {"name": "lb-1"}, "service": {"name": "load-balancer", "version": "1.2", "node": {"name": "lb-1"}},
		"event": {"kind": "event", "category": ["process"], "type": ["start"], "action": "wakeup", "outcome": "success", "dataset": "nemesis.scaling", "id": %q,
			"start": "2026-03-04T12:00:00.005Z", "end": "2026-03-04T12:00:02.005Z", "duration": 2000000000},
		"kubernetes": {"namespace": "default", "deployment": {"name": "shop"}, "pod": {"name": "shop-1"}}, "trace": {"id": "4bf92f"},
		"nemesis": {"application": "default/shop", "wakeup": {"id": "4bf92f", "outcome": "answered", "waited": 4, "start_called": {"ms": 1.5}, "first_byte": {"ms": 2000}}}}`, id))
	other, _ := from.WakeUp(WakeUp{Application: accesslog.Application{Namespace: "default", Deployment: "other"}, ID: "4bf92f"})
	if bytes.HasPrefix(other, action) {
		t.Error("two applications that one request woke have the same id")
	}
	later, _ := from.WakeUp(WakeUp{Application: shop, ID: "4bf92f", ArrivedAt: noon.Add(time.Minute)})
	if bytes.HasPrefix(later, action) {
		t.Error("two wake-ups by requests of one trace have the same id")
	}
	failed, _ := from.WakeUp(WakeUp{Application: shop, ID: "x", ArrivedAt: noon})
	if !strings.Contains(string(failed), `"outcome":"failure"`) || strings.Contains(string(failed), `"end"`) || strings.Contains(string(failed), "pod") {
		t.Errorf("%s", failed)
	}
}

// check compares an entry with its two lines, whatever the order and the spaces of the second.
func check(t *testing.T, entry []byte, action, document string) {
	t.Helper()
	lines := strings.Split(string(entry), "\n")
	if len(lines) != 3 || lines[2] != "" || lines[0] != action {
		t.Fatalf("entry = %q", entry)
	}
	var got, want any
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(document), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChange_IsAnEntryWithWhoAndWhat(t *testing.T) {
	entry, err := from.Change(Change{
		ID: "ep-17", Time: noon, Who: "jane", Operation: "patchCustomAutoscaler", Namespace: "default", Resource: "customautoscalers/default/shop", Status: 200, Made: true,
		Before: map[string]any{"idleTime": 90}, After: map[string]any{"idleTime": 60},
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, entry, `{"create":{"_index":"logs-nemesis.scaling-default","_id":"change.ep-17"}}`, `{
		"@timestamp": "2026-03-04T12:00:00.005Z", "message": "jane: patchCustomAutoscaler customautoscalers/default/shop, made", "ecs": {"version": "9.0.0"},
		"data_stream": {"type": "logs", "dataset": "nemesis.scaling", "namespace": "default"},
		"host": {"name": "autoscaler-controller"}, "service": {"name": "autoscaler-controller"}, "user": {"name": "jane"},
		"event": {"kind": "event", "category": ["configuration"], "type": ["change"], "action": "change", "outcome": "success", "dataset": "nemesis.scaling", "id": "change.ep-17"},
		"kubernetes": {"namespace": "default"},
		"nemesis": {"change": {"id": "ep-17", "operation": "patchCustomAutoscaler", "resource": "customautoscalers/default/shop", "status": 200, "result": "made",
			"before": {"idleTime": 90}, "after": {"idleTime": 60}}}}`)
	refused, err := from.Change(Change{ID: "ep-18", Time: noon, Who: "olga", Operation: "putBalancerSettings", Resource: "loadbalancer/settings", Status: 403, Reason: "olga may not"})
	if err != nil {
		t.Fatal(err)
	}
	check(t, refused, `{"create":{"_index":"logs-nemesis.scaling-default","_id":"change.ep-18"}}`, `{
		"@timestamp": "2026-03-04T12:00:00.005Z", "message": "olga: putBalancerSettings loadbalancer/settings, refused: olga may not", "ecs": {"version": "9.0.0"},
		"data_stream": {"type": "logs", "dataset": "nemesis.scaling", "namespace": "default"},
		"host": {"name": "autoscaler-controller"}, "service": {"name": "autoscaler-controller"}, "user": {"name": "olga"},
		"event": {"kind": "event", "category": ["configuration"], "type": ["denied"], "action": "change", "outcome": "failure", "dataset": "nemesis.scaling", "id": "change.ep-18",
			"reason": "olga may not"},
		"nemesis": {"change": {"id": "ep-18", "operation": "putBalancerSettings", "resource": "loadbalancer/settings", "status": 403, "result": "refused"}}}`)
}

func TestPlace_OfChangesTakesThoseThatCameLate(t *testing.T) {
	p := NewPlace[Change](time.Time{})
	var kept []string
	keep := func(c Change) bool { kept = append(kept, c.ID); return true }
	p.Keep([]Change{{ID: "2", Time: noon}}, keep)
	if late := noon.Add(-10 * time.Minute); p.Since().After(late) {
		t.Errorf("what a replica could not tell for ten minutes is not asked for: since %v", p.Since())
	}
	p.Keep([]Change{{ID: "2", Time: noon}, {ID: "1", Time: noon.Add(-10 * time.Minute)}}, keep)
	if got := strings.Join(kept, " "); got != "2 1" || !p.Last().Equal(noon) {
		t.Errorf("kept %s, until %v", got, p.Last())
	}
}

func TestName_HoldsWhatIdsAreMadeOf(t *testing.T) {
	if got := name("decision.a\"b\nc/ü-1_2"); got != "decision.a_b_c__-1_2" {
		t.Errorf("name = %q", got)
	}
	if got := name(strings.Repeat("x", 1000)); len(got) != maxID {
		t.Errorf("%d characters", len(got))
	}
}

func at(seconds ...int) []Decision {
	var all []Decision
	for _, s := range seconds {
		all = append(all, Decision{ID: fmt.Sprint(s), Time: noon.Add(time.Duration(s) * time.Second)})
	}
	return all
}

func TestPlace_TakesEachDecisionOnceAndInOrder(t *testing.T) {
	var kept []string
	keep := func(d Decision) bool { kept = append(kept, d.ID); return true }
	p := NewPlace[Decision](time.Time{})
	if !p.Since().IsZero() {
		t.Errorf("at first it asks since %v", p.Since())
	}
	p.Keep(at(3, 2, 1), keep)
	p.Keep(at(3, 2, 1), keep)
	if want := noon.Add(3*time.Second - overlap); !p.Since().Equal(want) {
		t.Errorf("since %v, want %v", p.Since(), want)
	}
	late := at(9, 3)
	late = slices.Insert(late, 1, Decision{ID: "late", Time: noon.Add(2500 * time.Millisecond)}) // made beside 3, told after
	p.Keep(late, keep)
	next := []Decision{{ID: "slow", Time: noon.Add(-40 * time.Second)}} // of a leader whose clock is behind
	if p.Since().After(next[0].Time) {
		t.Errorf("what a slow clock wrote is not asked for: since %v", p.Since())
	}
	p.Keep(next, keep)
	p.Keep(at(200), keep)
	if got := strings.Join(kept, " "); got != "1 2 3 late 9 slow 200" {
		t.Errorf("kept %s", got)
	}
	if len(p.seen) != 1 {
		t.Errorf("it remembers %v", p.seen)
	}
}

func TestPlace_AsksAgainForWhatWasNotKept(t *testing.T) {
	var kept []string
	room := 2
	keep := func(d Decision) bool {
		if room == 0 {
			return false
		}
		room--
		kept = append(kept, d.ID)
		return true
	}
	p := NewPlace[Decision](noon)
	p.Keep(at(40, 30, 20, 10), keep)
	if !p.Last().Equal(noon.Add(20 * time.Second)) {
		t.Errorf("it is at %v", p.Last())
	}
	room = 10
	p.Keep(at(40, 30, 20), keep)
	if got := strings.Join(kept, " "); got != "10 20 30 40" {
		t.Errorf("kept %s", got)
	}
}
