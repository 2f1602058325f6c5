package controller

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// received is a route as it comes over the wire.
func received(t *testing.T, text string) routing.Route {
	t.Helper()
	var r autoscaler.Route
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return route(r)
}

func TestRoute_OfAnOlderControllerHasTheDefaults(t *testing.T) {
	got := received(t, `{"namespace": "default", "deployment": "shop", "autoscaler": "shop", "apiPrefix": "/shop", "hosts": [], "state": "Asleep",
		"containerConcurrency": 0, "wakeUpTimeoutSeconds": 120, "endpoints": []}`)
	want := routing.Route{
		Application: routing.Application{Namespace: "default", Deployment: "shop"}, Prefix: "/shop", Hosts: []string{}, StripPrefix: true, RewriteAnswers: true,
		Protocol: routing.HTTP1, WhileWaiting: routing.Hold, State: routing.Asleep, WakeUpTimeout: 2 * time.Minute,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(routing.Route{}, "Uncounted")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRoute_TakesWhoIsToGoAndForHowLong(t *testing.T) {
	got := received(t, `{"namespace": "default", "deployment": "shop", "autoscaler": "shop", "apiPrefix": "/shop", "hosts": [], "state": "FallingAsleep",
		"containerConcurrency": 0, "wakeUpTimeoutSeconds": 120, "drainLeaseSeconds": 2.5, "endpoints": [
		{"pod": "a", "address": "10.0.0.1:80", "ready": true, "terminating": false, "probeable": false, "probes": [], "draining": true, "drainLeaseSeconds": 30},
		{"pod": "b", "address": "10.0.0.2:80", "ready": true, "terminating": false, "probeable": false, "probes": [], "draining": true},
		{"pod": "c", "address": "10.0.0.3:80", "ready": true, "terminating": false, "probeable": false, "probes": [], "draining": true, "drainLeaseSeconds": 0},
		{"pod": "d", "address": "10.0.0.4:80", "ready": true, "terminating": false, "probeable": false, "probes": [], "draining": false, "drainLeaseSeconds": 30},
		{"pod": "e", "address": "10.0.0.5:80", "ready": true, "terminating": false, "probeable": false, "probes": []}]}`)
	var leases []time.Duration
	for _, e := range got.Endpoints {
		if e.Draining {
			leases = append(leases, e.DrainLease)
		}
	}
	if diff := cmp.Diff([]time.Duration{30 * time.Second, 0, time.Millisecond}, leases); diff != "" || got.AsleepFor != 2500*time.Millisecond {
		t.Errorf("asleep for %v; pods (-want +got)\n%s", got.AsleepFor, diff)
	}
}

func TestTraffic_SaysWhatIsOnThePods(t *testing.T) {
	said := dispatch.Traffic{App: routing.Application{Namespace: "n", Deployment: "d"}, Pods: []dispatch.PodTraffic{{Pod: "a", InFlight: 3, Streaming: 1}}}
	if got := applicationTraffic(&said, true).Pods; got == nil || len(*got) != 1 || (*got)[0].Pod != "a" || (*got)[0].InFlight != 3 || *(*got)[0].Streaming != 1 {
		t.Errorf("got %+v", got)
	}
	if got := applicationTraffic(&said, false).Pods; got != nil {
		t.Errorf("an older controller is told %+v", *got)
	}
	other, none, unsaid := said, said, said
	other.Pods, none.Pods, unsaid.Pods = []dispatch.PodTraffic{{Pod: "b", InFlight: 3, Streaming: 1}}, []dispatch.PodTraffic{}, nil
	for _, t2 := range []dispatch.Traffic{other, none, unsaid} {
		if numbersOf(&t2) == numbersOf(&said) || numbersOf(&none) == numbersOf(&unsaid) {
			t.Errorf("%+v is taken for what was said before", t2.Pods)
		}
	}
}

func TestRoute_TakesWhatIsSaid(t *testing.T) {
	got := received(t, `{"namespace": "default", "deployment": "shop", "autoscaler": "shop", "apiPrefix": "/shop", "hosts": ["shop.example"], "state": "Waking",
		"containerConcurrency": 2, "wakeUpTimeoutSeconds": 120, "startTimeoutSeconds": 90, "busyTimeoutSeconds": 7, "whileWaiting": "Page",
		"stripPrefix": false, "rewriteAnswers": false, "protocol": "h2c", "expectedStartSeconds": 1.5, "serviceAddress": "shop.default.svc:80",
		"uncountedRequests": [{"paths": ["/healthz"], "statusWhileAsleep": 503}, {"userAgents": ["kube-probe/"]}, {}],
		"blocked": {"reason": "ImagePullBackOff", "message": "no such image", "since": "2026-01-02T03:04:05Z"},
		"endpoints": [{"pod": "shop-1", "address": "10.0.0.1:80", "ready": true, "terminating": false, "probeable": true, "probes": []}], "later": 1}`)
	want := routing.Route{
		Application: routing.Application{Namespace: "default", Deployment: "shop"}, Prefix: "/shop", Hosts: []string{"shop.example"},
		Protocol: routing.H2C, WhileWaiting: routing.ShowPage, State: routing.Waking, Concurrency: 2, WakeUpTimeout: 2 * time.Minute,
		StartTimeout: 90 * time.Second, BusyTimeout: 7 * time.Second, ExpectedStart: 1500 * time.Millisecond, ServiceAddress: "shop.default.svc:80",
		Blocked:   routing.Blocked{Reason: "ImagePullBackOff", Message: "no such image", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		Endpoints: []routing.Endpoint{{Pod: "shop-1", Address: "10.0.0.1:80", Ready: true, Probeable: true}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(routing.Route{}, "Uncounted")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, request := range []struct {
		path, agent string
		status      int
	}{{"/healthz", "", 503}, {"/", "kube-probe/1.34", 200}, {"/", "", 0}} {
		if status, _ := got.Uncounted.Match("GET", request.path, request.agent); status != request.status {
			t.Errorf("%s by %q: %d, want %d", request.path, request.agent, status, request.status)
		}
	}
}

func TestRoute_OfANewerControllerDoesNoHarm(t *testing.T) {
	got := received(t, `{"namespace": "n", "deployment": "d", "autoscaler": "a", "apiPrefix": "/", "hosts": [], "state": "Dreaming", "containerConcurrency": 0,
		"wakeUpTimeoutSeconds": 1, "whileWaiting": "Sing", "protocol": "h3", "startTimeoutSeconds": -1, "busyTimeoutSeconds": -1, "endpoints": [],
		"uncountedRequests": [{"paths": ["/x"], "statusWhileAsleep": 418}]}`)
	if got.WhileWaiting != routing.Hold || got.Protocol != routing.HTTP1 || got.StartTimeout != 0 || got.BusyTimeout != 0 {
		t.Errorf("%+v", got)
	}
	if status, ok := got.Uncounted.Match("GET", "/x", ""); !ok || status != 200 {
		t.Errorf("an uncounted request is answered %d, %v", status, ok)
	}
}

func TestStarted_SaysWhatBlocksAndHowFarItIs(t *testing.T) {
	for text, want := range map[string]dispatch.Started{
		`{"state": "Waking", "replicas": 1, "scaled": true, "message": "0 to 1"}`: {Scaled: true, Message: "0 to 1"},
		`{"state": "Waking", "replicas": 1, "scaled": false, "message": "m", "expectedStartSeconds": 40, "elapsedStartSeconds": 12.5,
			"blocked": {"reason": "PodsRefused", "message": "exceeded quota", "since": "2026-01-02T03:04:05Z"}}`: {
			Message: "m", ExpectedStart: 40 * time.Second, Elapsed: 12500 * time.Millisecond,
			Blocked: routing.Blocked{Reason: "PodsRefused", Message: "exceeded quota", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		},
	} {
		var r autoscaler.StartResponse
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, started(&r)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", text, diff)
		}
	}
}

func TestRoute_SaysHowPodsAreChosen(t *testing.T) {
	got := received(t, `{"namespace": "default", "deployment": "llm", "autoscaler": "llm", "apiPrefix": "/llm", "hosts": [], "state": "Awake",
		"containerConcurrency": 0, "wakeUpTimeoutSeconds": 120, "algorithm": "ModelAware", "consistentHash": {"cookie": "session", "later": {}}, "endpoints": [
		{"pod": "a", "address": "10.0.0.1:80", "ready": true, "terminating": false, "probeable": false, "probes": [],
			"draining": true, "drainLeaseSeconds": 2.5, "load": {"running": 3, "waiting": 1, "cacheUsage": 0.5, "at": "2026-01-02T03:04:05Z", "later": [1]}},
		{"pod": "b", "address": "10.0.0.2:80", "ready": true, "terminating": false, "probeable": false, "probes": []}]}`)
	if got.Algorithm != "ModelAware" || got.HashOn != (routing.HashOn{Cookie: "session"}) {
		t.Errorf("chosen by %s, %+v", got.Algorithm, got.HashOn)
	}
	want := &routing.Load{Running: 3, Waiting: 1, Cache: .5, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	if diff := cmp.Diff(want, got.Endpoints[0].Load); diff != "" || got.Endpoints[1].Load != nil {
		t.Errorf("(-want +got)\n%s; of b %+v", diff, got.Endpoints[1].Load)
	}
	if e := got.Endpoints[0]; !e.Draining || e.DrainLease != 2500*time.Millisecond || got.Endpoints[1].Draining {
		t.Errorf("endpoints %+v", got.Endpoints)
	}
	for text, want := range map[string]routing.HashOn{
		`{"header": "X"}`: {Header: "X"}, `{"query": "q"}`: {Query: "q"}, `{"clientAddress": true}`: {ClientAddress: true}, `{"mcpSession": true}`: {MCPSession: true},
	} {
		got := received(t, `{"namespace": "n", "deployment": "d", "autoscaler": "a", "apiPrefix": "/", "hosts": [], "state": "Awake",
			"containerConcurrency": 0, "wakeUpTimeoutSeconds": 1, "endpoints": [], "consistentHash": `+text+`}`)
		if got.HashOn != want {
			t.Errorf("%s is %+v", text, got.HashOn)
		}
	}
}

func TestRoute_TakesFurtherAddresses(t *testing.T) {
	got := received(t, `{"namespace": "default", "deployment": "shop", "autoscaler": "shop", "apiPrefix": "/api", "hosts": [], "state": "Awake",
		"containerConcurrency": 0, "wakeUpTimeoutSeconds": 120, "alsoAt": [{"apiPrefix": "/ui", "hosts": []},
		{"apiPrefix": "/pb", "hosts": ["a.example"], "stripPrefix": false, "rewriteAnswers": false, "protocol": "h2c", "serviceAddress": "shop.default.svc:90", "later": 1}],
		"endpoints": [{"pod": "a", "address": "10.0.0.1:80", "alsoAt": ["10.0.0.1:81", ""], "ready": true, "terminating": false, "probeable": false, "probes": []}]}`)
	want := []routing.Place{
		{Prefix: "/ui", Hosts: []string{}, StripPrefix: true, RewriteAnswers: true, Protocol: routing.HTTP1},
		{Prefix: "/pb", Hosts: []string{"a.example"}, Protocol: routing.H2C, ServiceAddress: "shop.default.svc:90"},
	}
	if diff := cmp.Diff(want, got.AlsoAt) + cmp.Diff([]string{"10.0.0.1:81", ""}, got.Endpoints[0].AlsoAt); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRoute_TakesThePatienceOfChecks(t *testing.T) {
	got := received(t, `{"namespace": "n", "deployment": "d", "autoscaler": "a", "apiPrefix": "/", "hosts": [], "state": "Waking", "containerConcurrency": 0, "wakeUpTimeoutSeconds": 1,
		"endpoints": [{"pod": "a", "address": "10.0.0.1:80", "ready": false, "terminating": false, "probeable": true, "probes": [
		{"type": "Tcp", "port": 80, "timeoutSeconds": 1, "delaySeconds": 12.5, "successThreshold": 3, "periodSeconds": 10}, {"type": "Tcp", "port": 81, "timeoutSeconds": 1}]}]}`)
	want := []routing.Probe{
		{TCP: true, Port: 80, Timeout: time.Second, Delay: 12500 * time.Millisecond, Successes: 3, Period: 10 * time.Second},
		{TCP: true, Port: 81, Timeout: time.Second},
	}
	if diff := cmp.Diff(want, got.Endpoints[0].Probes); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
