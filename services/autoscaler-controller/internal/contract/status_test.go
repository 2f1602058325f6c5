package contract

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

var day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func record(at time.Duration, applied bool, summary string, reasons ...scaling.Reason) *fleet.Record {
	return &fleet.Record{ID: "e-1", Time: day.Add(at), Applied: applied, Decision: scaling.Decision{Summary: summary, Reasons: reasons}}
}

func TestNewStatus_KeepsTheDecisionThatChangedSomething(t *testing.T) {
	write := func(stored Status, last *fleet.Record) Status {
		return again(t, NewStatus(Standing{Generation: 1}, []fleet.Target{{Name: "app", State: fleet.Awake, Last: last}}, stored, day))
	}
	stored := write(Status{}, record(0, false, "stays at 0: nothing waits"))
	for _, step := range []struct {
		last *fleet.Record
		want string
	}{
		{record(time.Second, true, "0 → 1: 1 request waits"), "0 → 1: 1 request waits"},
		{record(2*time.Second, false, "stays at 1: not idle for 90 s"), "0 → 1: 1 request waits"},
		{nil, "0 → 1: 1 request waits"},
		{record(3*time.Second, false, "stays at 1: held", scaling.Reason{Effect: scaling.Hold}), "stays at 1: held"},
		{record(4*time.Second, false, "stays at 1: not idle for 90 s"), "stays at 1: not idle for 90 s"},
	} {
		if stored = write(stored, step.last); value(stored.said.Message, "") != step.want {
			t.Errorf("message %q, want %q", value(stored.said.Message, ""), step.want)
		}
	}
}

func TestNewStatus_ADecisionIsShort(t *testing.T) {
	r := record(0, false, "stays at 1", scaling.Reason{Rule: "Start", Effect: scaling.Hold})
	r.Key, r.From, r.To, r.Wished, r.Trigger, r.Error, r.TraceID = fleet.Key{Namespace: "ns", Deployment: "app"}, 1, 1, 2, scaling.ByMetric, "quota", "4bf9"
	raw, err := json.Marshal(NewStatus(Standing{}, []fleet.Target{{Name: "app", Last: r}}, Status{}, day).target("app").LastDecision)
	want := `{"applied":false,"error":"quota","from":1,"id":"e-1","result":"failed","summary":"stays at 1","time":"2026-01-02T03:04:05Z","to":1,"traceId":"4bf9","trigger":"Threshold"}`
	if err != nil || string(raw) != want {
		t.Errorf("%v\n%s\n%s", err, raw, want)
	}
}

func TestNewStatus_ADecisionOfAnOlderControllerIsKeptInShort(t *testing.T) {
	var stored map[string]any
	if err := json.Unmarshal([]byte(`{"status": {"targets": [{"name": "app", "state": "Awake", "lastDecision": {"id": "e-1", "time": "2026-01-02T03:04:05.5Z", "namespace": "ns",
		"deployment": "app", "from": 0, "to": 1, "trigger": "StartCall", "applied": true, "summary": "0 → 1: 1 request waits",
		"reasons": [{"rule": "Start", "effect": "Wish", "replicas": 1, "message": "m", "inputs": [{"name": "waiting", "value": 1}]}]}}]}}`), &stored); err != nil {
		t.Fatal(err)
	}
	got := NewStatus(Standing{}, []fleet.Target{{Name: "app", Last: record(time.Second, false, "stays at 1")}}, ReadStatus(stored), day)
	want := &autoscaler.LastDecision{Id: "e-1", Time: day.Add(500 * time.Millisecond), To: 1, Trigger: "StartCall", Applied: true, Summary: "0 → 1: 1 request waits"}
	if diff := cmp.Diff(want, got.target("app").LastDecision); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if value(got.said.Message, "") != want.Summary {
		t.Errorf("message %q", value(got.said.Message, ""))
	}
}

// Services may go out before the resource, of which the older one asks for more.
func TestForOlderResource_HasAllThatItAsksFor(t *testing.T) {
	s := NewStatus(Standing{}, []fleet.Target{{Name: "app", Last: record(0, true, "0 → 1")}, {Name: "idle"}}, Status{}, day)
	raw, err := json.Marshal(s.ForOlderResource("ns").target("app").LastDecision)
	want := `{"applied":true,"deployment":"app","from":0,"id":"e-1","namespace":"ns","reasons":[],"result":"applied","summary":"0 → 1","time":"2026-01-02T03:04:05Z","to":0,"trigger":""}`
	if err != nil || string(raw) != want {
		t.Errorf("%v\n%s\n%s", err, raw, want)
	}
	if !again(t, s.ForOlderResource("ns")).Covers(again(t, s)) || s.target("app").LastDecision.Reasons != nil {
		t.Error("it would be written again and again")
	}
}

func TestPatch_ClearsWhatIsNoLongerSaid(t *testing.T) {
	message := "m"
	raw, err := Status{}.Patch(Status{autoscaler.CustomAutoscalerStatus{Message: &message}})
	if err != nil || string(raw) != `{"status":{"message":null}}` {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestMerge_OneThatIsNotSoMakesTheWholeNotSo(t *testing.T) {
	got := merge([]fleet.Target{
		{Name: "a", Conditions: []fleet.Condition{{Type: "AbleToScale", OK: true, Message: "fine"}, {Type: "Active", Message: "none"}}},
		{Name: "b", Conditions: []fleet.Condition{{Type: "AbleToScale", Reason: "ScaleFailed", Message: "why"}, {Type: "Active", OK: true, Message: "one"}}},
	})
	want := []fleet.Condition{{Type: "AbleToScale", Reason: "ScaleFailed", Message: "b: why"}, {Type: "Active", OK: true, Message: "b: one"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func so(name string, ok bool, reason string) fleet.Condition {
	return fleet.Condition{Type: name, OK: ok, Reason: reason, Message: reason + "!"}
}

func TestReady_HasTheReasonOfTheFirstThatIsNotSo(t *testing.T) {
	found, able := so("TargetFound", true, "DeploymentFound"), so("AbleToScale", true, "Ready")
	for name, c := range map[string]struct {
		standing Standing
		targets  []fleet.Condition
		want     string
	}{
		"all":                     {Standing{}, []fleet.Condition{found, able, so("Active", false, "Asleep"), so("ThresholdsActive", false, "MetricsMissing")}, "True Ready"},
		"refused":                 {Standing{Refused: []string{"late"}}, []fleet.Condition{so("TargetFound", false, "DeploymentMissing"), able}, "False RouteConflict"},
		"refused for another's":   {Standing{Refused: []string{"late"}, Foreign: true}, []fleet.Condition{so("TargetFound", true, "DeploymentFound"), able}, "False ClaimRefused"},
		"malformed":               {Standing{Malformed: errors.New("bad")}, nil, "False Malformed"},
		"not there":               {Standing{}, []fleet.Condition{so("TargetFound", false, "DeploymentMissing"), so("AbleToScale", false, "DeploymentMissing")}, "False DeploymentMissing"},
		"an unresolved port":      {Standing{}, []fleet.Condition{so("TargetFound", false, "PortUnresolved"), so("AbleToScale", false, "ScaleFailed")}, "False PortUnresolved"},
		"in somebody else's hand": {Standing{}, []fleet.Condition{found, so("AbleToScale", false, "Conflict")}, "False Conflict"},
		"not looked at":           {Standing{}, nil, "False NotSeen"},
	} {
		s := NewStatus(c.standing, []fleet.Target{{Name: "app", Conditions: c.targets}}, Status{}, day)
		got := find(*s.said.Conditions, "Ready")
		if text := string(got.Status) + " " + got.Reason; text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

func TestNewStatus_EachTargetHasItsConditionsSinceTheyAreSo(t *testing.T) {
	write := func(stored Status, a, b bool, generation int64, at time.Duration) Status {
		return again(t, NewStatus(Standing{Generation: generation}, []fleet.Target{
			{Name: "a", Conditions: []fleet.Condition{so("AbleToScale", a, "A")}}, {Name: "b", Conditions: []fleet.Condition{so("AbleToScale", b, "B")}},
		}, stored, day.Add(at)))
	}
	s := write(write(Status{}, true, true, 1, 0), true, false, 2, time.Minute)
	for name, want := range map[string]string{"a": "True A A! 0s", "b": "False B B! 1m0s"} {
		c := find(value(s.target(name).Conditions, nil), "AbleToScale")
		got := strings.Join([]string{string(c.Status), c.Reason, value(c.Message, ""), c.LastTransitionTime.Sub(day).String()}, " ")
		if got != want || value(c.ObservedGeneration, 0) != 2 {
			t.Errorf("%s: %s of %d, want %s", name, got, value(c.ObservedGeneration, 0), want)
		}
	}
	if c := find(*s.said.Conditions, "AbleToScale"); c.Status != "False" || value(c.Message, "") != "b: B!" || !c.LastTransitionTime.Equal(day.Add(time.Minute)) {
		t.Errorf("together %+v", c)
	}
}

func TestNews_OneEventForEachTimeThatAConflictBegins(t *testing.T) {
	able := func(ok bool, reason, message string) []fleet.Condition {
		return []fleet.Condition{{Type: "AbleToScale", OK: ok, Reason: reason, Message: message}}
	}
	free, owned := able(true, "Ready", "fine"), able(false, fleet.ConflictReason, "the HPA a scales it too")
	var stored Status
	write := func(conditions ...[]fleet.Condition) string {
		list := make([]fleet.Target, 0, len(conditions))
		for i, c := range conditions {
			list = append(list, fleet.Target{Name: string(rune('x' + i)), Conditions: c})
		}
		var messages []string
		for _, e := range News(Standing{}, list, stored) {
			messages = append(messages, e.Message)
			if !e.Warning || e.Reason != "Conflict" || e.News.Kind != fleet.Contested || e.News.Deployment+": "+e.News.Message != e.Message {
				t.Errorf("%+v", e)
			}
		}
		stored = again(t, NewStatus(Standing{}, list, stored, day))
		return strings.Join(messages, "; ")
	}
	for i, step := range []struct{ got, want string }{
		{write(free, free), ""},
		{write(free, owned), "y: the HPA a scales it too"},
		{write(free, owned), ""},
		{write(able(false, fleet.ConflictReason, "b does"), owned), "x: b does"},
		{write(able(false, fleet.ConflictReason, "b does"), owned), ""},
		{write(free, free), ""},
		{write(free, owned), "y: the HPA a scales it too"},
		{write(able(false, "ScaleFailed", "why"), owned), ""},
	} {
		if step.got != step.want {
			t.Errorf("step %d: %q, want %q", i, step.got, step.want)
		}
	}
}

func TestNews_ARefusalIsToldOnceForEachReason(t *testing.T) {
	var stored Status
	for i, step := range []struct {
		standing Standing
		want     string
	}{
		{Standing{}, ""},
		{Standing{Refused: []string{"/x is taken"}}, "RouteConflict: /x is taken"},
		{Standing{Refused: []string{"/x is taken"}}, ""},
		{Standing{Refused: []string{"/x is another's"}, Foreign: true}, "ClaimRefused: /x is another's"},
		{Standing{Malformed: errors.New("bad")}, "Malformed: bad"},
		{Standing{}, ""},
		{Standing{Malformed: errors.New("bad")}, "Malformed: bad"},
	} {
		got := ""
		for _, e := range News(step.standing, nil, stored) {
			got += e.Reason + ": " + e.Message
			if e.News.Kind != fleet.Refused || e.News.Message != e.Message {
				t.Errorf("step %d: people are told %+v", i, e.News)
			}
		}
		if got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
		stored = again(t, NewStatus(step.standing, nil, stored, day))
	}
}
