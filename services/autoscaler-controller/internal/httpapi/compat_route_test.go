package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// asJSON is a value as it goes over the wire, checked against its schema.
func asJSON(t *testing.T, value any, schema string) map[string]any {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	spec, err := autoscaler.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Components.Schemas[schema].Value.VisitJSON(out); err != nil {
		t.Errorf("%s: %v", raw, err)
	}
	return out
}

func TestRoute_TellsWhatBecomesOfRequests(t *testing.T) {
	r := fleet.Route{
		Key: key, Autoscaler: "fib", State: fleet.Waking, WakeUpTimeout: 2 * time.Minute,
		Address:   fleet.Address{Prefix: "/fib", StripPrefix: true, H2C: true},
		Waiting:   fleet.Waiting{StartTimeout: time.Minute, BusyTimeout: 7 * time.Second, While: "Page"},
		Uncounted: []fleet.UncountedRequest{{Paths: []string{"/healthz"}, StatusWhileAsleep: 200}, {UserAgents: []string{"kube-probe/"}, StatusWhileAsleep: 503}},
		Blocked:   fleet.Blocked{Reason: "ErrImagePull", Message: strings.Repeat("ä", 2000), Since: long},
	}
	got := asJSON(t, route(&r, long), "Route")
	message, _ := got["blocked"].(map[string]any)["message"].(string)
	if n := len([]rune(message)); n != 1024 {
		t.Errorf("the message has %d characters", n)
	}
	delete(got["blocked"].(map[string]any), "message")
	want := map[string]any{
		"namespace": "default", "deployment": "fib", "autoscaler": "fib", "apiPrefix": "/fib", "hosts": []any{}, "state": "Waking",
		"containerConcurrency": 0.0, "wakeUpTimeoutSeconds": 120.0, "startTimeoutSeconds": 60.0, "busyTimeoutSeconds": 7.0, "whileWaiting": "Page",
		"stripPrefix": true, "rewriteAnswers": false, "protocol": "h2c", "endpoints": []any{},
		"uncountedRequests": []any{
			map[string]any{"paths": []any{"/healthz"}, "statusWhileAsleep": 200.0}, map[string]any{"userAgents": []any{"kube-probe/"}, "statusWhileAsleep": 503.0},
		},
		"blocked": map[string]any{"reason": "ErrImagePull", "since": long.UTC().Format(time.RFC3339Nano)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRoute_LeavesOutWhatNobodySaid(t *testing.T) {
	got := asJSON(t, route(&fleet.Route{Key: key, Autoscaler: "fib", State: fleet.Asleep, WakeUpTimeout: time.Minute, Address: fleet.Address{Prefix: "/"}}, long), "Route")
	for _, name := range []string{"startTimeoutSeconds", "busyTimeoutSeconds", "whileWaiting", "uncountedRequests", "blocked", "expectedStartSeconds"} {
		if value, ok := got[name]; ok {
			t.Errorf("%s is %v", name, value)
		}
	}
	if got["protocol"] != "http/1.1" {
		t.Errorf("protocol %v", got["protocol"])
	}
}

func TestRoute_TellsWhatIsLeftOfALease(t *testing.T) {
	got := asJSON(t, route(&fleet.Route{
		Key: key, Autoscaler: "fib", State: fleet.FallingAsleep, WakeUpTimeout: time.Minute, Address: fleet.Address{Prefix: "/"},
		AsleepUntil: long.Add(2500 * time.Millisecond),
		Endpoints: []fleet.Endpoint{
			{Pod: "a", Address: "10.0.0.1:80", Ready: true, DrainsUntil: long.Add(20 * time.Second)},
			{Pod: "b", Address: "10.0.0.2:80", Ready: true, DrainsUntil: long},
			{Pod: "c", Address: "10.0.0.3:80", Ready: true},
		},
	}, long), "Route")
	if got["drainLeaseSeconds"] != 2.5 {
		t.Errorf("the lease of the application is %v", got["drainLeaseSeconds"])
	}
	var said []any
	for _, e := range got["endpoints"].([]any) {
		e := e.(map[string]any)
		said = append(said, e["draining"], e["drainLeaseSeconds"])
	}
	if diff := cmp.Diff([]any{true, 20.0, nil, nil, nil, nil}, said); diff != "" {
		t.Errorf("the pods (-want +got):\n%s", diff)
	}
}

func TestStartResponse_SaysHowFarItIsAndWhatBlocksIt(t *testing.T) {
	got := asJSON(t, startResponse(fleet.Started{
		State: fleet.Waking, Replicas: 1, Elapsed: 1500 * time.Millisecond, Message: "m", Blocked: fleet.Blocked{Reason: "PodsRefused", Message: "exceeded quota", Since: long},
	}), "StartResponse")
	want := map[string]any{
		"state": "Waking", "replicas": 1.0, "scaled": false, "message": "m", "elapsedStartSeconds": 1.5,
		"blocked": map[string]any{"reason": "PodsRefused", "message": "exceeded quota", "since": long.UTC().Format(time.RFC3339Nano)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRoute_TellsHowPodsAreChosen(t *testing.T) {
	running, cache := 3.0, .25
	r := fleet.Route{
		Key: key, State: fleet.Awake, WakeUpTimeout: time.Minute, Address: fleet.Address{Prefix: "/llm", Algorithm: "ModelAware", Hash: fleet.HashOn{MCPSession: true}},
		Endpoints: []fleet.Endpoint{{Pod: "a", Address: "10.0.0.1:80", Load: &fleet.Load{Running: &running, CacheUsage: &cache, At: long}}, {Pod: "b", Address: "10.0.0.2:80"}},
	}
	got := asJSON(t, route(&r, long), "Route")
	if diff := cmp.Diff(map[string]any{"mcpSession": true}, got["consistentHash"]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	endpoints, _ := got["endpoints"].([]any)
	first, _ := endpoints[0].(map[string]any)
	second, _ := endpoints[1].(map[string]any)
	want := map[string]any{"running": 3.0, "cacheUsage": .25, "at": long.UTC().Format(time.RFC3339Nano)}
	if diff := cmp.Diff(want, first["load"]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if load, told := second["load"]; told {
		t.Errorf("nothing is known of b, and told is %v", load)
	}
}

func TestRoute_TellsFurtherAddresses(t *testing.T) {
	got := asJSON(t, route(&fleet.Route{
		Key: key, Autoscaler: "fib", State: fleet.Awake, WakeUpTimeout: time.Minute,
		Address: fleet.Address{Prefix: "/api", AlsoAt: []fleet.Place{
			{Prefix: "/ui", Hosts: []string{"ui.example"}, StripPrefix: true}, {Prefix: "/pb.Models", H2C: true, RewriteAnswers: true, Service: "fib.default.svc:90"},
		}},
		Endpoints: []fleet.Endpoint{{Pod: "a", Address: "10.0.0.1:80", AlsoAt: []string{"10.0.0.1:81", ""}}, {Pod: "b", Address: "10.0.0.2:80"}},
	}, long), "Route")
	want := []any{
		map[string]any{"apiPrefix": "/ui", "hosts": []any{"ui.example"}, "stripPrefix": true, "rewriteAnswers": false, "protocol": "http/1.1"},
		map[string]any{"apiPrefix": "/pb.Models", "hosts": []any{}, "stripPrefix": false, "rewriteAnswers": true, "protocol": "h2c", "serviceAddress": "fib.default.svc:90"},
	}
	if diff := cmp.Diff(want, got["alsoAt"]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	endpoints, _ := got["endpoints"].([]any)
	if diff := cmp.Diff([]any{"10.0.0.1:81", ""}, endpoints[0].(map[string]any)["alsoAt"]); diff != "" || endpoints[1].(map[string]any)["alsoAt"] != nil {
		t.Errorf("the pods (-want +got)\n%s%v", diff, endpoints[1])
	}
}

func TestRoute_TellsWhatIsLeftOfAChecksDelay(t *testing.T) {
	check := fleet.Probe{Port: 80, Timeout: time.Second, Delay: 15 * time.Second, Started: long.Add(-5 * time.Second), Successes: 3, Period: 10 * time.Second}
	over, plain := check, fleet.Probe{Port: 80, Timeout: time.Second, Successes: 1}
	over.Started = long.Add(-time.Hour)
	got := asJSON(t, route(&fleet.Route{
		Key: key, Autoscaler: "fib", State: fleet.Waking, WakeUpTimeout: time.Minute, Address: fleet.Address{Prefix: "/"},
		Endpoints: []fleet.Endpoint{{Pod: "a", Address: "10.0.0.1:80", Probes: []fleet.Probe{check, over, plain}}},
	}, long), "Route")
	var said []any
	for _, p := range got["endpoints"].([]any)[0].(map[string]any)["probes"].([]any) {
		p := p.(map[string]any)
		said = append(said, p["delaySeconds"], p["successThreshold"], p["periodSeconds"])
	}
	if diff := cmp.Diff([]any{10.0, 3.0, 10.0, nil, 3.0, 10.0, nil, nil, nil}, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
