package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// inSpool counts how often a text stands in the spool.
func inSpool(t *testing.T, dir, text string) int {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range segments {
		content, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(string(content), text)
	}
	return n
}

func TestScaling_DecisionsAndWakeUpsAreLogged(t *testing.T) {
	controller, server := newFakeController(t)
	sleeper(controller, "fib", "/fib", pod(t, says("hello")), nil)
	began := time.Now()
	decided := func(id string, after time.Duration) {
		d := autoscaler.Decision{
			Id: id, Time: began.Add(after), Namespace: "default", Deployment: "fib", From: 0, To: 1, Trigger: "StartCall", Applied: true, Summary: "0 → 1: somebody waits",
			Result: new(autoscaler.DecisionResultApplied), Reasons: []autoscaler.Reason{{Rule: "StartCall", Effect: "Wish", Replicas: 1, Message: "somebody waits"}},
		}
		controller.mu.Lock()
		defer controller.mu.Unlock()
		controller.decisions = append([]autoscaler.Decision{d}, controller.decisions...)
	}
	decided("d-1", -time.Hour)
	controller.edits = []autoscaler.Change{{
		Id: "c-1", Time: began, Who: "jane", Operation: "patchCustomAutoscaler", Namespace: new("default"), Resource: "customautoscalers/default/fib", Status: 200,
		Result: autoscaler.ChangeMade, Before: &map[string]any{"idleTime": 90}, After: &map[string]any{"idleTime": 60},
	}}
	dir := t.TempDir()
	there := func(s *app.Settings) { s.LogSpoolDir = dir }

	b := boot(t, server.URL, there)
	get(t, client(t), b.url+"/fib")
	testwait.Until(t, "the wake-up is in the log", func() bool { return inSpool(t, dir, `"action":"wakeup"`) == 1 })
	testwait.Until(t, "the decision is in the log", func() bool { return inSpool(t, dir, `"_id":"decision.d-1"`) == 1 })
	if inSpool(t, dir, `"result":"applied"`) != 1 || inSpool(t, dir, `"effect":"Wish"`) != 1 {
		t.Error("the decision is not whole")
	}
	testwait.Until(t, "what somebody changed is in the log", func() bool { return inSpool(t, dir, `"_id":"change.c-1"`) == 1 })
	if inSpool(t, dir, `"before":{"idleTime":90}`) != 1 || inSpool(t, dir, `"user":{"name":"jane"}`) != 1 {
		t.Error("the change is not whole")
	}
	testwait.Until(t, "the place is kept", func() bool { _, err := os.Stat(filepath.Join(dir, "decisions")); return err == nil })
	b.stop()
	err := <-b.ended
	b.ended <- err

	decided("d-2", 0)
	boot(t, server.URL, there)
	testwait.Until(t, "what was decided meanwhile is in the log", func() bool { return inSpool(t, dir, `"_id":"decision.d-2"`) == 1 })
	// The last one may be told again, by each start once; the index keeps it once.
	if n := inSpool(t, dir, `"_id":"decision.d-1"`); n > 2 {
		t.Errorf("the decision of before is there %d times", n)
	}
}
