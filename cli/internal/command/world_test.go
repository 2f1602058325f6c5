package command

import (
	"bytes"
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

var update = flag.Bool("update", false, "write the golden files anew")

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a controller and a load balancer, as the generated servers have them.
type world struct {
	autoscaler.StrictServerInterface

	mu         sync.Mutex
	apps       []autoscaler.Application
	refused    *[]autoscaler.RefusedClaim // beside them
	decisions  []autoscaler.Decision
	complete   *time.Time // from when on the decisions are all of them
	limit      int        // of the decisions that were asked for last
	object     autoscaler.CustomAutoscaler
	settings   common.BalancerSettings
	asked      []string // operations that change something, in words
	token      string   // of the last call
	waking     int      // looks until it is awake
	refusal    string   // of sleep
	previewed  []autoscaler.CustomAutoscalerSpec
	controller *httptest.Server
	balancers  []*balancer
	health     string // what /readyz answers; "" is that it is not there
}

// problem is an answer that is a problem document.
type problem common.Problem

func (p problem) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	text := `{"type":"urn:nemesis:problem:` + p.Code + `","title":"` + p.Title + `","status":` + itoa(p.Status) + `,"code":"` + p.Code + `","detail":"` + *p.Detail + `"}`
	_, err := w.Write([]byte(text))
	return err
}

func itoa(n int) string {
	var digits []byte
	for ; n > 0; n /= 10 {
		digits = append([]byte{byte('0' + n%10)}, digits...)
	}
	return string(digits)
}

func refusal(status int, code, detail string) problem {
	return problem{Status: status, Code: code, Title: code, Detail: &detail}
}

func (p problem) VisitGetApplicationResponse(w http.ResponseWriter) error   { return p.write(w) }
func (p problem) VisitListApplicationsResponse(w http.ResponseWriter) error { return p.write(w) }
func (p problem) VisitSleepApplicationResponse(w http.ResponseWriter) error { return p.write(w) }
func (p problem) VisitPutBalancerSettingsResponse(w http.ResponseWriter) error {
	return p.write(w)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	h := autoscaler.Handler(autoscaler.NewStrictHandler(w, nil))
	w.controller = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.token = r.Header.Get("Authorization")
		w.mu.Unlock()
		if r.URL.Path == "/readyz" {
			_, _ = rw.Write([]byte(w.health))
			return
		}
		h.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.controller.Close)
	return w
}

// ran is what a command line came to.
type ran struct {
	out, err string
	code     int
}

func (w *world) run(t *testing.T, args ...string) ran {
	t.Helper()
	return w.runWith(t, nil, args...)
}

func (w *world) runWith(t *testing.T, change func(*Streams), args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	s := Streams{In: strings.NewReader(""), Out: &out, Err: &errs, Env: func(string) string { return "" }, Now: func() time.Time { return now }, Pace: time.Millisecond}
	if change != nil {
		change(&s)
	}
	line := []string{"nemesis", "--controller", w.controller.URL, "--token", "jane's", "--kubeconfig", filepath.Join(t.TempDir(), "none"), "-n", "shop"}
	for _, b := range w.balancers {
		line = append(line, "--balancer", b.server.URL)
	}
	code := Main(t.Context(), append(line, args...), s)
	return ran{out.String(), errs.String(), code}
}

// golden compares with testdata/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; go test -update writes it anew):\n%s", path, diff)
	}
}

func (r ran) ok(t *testing.T) string {
	t.Helper()
	if r.code != done || r.err != "" {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	return r.out
}

func (r ran) fails(t *testing.T, code int, said ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d: %s%s", r.code, code, r.out, r.err)
	}
	for _, text := range said {
		if !strings.Contains(r.err, text) {
			t.Errorf("%q is not said: %s", text, r.err)
		}
	}
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, what)
}

func (w *world) find(namespace, name string) *autoscaler.Application {
	for i := range w.apps {
		if w.apps[i].Namespace == namespace && w.apps[i].Deployment == name {
			return &w.apps[i]
		}
	}
	return nil
}

func (w *world) ListApplications(_ context.Context, in autoscaler.ListApplicationsRequestObject) (autoscaler.ListApplicationsResponseObject, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := []autoscaler.Application{}
	for _, a := range w.apps {
		if in.Params.Namespace != nil && a.Namespace != *in.Params.Namespace {
			continue
		}
		if f := in.Params.FieldSelector; f != nil && *f != "autoscaler="+a.Autoscaler {
			continue
		}
		list = append(list, a)
	}
	if in.Params.Continue == nil && len(list) > 1 { // in pages, to be read on
		return autoscaler.ListApplications200JSONResponse{Items: list[:1], Metadata: &autoscaler.PageMeta{Continue: new("more")}, RefusedClaims: w.refused}, nil
	}
	if in.Params.Continue != nil {
		return autoscaler.ListApplications200JSONResponse{Items: list[1:]}, nil
	}
	return autoscaler.ListApplications200JSONResponse{Items: list, RefusedClaims: w.refused}, nil
}

func (w *world) GetApplication(_ context.Context, in autoscaler.GetApplicationRequestObject) (autoscaler.GetApplicationResponseObject, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.find(in.Namespace, in.Name)
	if a == nil {
		return refusal(404, "not-found", "no CustomAutoscaler names the Deployment "+in.Namespace+"/"+in.Name), nil
	}
	if a.State == autoscaler.ApplicationStateWaking || a.State == autoscaler.ApplicationStateFallingAsleep {
		if w.waking--; w.waking == 0 && a.State == autoscaler.ApplicationStateWaking {
			a.State, a.ReadyReplicas = autoscaler.ApplicationStateAwake, 1
		} else if w.waking == 0 {
			a.State, a.Replicas, a.ReadyReplicas = autoscaler.ApplicationStateAsleep, 0, 0
		}
	}
	return autoscaler.GetApplication200JSONResponse(*a), nil
}

func (w *world) ListDecisions(_ context.Context, in autoscaler.ListDecisionsRequestObject) (autoscaler.ListDecisionsResponseObject, error) {
	w.limit = value(in.Params.Limit)
	out := autoscaler.ListDecisions200JSONResponse{Items: []autoscaler.Decision{}, CompleteSince: w.complete}
	skip := in.Params.Continue != nil
	for i, d := range w.decisions {
		if skip { // the page after the decision that continue names
			skip = d.Id != *in.Params.Continue
			continue
		}
		if r := in.Params.Result; r != nil && string(*r) != string(*d.Result) || in.Params.Deployment != nil && *in.Params.Deployment != d.Deployment {
			continue
		}
		if out.Items = append(out.Items, d); len(out.Items) == 2 && i < len(w.decisions)-1 {
			out.Metadata = &autoscaler.PageMeta{Continue: &w.decisions[i].Id}
			break
		}
	}
	return out, nil
}

func (w *world) GetCustomAutoscaler(context.Context, autoscaler.GetCustomAutoscalerRequestObject) (autoscaler.GetCustomAutoscalerResponseObject, error) {
	return autoscaler.GetCustomAutoscaler200JSONResponse(w.object), nil
}

func (w *world) PatchCustomAutoscaler(_ context.Context, in autoscaler.PatchCustomAutoscalerRequestObject) (autoscaler.PatchCustomAutoscalerResponseObject, error) {
	spec := (*in.Body)["spec"].(map[string]any)
	w.note("patch " + in.Name + " " + sorted(spec))
	o := w.object
	if mode, ok := spec["mode"].(string); ok {
		o.Spec.Mode = new(autoscaler.ScalingMode(mode))
	}
	if n, ok := spec["pausedReplicas"].(float64); ok {
		o.Spec.PausedReplicas = new(int32(n))
	}
	return autoscaler.PatchCustomAutoscaler200JSONResponse(o), nil
}

func (w *world) WakeApplication(_ context.Context, in autoscaler.WakeApplicationRequestObject) (autoscaler.WakeApplicationResponseObject, error) {
	w.note("wake " + in.Namespace + "/" + in.Name)
	a := w.find(in.Namespace, in.Name)
	out := autoscaler.StartResponse{State: a.State, Replicas: 1, Message: "stays at 1: jane asks for a start"}
	if a.State == autoscaler.ApplicationStateAsleep {
		a.State, a.Replicas, w.waking = autoscaler.ApplicationStateWaking, 1, 3
		out = autoscaler.StartResponse{State: a.State, Replicas: 1, Scaled: true, Message: "0 → 1: jane asks for a start", ExpectedStartSeconds: new(42.0)}
	}
	if in.Name == "broken" {
		out.Blocked = &autoscaler.Blocked{Reason: "ImagePullBackOff", Message: "no such image", Since: now}
	}
	return autoscaler.WakeApplication200JSONResponse(out), nil
}

func (w *world) SleepApplication(_ context.Context, in autoscaler.SleepApplicationRequestObject) (autoscaler.SleepApplicationResponseObject, error) {
	w.note("sleep " + in.Namespace + "/" + in.Name)
	if w.refusal != "" {
		return refusal(409, "conflict", w.refusal), nil
	}
	a := w.find(in.Namespace, in.Name)
	a.State, w.waking = autoscaler.ApplicationStateFallingAsleep, 3
	return autoscaler.SleepApplication200JSONResponse{State: a.State, Replicas: 1, Message: "1 → 0: jane asked for it"}, nil
}

func (w *world) PreviewDecision(_ context.Context, in autoscaler.PreviewDecisionRequestObject) (autoscaler.PreviewDecisionResponseObject, error) {
	w.previewed = append(w.previewed, in.Body.Spec)
	d := decision("", 1, 1, "stays at 1: not idle for 90 s", "unchanged")
	if value(in.Body.Spec.MinReplicas) == 2 {
		d = decision("", 1, 2, "1 → 2: minReplicas is 2", "unchanged")
	}
	return autoscaler.PreviewDecision200JSONResponse(d), nil
}

func (w *world) GetBalancerSettings(context.Context, autoscaler.GetBalancerSettingsRequestObject) (autoscaler.GetBalancerSettingsResponseObject, error) {
	return autoscaler.GetBalancerSettings200JSONResponse{Body: w.settings}, nil
}

func (w *world) PutBalancerSettings(_ context.Context, in autoscaler.PutBalancerSettingsRequestObject) (autoscaler.PutBalancerSettingsResponseObject, error) {
	if value(in.Body.TimeoutSeconds) > 86400 {
		return refusal(400, "invalid", "timeout_seconds: 90000 is not allowed: from 1 to 86400"), nil
	}
	w.settings = *in.Body
	return autoscaler.PutBalancerSettings200JSONResponse{Body: w.settings}, nil
}

// balancer is a load balancer with a log.
type balancer struct {
	loadbalancer.StrictServerInterface
	mu     sync.Mutex
	log    []loadbalancer.ProxyLog // the newest first
	asked  []loadbalancer.ListProxyLogsParams
	state  loadbalancer.State
	server *httptest.Server

	looked func(times int) // is told of each look at the log; nil is nobody

	waiting *loadbalancer.WaitingList // nil: it is of a version that does not say
	limit   int
}

// notThere is the answer to what an older version does not have.
type notThere struct{}

func (notThere) VisitListWaitingResponse(w http.ResponseWriter) error {
	return refusal(404, "not-found", "no such path").write(w)
}

func (w *world) balancer(t *testing.T, log ...loadbalancer.ProxyLog) *balancer {
	t.Helper()
	b := &balancer{log: log}
	h := loadbalancer.Handler(loadbalancer.NewStrictHandler(b, nil))
	b.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			_, _ = rw.Write([]byte(w.health))
			return
		}
		h.ServeHTTP(rw, r)
	}))
	t.Cleanup(b.server.Close)
	w.balancers = append(w.balancers, b)
	return b
}

func (b *balancer) ListProxyLogs(_ context.Context, in loadbalancer.ListProxyLogsRequestObject) (loadbalancer.ListProxyLogsResponseObject, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, in.Params)
	if b.looked != nil {
		b.looked(len(b.asked))
	}
	from := 0
	if in.Params.After != nil {
		from = int((*in.Params.After)[0] - '0')
	}
	to := min(from+2, len(b.log))
	page := loadbalancer.ProxyLogPage{Items: append([]loadbalancer.ProxyLog{}, b.log[from:to]...)}
	if to < len(b.log) {
		page.Next = new(itoa(to))
	}
	return loadbalancer.ListProxyLogs200JSONResponse(page), nil
}

func (b *balancer) GetState(context.Context, loadbalancer.GetStateRequestObject) (loadbalancer.GetStateResponseObject, error) {
	return loadbalancer.GetState200JSONResponse(b.state), nil
}
