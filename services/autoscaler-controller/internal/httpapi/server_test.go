package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/news"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

var (
	key  = fleet.Key{Namespace: "default", Deployment: "fib"}
	long = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
)

// parts are fakes for all but the fleet.
type parts struct {
	fleet     *fleet.Fleet
	board     *news.Board
	history   History // nil: none
	calls     []scaling.Call
	started   fleet.Started
	err       error
	records   []fleet.Record
	asked     *http.Request
	sent      string
	status    int
	answer    string
	leader    string
	missing   string
	changed   chan struct{}
	ending    chan struct{}
	polls     chan int
	failed    int
	failedOf  []string // shards
	counting  sync.Mutex
	refused   []BodyFault // behind counting, while calls are under way
	watch     func(*http.Request) (*http.Response, error)
	open      atomic.Int64 // watches
	ended     chan string
	pushes    Pushes
	guard     Guard
	audit     Audit
	claims    Claims
	objects   Objects // nil: these
	book      Changes
	kept      *fleet.BalancerSettings
	version   uint64 // of what is kept, if there are any
	keeping   error
	dial      func(context.Context, string, string) (net.Conn, error)
	rested    []fleet.Key
	previewed []scaling.Spec
	complete  time.Time // from when on all decisions are held

	conditions []fleet.Condition // beside Active

	authorities httpclient.Authorities // nil: in clear text
	connections *httpserver.Connections
	traceURL    string
}

func (p *parts) Start(_ context.Context, _ fleet.Key, c scaling.Call) (fleet.Started, error) {
	p.calls = append(p.calls, c)
	return p.started, p.err
}
func (p *parts) Sleep(_ context.Context, k fleet.Key, by string) (fleet.Started, error) {
	p.calls, p.rested = append(p.calls, scaling.Call{By: by}), append(p.rested, k)
	return p.started, p.err
}
func (p *parts) Preview(_ context.Context, k fleet.Key, spec scaling.Spec) (fleet.Record, error) {
	p.previewed = append(p.previewed, spec)
	return fleet.Record{Key: k, Time: long, Decision: scaling.Decision{From: 1, To: 2, Trigger: scaling.Bounds, Summary: "1 → 2: minReplicas is 2"}}, p.err
}
func (p *parts) Decisions(k fleet.Filter, limit int) []fleet.Record {
	list := slices.DeleteFunc(slices.Clone(p.records), func(r fleet.Record) bool { return !k.Matches(r) })
	return list[:min(limit, len(list))]
}
func (p *parts) DecisionsSince(fleet.Key) time.Time { return p.complete }
func (p *parts) Insight(fleet.Key) (*fleet.Record, []fleet.Condition) {
	return &p.records[0], append([]fleet.Condition{{Type: "Active", OK: true, Reason: "Awake", Message: "1 of 1 ready", Since: long}}, p.conditions...)
}
func (p *parts) ReportTraffic(context.Context, autoscaler.ReportTrafficRequestObject) (autoscaler.ReportTrafficResponseObject, error) {
	if p.err != nil {
		return nil, p.err
	}
	return autoscaler.ReportTraffic200JSONResponse{Status: autoscaler.TrafficReceived}, nil
}
func (p *parts) SubmitPodMetrics(context.Context, autoscaler.SubmitPodMetricsRequestObject) (autoscaler.SubmitPodMetricsResponseObject, error) {
	return autoscaler.SubmitPodMetrics200JSONResponse{Status: autoscaler.MetricsReceived}, p.err
}
func (p *parts) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	p.asked, p.sent = r, string(body)
	return &http.Response{StatusCode: p.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(p.answer))}, p.err
}
func (p *parts) Now() (fleet.BalancerSettings, error) {
	if p.kept == nil {
		return fleet.BalancerSettings{}, fault.New(fault.Unavailable, "not read yet").After(time.Second)
	}
	return *p.kept, nil
}
func (p *parts) Keep(_ context.Context, s fleet.BalancerSettings) (fleet.BalancerSettings, error) {
	if p.keeping != nil {
		return fleet.BalancerSettings{}, p.keeping
	}
	if p.version > 0 {
		p.version++
	}
	s.Version = p.version
	p.kept = &s
	return s, nil
}
func (p *parts) Leader() (string, <-chan struct{}) { return p.leader, p.changed }
func (p *parts) Polling(change int)                { p.polls <- change }
func (p *parts) RelayFailed(shard string)          { p.failed++; p.failedOf = append(p.failedOf, shard) }
func (p *parts) Watching(change int)               { p.open.Add(int64(change)) }
func (p *parts) Following(change int)              { p.open.Add(int64(change)) }
func (p *parts) WatchEnded(end string)             { p.ended <- end }
func (p *parts) Watch(r *http.Request) (*http.Response, error) {
	if p.watch == nil {
		return nil, fault.New(fault.Unauthenticated, "no token")
	}
	return p.watch(r)
}
func (p *parts) BodyRefused(why BodyFault) {
	p.counting.Lock()
	defer p.counting.Unlock()
	p.refused = append(p.refused, why)
}
func (p *parts) SubmitBatch([]byte, access.Caller) (autoscaler.PodMetricsBatchReceipt, error) {
	return autoscaler.PodMetricsBatchReceipt{Accepted: 1}, p.err
}

func newParts() *parts {
	p := &parts{
		fleet: fleet.New("e"), board: news.New("e"), changed: make(chan struct{}), ending: make(chan struct{}), polls: make(chan int, 100), ended: make(chan string, 2*maxWatches), status: 200, answer: "{}",
		records: []fleet.Record{{
			ID: "e-1", Key: key, Time: long, Applied: true,
			Decision: scaling.Decision{To: 1, Trigger: scaling.StartCall, Summary: "0 → 1: 1 request waits", Reasons: []scaling.Reason{
				{Rule: "Start", Effect: scaling.Wish, Replicas: 1, Message: "1 request waits", Inputs: []scaling.Input{{Name: "waiting", Value: 1, Unit: "requests", Age: time.Second}}},
			}},
		}},
	}
	p.observe(1)
	return p
}

// observe makes the application known with so many pods asked for.
func (p *parts) observe(replicas int32) {
	p.fleet.Observe(fleet.Observation{
		Key: key, Autoscaler: "fib", Since: long,
		Spec:       scaling.Spec{MaxReplicas: 3, IdleTime: 90 * time.Second, WakeUpTimeout: 2 * time.Minute},
		Address:    fleet.Address{Prefix: "/fib", Algorithm: "RoundRobin", Service: "fib.default.svc:80"},
		Deployment: fleet.Deployment{Found: true, Replicas: replicas, Created: long},
		Pods: []fleet.Pod{{Name: "a", Node: "n", Address: "10.0.0.1:80", Ready: true, CreatedAt: long, ReadyAt: long, Probeable: true, Probes: []fleet.Probe{
			{HTTP: true, Port: 80, Scheme: "HTTP", Path: "/healthz", Host: "h", Timeout: time.Second, Headers: []fleet.Header{{Name: "X", Value: "y"}}}, {Port: 81, Timeout: time.Second},
		}}},
	}, time.Now())
}

func (p *parts) handler(t *testing.T) http.Handler {
	t.Helper()
	if p.objects == nil {
		p.objects = p
	}
	h, err := New(Options{
		Fleet: p.fleet, Control: p, Traffic: p, Metrics: p, Objects: p.objects, Changes: p.book, Settings: p, Leadership: p, Meter: p, News: p.board, History: p.history, Log: slog.New(slog.DiscardHandler),
		Missing: func() string { return p.missing }, Ending: p.ending, Dial: p.dial, Pushes: p.pushes, Guard: p.guard, Audit: p.audit, Claims: p.claims, Certificates: p, Authorities: p.authorities, Connections: p.connections, TraceURL: p.traceURL,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func do(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var controllerSpec, commonSpec = sync.OnceValue(parsed(autoscaler.GetSpec)), sync.OnceValue(parsed(common.GetSpec))

// parsed is a contract. To parse one takes long, and every answer is held against it.
func parsed(get func() (*openapi3.T, error)) func() *openapi3.T {
	return func() *openapi3.T {
		spec, err := get()
		if err != nil {
			panic(err)
		}
		return spec
	}
}

// fits checks an answer against the contract: its schema by name, and problem documents.
func fits(t *testing.T, w *httptest.ResponseRecorder, schema string) {
	t.Helper()
	var value any
	if err := json.Unmarshal(w.Body.Bytes(), &value); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	spec := controllerSpec()
	if schema == "Problem" {
		spec = commonSpec()
		if got := w.Header().Get("Content-Type"); got != fault.ContentType {
			t.Errorf("Content-Type %s", got)
		}
	}
	if err := spec.Components.Schemas[schema].Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
		t.Errorf("does not fit %s: %v\n%s", schema, err, w.Body)
	}
}

func TestAnswersFitTheContract(t *testing.T) {
	p := newParts()
	p.started = fleet.Started{State: fleet.Waking, Replicas: 1, Scaled: true, DecisionID: "e-2", ExpectedStart: time.Second, Message: "0 → 1"}
	p.fleet.Called(key, 1, time.Now())
	p.fleet.Measure([]fleet.Measurement{{
		Pod: fleet.PodName{Namespace: "default", Name: "a"}, Source: fleet.Sidecar, At: time.Now(), Values: map[fleet.Gauge]float64{fleet.CPUUsage: 412.5},
	}}, time.Now())
	h := p.handler(t)
	for _, c := range []struct{ method, target, body, schema string }{
		{"GET", "/v1/routes", "", "RoutesUpdate"},
		{"GET", "/v1/routes?wait=0s&after=x.1", "", "RoutesUpdate"},
		{"GET", "/v1/applications", "", "ApplicationList"},
		{"GET", "/v1/applications?namespace=other", "", "ApplicationList"},
		{"GET", "/v1/applications/default/fib", "", "Application"},
		{"GET", "/v1/decisions?limit=5", "", "DecisionList"},
		{"GET", "/v1/decisions?result=applied&trigger=StartCall&since=2020-01-01T00:00:00Z", "", "DecisionList"},
		{"GET", "/v1/pods", "", "PodList"},
		{"GET", "/v1/pods?namespace=default&deployment=fib", "", "PodList"},
		{"GET", "/v1/metrics", "", "ApplicationMetricsList"},
		{"GET", "/v1/metrics?namespace=other", "", "ApplicationMetricsList"},
		{"POST", "/metrics", `{"podName":"a","namespace":"default","metrics":{"cpuUsage":1}}`, "MetricsReceipt"},
		{"POST", "/v1/namespaces/default/deployments/fib/start", `{"balancer":"lb","waiting":1}`, "StartResponse"},
		{"POST", "/v1/traffic", `{"balancer":"lb","startedAt":"2026-01-02T03:04:05Z","sequence":1,"leaving":false,"applications":[]}`, "TrafficReceipt"},
	} {
		w := do(h, c.method, c.target, c.body)
		if w.Code != http.StatusOK {
			t.Errorf("%s %s: %d %s", c.method, c.target, w.Code, w.Body)
			continue
		}
		fits(t, w, c.schema)
	}
	if len(p.calls) != 1 || p.calls[0] != (scaling.Call{Balancer: "lb", Waiting: 1}) {
		t.Errorf("the start call came as %+v", p.calls)
	}
}

func TestListMetrics_ShowsMeansAndAges(t *testing.T) {
	p := newParts()
	p.fleet.Measure([]fleet.Measurement{{
		Pod: fleet.PodName{Namespace: "default", Name: "a"}, Source: fleet.Kubernetes, At: time.Now().Add(-3 * time.Second), Values: map[fleet.Gauge]float64{fleet.CPUUsage: 412.5},
	}}, time.Now())
	var got autoscaler.ApplicationMetricsList
	if err := json.Unmarshal(do(p.handler(t), "GET", "/v1/metrics", "").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	cpu, use := got.Items[0].Means[0], got.Items[0].Pods[0].Metrics
	if cpu.MetricType != "CPU_USAGE" || *cpu.Mean != 412.5 || cpu.Pods != 1 || *cpu.AgeSeconds < 3 || use.Source != "Kubernetes" || use.AgeSeconds < 3 || !use.Fresh {
		t.Errorf("got %+v and %+v", cpu, use)
	}
	if memory := got.Items[0].Means[1]; memory.Mean != nil || memory.Missing != 1 {
		t.Errorf("what nobody measured is shown as %+v", memory)
	}
}

// quiet is a report of one application that is quiet but for what is given.
func quiet(more string) string {
	return `{"balancer":"lb","startedAt":"2026-01-02T03:04:05Z","sequence":1,"leaving":false,"applications":[{"namespace":"default","deployment":"fib",
		"inFlight":0,"streaming":0,"waiting":0,"waitingBytes":0,"requests":0,"failures":0,"rejected":0,` + more + `}]}`
}

func TestRefusalsAreProblemDocuments(t *testing.T) {
	start := "/v1/namespaces/default/deployments/fib/start"
	for name, c := range map[string]struct {
		method, target, body string
		err                  error
		missing              string
		status               int
		field                string
	}{
		"no such path":            {"GET", "/v2/x", "", nil, "", 404, ""},
		"no such method":          {"DELETE", "/v1/routes", "", nil, "", 405, ""},
		"wait out of range":       {"GET", "/v1/routes?wait=61s", "", nil, "", 400, "wait"},
		"a version of no kind":    {"GET", "/v1/routes?after=%21", "", nil, "", 400, "after"},
		"picture not whole":       {"GET", "/v1/routes", "", nil, "the first list of pods", 503, ""},
		"no such application":     {"GET", "/v1/applications/default/other", "", nil, "", 404, ""},
		"limit out of range":      {"GET", "/v1/decisions?limit=0", "", nil, "", 400, "limit"},
		"a field is missing":      {"POST", start, `{"waiting":1}`, nil, "", 400, "balancer"},
		"a field is unknown":      {"PUT", "/v1/loadbalancer/settings", `{"more":1}`, nil, "", 400, "more"},
		"a field is out of range": {"POST", start, `{"balancer":"a","waiting":-1}`, nil, "", 400, "waiting"},
		"no JSON":                 {"POST", start, `{`, nil, "", 400, "body"},
		"a name of no kind":       {"POST", "/v1/namespaces/Default/deployments/fib/start", `{"balancer":"a","waiting":1}`, nil, "", 400, "namespace"},
		"too large":               {"POST", "/v1/traffic", `"` + strings.Repeat("x", maxReport) + `"`, nil, "", 413, "body"},
		"sums that overflow":      {"POST", "/v1/traffic", quiet(`"latency":{"count":1,"sumMs":1e308,"buckets":[]}`), nil, "", 400, "applications.0.latency.sumMs"},
		"more than there can be":  {"POST", "/v1/traffic", quiet(`"streaming":2147483647`), nil, "", 400, "applications.0.streaming"},
		"a year that is none":     {"POST", "/v1/traffic", quiet(`"wakeUps":[{"id":"t","outcome":"Pending","arrivedAt":"9999-12-31T23:59:59-01:00"}]`), nil, "", 400, "applications.0.wakeUps.0.arrivedAt"},
		"start: not found":        {"POST", start, `{"balancer":"a","waiting":1}`, fault.New(fault.NotFound, "no"), "", 404, ""},
		"start: unavailable":      {"POST", start, `{"balancer":"a","waiting":1}`, fault.New(fault.Unavailable, "later").After(time.Second), "", 503, ""},
		"start: nobody foresaw":   {"POST", start, `{"balancer":"a","waiting":1}`, io.ErrUnexpectedEOF, "", 500, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParts()
			p.err, p.missing = c.err, c.missing
			w := do(p.handler(t), c.method, c.target, c.body)
			if w.Code != c.status {
				t.Fatalf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
			fits(t, w, "Problem")
			var problem struct{ Errors []fault.Field }
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
				t.Fatal(err)
			}
			if c.field != "" && (len(problem.Errors) == 0 || problem.Errors[0].Field != c.field) {
				t.Errorf("errors %+v, want the field %s", problem.Errors, c.field)
			}
			if strings.Contains(w.Body.String(), "unexpected EOF") && c.status == 500 {
				t.Error("the internal cause is shown")
			}
			if c.status == 503 && w.Header().Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
}

func TestWatchRoutes_AnswersAsSoonAsSomethingChanges(t *testing.T) {
	p := newParts()
	h := p.handler(t)
	var first autoscaler.RoutesUpdate
	if err := json.Unmarshal(do(h, "GET", "/v1/routes", "").Body.Bytes(), &first); err != nil {
		t.Fatal(err)
	}
	if !first.Complete || len(first.Applications) != 1 || len(first.Applications[0].Endpoints[0].Probes) != 2 {
		t.Fatalf("got %+v", first)
	}
	ask := func() chan autoscaler.RoutesUpdate {
		answered := make(chan autoscaler.RoutesUpdate, 1)
		go func() {
			var u autoscaler.RoutesUpdate
			_ = json.Unmarshal(do(h, "GET", "/v1/routes?wait=60s&after="+first.Version, "").Body.Bytes(), &u)
			answered <- u
		}()
		for <-p.polls != 1 { // until it waits
		}
		return answered
	}
	answered := ask()
	began := time.Now()
	p.observe(2)
	p.fleet.Quiesce(key, fleet.Quiesce{All: true, Until: time.Now().Add(time.Minute)})
	u := <-answered
	took := time.Since(began)
	if u.Complete || len(u.Applications) != 1 || u.Version == first.Version {
		t.Errorf("got %+v", u)
	}
	t.Logf("answered after %v", took)
	first.Version = u.Version
	if u, _ := p.fleet.Routes(""); u.Version != first.Version {
		first.Version = u.Version
	}
	answered = ask()
	close(p.ending)
	if u := <-answered; len(u.Applications) != 0 || u.Version != first.Version {
		t.Errorf("at the end of the service: %+v", u)
	}
	if w := do(h, "GET", "/v1/routes?wait=60s&after="+first.Version, ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a wait that begins at the end: %d %s", w.Code, w.Body)
	}
}

func TestObjects_ArePassedOnUnchanged(t *testing.T) {
	base := "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/default/customautoscalers"
	for _, c := range []struct{ method, target, query string }{
		{"GET", base + "?labelSelector=a%3Db&limit=3", "labelSelector=a%3Db&limit=3"},
		{"POST", base, "fieldValidation=Strict"},
		{"GET", base + "/fib", ""},
		{"PUT", base + "/fib", "fieldValidation=Strict"},
		{"PATCH", base + "/fib?fieldValidation=Ignore", "fieldValidation=Strict"},
		{"DELETE", base + "/fib", ""},
	} {
		p := newParts()
		p.status, p.answer = 201, `{"kind":"X","unknown":{"kept":true}}`
		body := `{"spec":{"idleTime":"not a number","unknown":1}}`
		if c.method == "GET" || c.method == "DELETE" {
			body = ""
		}
		w := do(p.handler(t), c.method, c.target, body, "Authorization", "Bearer T", "Content-Type", "application/merge-patch+json")
		if w.Code != 201 || w.Body.String() != p.answer {
			t.Errorf("%s: answered %d %s", c.method, w.Code, w.Body)
		}
		if p.asked == nil || p.asked.Method != c.method || p.asked.URL.RawQuery != c.query || p.sent != body ||
			p.asked.Header.Get("Authorization") != "Bearer T" || p.asked.Header.Get("Content-Type") != "application/merge-patch+json" {
			t.Errorf("%s: asked %+v %q", c.method, p.asked, p.sent)
		}
	}
}

func TestObjects_RefusalsKeepTheirStatus(t *testing.T) {
	base := "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/default/customautoscalers"
	causes := `[{"reason":"FieldValueInvalid","message":"Invalid value: -5: spec.idleTime in body should be greater than or equal to 1","field":"spec.idleTime"},
		{"message":"Unsupported value: \"Best\": supported values: \"RoundRobin\", \"Random\"","field":"spec.loadBalancingAlgorithm"},
		{"message":"Required value","field":"spec.targetDeployments"},
		{"message":"Invalid value: null: some validation rules were not checked because the object was invalid","field":"<nil>"},
		{"message":"Invalid value: \"object\": minReplicas must not be larger than maxReplicas","field":"spec.minReplicas"}]`
	for _, status := range []int{400, 401, 403, 404, 409, 415, 422, 429, 500, 503} {
		p := newParts()
		p.status = status
		p.answer = fmt.Sprintf(`{"kind":"Status","status":"Failure","code":%d,"message":"why","details":{"retryAfterSeconds":2,"causes":%s}}`, status, causes)
		w := do(p.handler(t), "POST", base, `{}`, "Authorization", "Bearer T")
		if w.Code != status {
			t.Errorf("status %d became %d", status, w.Code)
		}
		fits(t, w, "Problem")
		var problem struct {
			Detail            string
			RetryAfterSeconds int
			Errors            []fault.Field
		}
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
			t.Fatal(err)
		}
		want := []fault.Field{
			{Field: "spec.idleTime", Value: "-5", Allowed: "should be greater than or equal to 1"},
			{Field: "spec.loadBalancingAlgorithm", Value: "Best", Allowed: `supported values: "RoundRobin", "Random"`},
			{Field: "spec.targetDeployments", Allowed: "Required value"},
			{Field: "spec.minReplicas", Allowed: "minReplicas must not be larger than maxReplicas"},
		}
		if diff := cmp.Diff(want, problem.Errors); diff != "" || problem.Detail != "why" || problem.RetryAfterSeconds != 2 {
			t.Errorf("%d: %+v\n%s", status, problem, diff)
		}
	}
	p := newParts()
	p.status, p.answer = 400, `{"kind":"Status","message":"strict decoding error: unknown field \"spec.idle\", unknown field \"spec.max\""}`
	w := do(p.handler(t), "POST", base, `{}`, "Authorization", "Bearer T")
	if !strings.Contains(w.Body.String(), `"field":"spec.idle"`) || !strings.Contains(w.Body.String(), `"field":"spec.max"`) {
		t.Errorf("unknown fields are not named: %s", w.Body)
	}
	// Of a patch the API server shows the whole object.
	p.status, p.answer = 422, `{"kind":"Status","message":" \"\" is invalid: patch: Invalid value: \"{\\\"kind\\\": \\\"CustomAutoscaler\\\"}\": strict decoding error: duplicate field \"spec.idleTime\", unknown field \"spec.x\"",
		"details":{"causes":[{"message":"Invalid value: \"{\\\"kind\\\": …\": strict decoding error: duplicate field \"spec.idleTime\"","field":"patch"}]}}`
	w = do(p.handler(t), "PATCH", base+"/x", `{}`, "Authorization", "Bearer T", "Content-Type", "application/merge-patch+json")
	var problem struct {
		Detail string
		Errors []map[string]string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
		t.Fatal(err)
	}
	want := []map[string]string{{"field": "spec.idleTime", "allowed": "given once"}, {"field": "spec.x", "allowed": "no field of this name"}}
	if diff := cmp.Diff(want, problem.Errors); diff != "" || problem.Detail != `strict decoding error: duplicate field "spec.idleTime", unknown field "spec.x"` {
		t.Errorf("%s (-want +got)\n%s", problem.Detail, diff)
	}
	p.status, p.answer = 502, "<html>"
	if w := do(p.handler(t), "GET", base, "", "Authorization", "Bearer T"); w.Code != 502 {
		t.Errorf("no Status: %d %s", w.Code, w.Body)
	}
	if w := do(p.handler(t), "GET", base, "", "Authorization", "Basic eA=="); w.Code != 401 {
		t.Errorf("another scheme: %d %s", w.Code, w.Body)
	}
}

func FuzzCause(f *testing.F) {
	f.Add("spec.a", "Invalid value: -5: spec.a in body should be 1")
	f.Add("", "Unsupported value: \"\\\"x\": y")
	f.Fuzz(func(t *testing.T, field, text string) {
		if _, allowed := cause(field, text); allowed == "" && text != "" && strings.TrimSpace(text) == text && !strings.Contains(text, " in body ") && !strings.HasSuffix(text, field+" ") {
			t.Errorf("nothing is said of %q", text)
		}
	})
}
