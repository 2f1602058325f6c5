package app_test

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/pkg/testtokens"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// person is somebody whom the API server knows: what he may, as "verb resource" → namespaces, "*" all.
type person map[string][]string

// guards is a controller that judges people, and notes who asked it.
type guards struct {
	*fakeController
	people  map[string]person // by token
	issuer  *testtokens.Issuer
	t       *testing.T
	reviews atomic.Int32
	tokens  chan string // of PUT /v1/settings
	away    atomic.Bool
	gone    string // the token of a pod that is
}

type authorization struct{}

func newGuards(t *testing.T) (*guards, string) {
	t.Helper()
	fake, _ := newFakeController(t)
	g := &guards{fakeController: fake, people: map[string]person{
		"viewer": {"list customautoscalers/state": {"blue"}, "list customautoscalers/logs": {"blue"}},
		"editor": {"list customautoscalers/state": {"blue"}, "list customautoscalers/logs": {"blue"}, "create customautoscalers/request": {"blue"}},
		"nobody": {},
		"both":   {"list customautoscalers/state": {"blue", "green"}, "create customautoscalers/request": {"blue", "green"}},
		"prom":   {"get metrics": {"*"}},
		"admin": {
			"list customautoscalers/state": {"*"}, "list customautoscalers/logs": {"*"}, "create customautoscalers/request": {"*"}, "get metrics": {"*"},
			"get customautoscalers/settings": {"*"}, "update customautoscalers/settings": {"*"},
		},
	}, issuer: testtokens.New(t), t: t, tokens: make(chan string, 100)}
	handler := autoscaler.Handler(autoscaler.NewStrictHandler(g, nil))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), authorization{}, r.Header.Get("Authorization"))))
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return g, server.URL
}

func (g *guards) ReviewAccess(_ context.Context, in autoscaler.ReviewAccessRequestObject) (autoscaler.ReviewAccessResponseObject, error) {
	g.reviews.Add(1)
	who, ok := g.people[in.Body.Token]
	if !ok && identity.ForUs(in.Body.Token) && in.Body.Token != g.gone { // of a service: it is known, and may nothing
		return autoscaler.ReviewAccess200JSONResponse{Authenticated: true, User: new("a service"), Namespaces: []common.Namespace{}}, nil
	}
	if !ok {
		return autoscaler.ReviewAccess200JSONResponse{Namespaces: []common.Namespace{}, Reason: new("the API server does not know it")}, nil
	}
	allowed := who[string(in.Body.Verb)+" "+string(in.Body.Resource)]
	answer := autoscaler.ReviewAccess200JSONResponse{Authenticated: true, User: new(in.Body.Token), Everywhere: slices.Contains(allowed, "*"), Namespaces: []common.Namespace{}}
	if in.Body.Namespaces != nil {
		for _, n := range *in.Body.Namespaces {
			if answer.Everywhere || slices.Contains(allowed, n) {
				answer.Namespaces = append(answer.Namespaces, n)
			}
		}
	}
	return answer, nil
}

func (g *guards) GetIdentityKeys(context.Context, autoscaler.GetIdentityKeysRequestObject) (autoscaler.GetIdentityKeysResponseObject, error) {
	return autoscaler.GetIdentityKeys200JSONResponse{Issuer: testtokens.Name, Keys: g.issuer.Keys(g.t)}, nil
}

func (g *guards) PutBalancerSettings(ctx context.Context, in autoscaler.PutBalancerSettingsRequestObject) (autoscaler.PutBalancerSettingsResponseObject, error) {
	g.tokens <- ctx.Value(authorization{}).(string) //nolint:forcetypeassert // newGuards puts it there
	return g.fakeController.PutBalancerSettings(ctx, in)
}

// teams are two teams' applications behind a load balancer that asks for tokens, and what each pod was sent.
func teams(t *testing.T, change func(*app.Settings)) (g *guards, b *balancer, came map[string]chan http.Header) {
	t.Helper()
	g, url := newGuards(t)
	came = map[string]chan http.Header{"blue": make(chan http.Header, 100), "green": make(chan http.Header, 100)}
	for team, requests := range came {
		address := pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests <- r.Header.Clone()
			_, _ = io.WriteString(w, team)
		}))
		g.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
			r := route(team+"-app", "/"+team)
			r.Namespace, r.State, r.Endpoints = team, autoscaler.ApplicationStateAwake, []autoscaler.Endpoint{ready(team+"-1", address)}
			routes[autoscaler.ApplicationKey{Namespace: team, Deployment: team + "-app"}] = r
		})
	}
	b = boot(t, url, func(s *app.Settings) {
		s.Identities.Authentication = "required"
		if change != nil {
			change(s)
		}
	})
	return g, b, came
}

func call(t *testing.T, method, url, token, body string, more ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, m := range more {
		name, value, _ := strings.Cut(m, ": ")
		r.Header.Set(name, value)
	}
	answer, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode == http.StatusUnauthorized && answer.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("%s: 401 without a challenge", url)
	}
	return answer.StatusCode, string(text)
}

// Every operation of the contract by everybody: a row that is missing is a fault.
func TestGuard_EachOperationIsServedToWhomItShould(t *testing.T) {
	_, b, _ := teams(t, nil)
	const (
		policy  = `{"policy":"random"}`
		request = `{"target_url":"/blue/x"}`
		act     = `{"action":"a","parameters":{}}`
		update  = `{"resource_id":"1","updates":{}}`
		changes = `{"resource_id":"1","changes":{}}`
	)
	everybody := []string{"", "wrong", "nobody", "viewer", "editor", "prom", "admin"}
	rows := map[string]struct {
		method, path, body string
		status             [7]int // in the order of everybody
	}{
		"getLiveness":     {"GET", "/healthz", "", [7]int{200, 200, 200, 200, 200, 200, 200}},
		"getReadiness":    {"GET", "/readyz", "", [7]int{200, 200, 200, 200, 200, 200, 200}},
		"getMetrics":      {"GET", "/metrics", "", [7]int{401, 401, 403, 403, 403, 200, 200}},
		"getState":        {"GET", "/loadbalancer/state?namespace=blue", "", [7]int{401, 401, 403, 200, 200, 403, 200}},
		"getSettings":     {"GET", "/loadbalancer/settings", "", [7]int{401, 401, 403, 403, 403, 403, 200}},
		"putSettings":     {"PUT", "/loadbalancer/settings", policy, [7]int{401, 401, 403, 403, 403, 403, 200}},
		"proxyRequest":    {"POST", "/proxy/request", request, [7]int{401, 401, 403, 403, 200, 403, 200}},
		"listWaiting":     {"GET", "/loadbalancer/waiting?namespace=blue", "", [7]int{401, 401, 403, 200, 200, 403, 200}},
		"listProxyLogs":   {"GET", "/proxy/logs?namespace=blue", "", [7]int{401, 401, 403, 200, 200, 403, 200}},
		"queryTargetApp":  {"GET", "/target-app/api?target=blue/blue-app", "", [7]int{401, 401, 403, 403, 200, 403, 200}},
		"actOnTargetApp":  {"POST", "/target-app/api?target=blue/blue-app", act, [7]int{401, 401, 403, 403, 200, 403, 200}},
		"updateTargetApp": {"PUT", "/target-app/api?target=blue/blue-app", update, [7]int{401, 401, 403, 403, 200, 403, 200}},
		"changeTargetApp": {"PATCH", "/target-app/api?target=blue/blue-app", changes, [7]int{401, 401, 403, 403, 200, 403, 200}},
	}
	spec, err := loadbalancer.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range spec.Paths.Map() {
		for _, o := range item.Operations() {
			if id := strings.ToLower(o.OperationID[:1]) + o.OperationID[1:]; rows[id].path == "" {
				t.Errorf("no row says who may call %s", id)
			}
		}
	}
	for id, row := range rows {
		for i, token := range everybody {
			status, body := call(t, row.method, b.admin+row.path, token, row.body)
			if status != row.status[i] {
				t.Errorf("%s by %q: %d %s, want %d", id, token, status, body, row.status[i])
			}
			if status >= 400 && !strings.Contains(body, `"code":"`+map[int]string{401: "unauthenticated", 403: "forbidden"}[status]+`"`) {
				t.Errorf("%s by %q: %s", id, token, body)
			}
			if status == 403 && strings.Contains(body, "green") {
				t.Errorf("%s by %q names another team: %s", id, token, body)
			}
		}
	}
}

func TestGuard_WhatIsNotInTheContractIsRefusedAsEver(t *testing.T) {
	_, b, _ := teams(t, nil)
	for path, want := range map[string]int{"/": 404, "/nothing": 404, "/loadbalancer/state/": 404, "/%6coadbalancer/state": 401, "//loadbalancer/state": 307} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.admin+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client(t).Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, answer.Status, want)
		}
	}
	for _, method := range []string{http.MethodDelete, http.MethodPost} {
		if status, body := call(t, method, b.admin+"/loadbalancer/state", "", ""); status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", method, status, body)
		}
	}
	for _, path := range []string{"/metrics", "/%6Detrics"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if status, _ := call(t, method, b.admin+path, "viewer", ""); status != http.StatusForbidden {
				t.Errorf("%s %s: %d", method, path, status)
			}
		}
	}
}

func TestGuard_ListsShowWhatTheCallerMaySee(t *testing.T) {
	_, b, _ := teams(t, nil)
	for _, team := range []string{"blue", "green"} {
		if r, body := get(t, client(t), b.url+"/"+team+"/"); r.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", r.StatusCode, body)
		}
	}
	if r, _ := get(t, client(t), b.url+"/nowhere"); r.StatusCode != http.StatusNotFound {
		t.Fatalf("%d", r.StatusCode)
	}
	testwait.Until(t, "three requests are in the log", func() bool {
		_, body := call(t, "GET", b.admin+"/proxy/logs", "admin", "")
		return strings.Count(body, `"id"`) == 3
	})
	var state loadbalancer.State
	for token, want := range map[string]string{"admin": "blue green", "viewer": "blue", "both": "blue green", "nobody": ""} {
		status, body := call(t, "GET", b.admin+"/loadbalancer/state", token, "")
		if err := json.Unmarshal([]byte(body), &state); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s", token, status, body)
		}
		var got []string
		for _, a := range state.Applications {
			got = append(got, a.Namespace)
		}
		if slices.Sort(got); strings.Join(got, " ") != want {
			t.Errorf("the state shows %s: %v", token, got)
		}
	}
	for token, want := range map[string]int{"admin": 3, "viewer": 1, "nobody": 0, "prom": 0} {
		status, body := call(t, "GET", b.admin+"/proxy/logs", token, "")
		if n := strings.Count(body, `"id"`); status != http.StatusOK || n != want || token == "viewer" && strings.Contains(body, "green") {
			t.Errorf("the log shows %s %d of %d: %d %s", token, n, want, status, body)
		}
	}
	// Pages are filled with what may be seen, and the text of a search finds nothing else.
	if _, body := call(t, "GET", b.admin+"/proxy/logs?limit=1&text=/", "viewer", ""); strings.Count(body, `"id"`) != 1 || !strings.Contains(body, "blue") {
		t.Errorf("a page: %s", body)
	}
	if status, body := call(t, "GET", b.admin+"/loadbalancer/state?namespace=green", "viewer", ""); status != http.StatusForbidden ||
		!strings.Contains(body, "viewer may not list customautoscalers/state.autoscaler-group.autoscaler in the namespace green") {
		t.Errorf("%d %s", status, body)
	}
}

func TestGuard_TheOtherHeaderWinsAndAnAnswerCountsForAWhile(t *testing.T) {
	g, b, _ := teams(t, nil)
	const path = "/loadbalancer/settings"
	if status, _ := call(t, "GET", b.admin+path, "viewer", "", "Nemesis-Authorization: Bearer admin"); status != http.StatusOK {
		t.Errorf("with the admin's in the other header: %d", status)
	}
	if status, _ := call(t, "GET", b.admin+path, "admin", "", "Nemesis-Authorization: Bearer viewer"); status != http.StatusForbidden {
		t.Errorf("with the viewer's in the other header: %d", status)
	}
	if status, _ := call(t, "GET", b.admin+path, "admin", "", "Nemesis-Authorization: Basic YTpi"); status != http.StatusUnauthorized {
		t.Errorf("with what is no token in the other header: %d", status)
	}
	before := g.reviews.Load()
	g.away.Store(true)
	if status, body := call(t, "GET", b.admin+path, "admin", ""); status != http.StatusOK {
		t.Errorf("what is known counts while the controller is away: %d %s", status, body)
	}
	if status, body := call(t, "GET", b.admin+path, "prom", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, "says what callers may do") && !strings.Contains(body, "cannot say now") {
		t.Errorf("a new caller then: %d %s", status, body)
	}
	if n := g.reviews.Load() - before; n != 0 {
		t.Errorf("the controller was asked %d times", n)
	}
	if status, body := call(t, "GET", b.admin+"/healthz", "", ""); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
}

// The controller judges a change again, by the token of who asked: not of the load balancer, which has a
// token of its own for what it asks itself.
func TestGuard_AChangeIsPassedOnWithTheCallersToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("the-balancers-own"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, b, _ := teams(t, func(s *app.Settings) { s.Identities.TokenFile = file })
	if status, body := call(t, "PUT", b.admin+"/loadbalancer/settings", "admin", `{"policy":"random"}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if token := testwait.Receive(t, "the change", g.tokens); token != "Bearer admin" {
		t.Errorf("it came with %q", token)
	}
	g, b, _ = teams(t, func(s *app.Settings) { s.Identities.TokenFile, s.Identities.Authentication = file, "optional" })
	if status, body := call(t, "PUT", b.admin+"/loadbalancer/settings", "", `{"policy":"random"}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if token := testwait.Receive(t, "the change", g.tokens); token != "" {
		t.Errorf("the load balancer lent its own: %q", token)
	}
}

// A token for us is none of the application's business, in whichever header it comes.
func TestGuard_NoTokenReachesAnApplication(t *testing.T) {
	_, b, came := teams(t, nil)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/proxy/request", `{"target_url":"/blue/x"}`}, {"GET", "/target-app/api?target=blue/blue-app", ""},
		{"POST", "/target-app/api?target=blue/blue-app", `{"action":"a","parameters":{}}`},
	} {
		if status, body := call(t, c.method, b.admin+c.path, "editor", c.body, "Nemesis-Authorization: Bearer editor", "Cookie: c=1"); status != http.StatusOK {
			t.Fatalf("%s: %d %s", c.path, status, body)
		}
		h := testwait.Receive(t, "a request", came["blue"])
		if h.Get("Authorization") != "" || h.Get("Nemesis-Authorization") != "" || h.Get("Cookie") != "" {
			t.Errorf("%s: the pod was sent %v", c.path, h)
		}
	}
}

// On the data port every header is a client's and the application's, as ever.
func TestGuard_TheDataPortAsksForNothingAndPassesOnWhatClientsSay(t *testing.T) {
	g, b, came := teams(t, nil)
	before := g.reviews.Load()
	for _, value := range []string{"", "Bearer of-the-application", "Basic YTpi"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/green/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if value != "" {
			r.Header.Set("Authorization", value)
		}
		answer, err := client(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if h := testwait.Receive(t, "a request", came["green"]); answer.StatusCode != http.StatusOK || h.Get("Authorization") != value {
			t.Errorf("%q: %s, the pod was sent %v", value, answer.Status, h)
		}
	}
	if n := g.reviews.Load() - before; n != 0 {
		t.Errorf("the controller was asked %d times", n)
	}
}

// To who may send requests to some, there are no others: a refusal does not tell what there is.
func TestGuard_AnApplicationOfOthersIsNotThere(t *testing.T) {
	_, b, came := teams(t, nil)
	for _, c := range []struct{ method, path, body, other string }{
		{"POST", "/proxy/request", `{"target_url":"/green/x"}`, `{"target_url":"/violet/x"}`},
		{"GET", "/target-app/api?target=green/green-app", "", ""}, {"GET", "/target-app/api?target=green-app", "", ""},
	} {
		status, hidden := call(t, c.method, b.admin+c.path, "editor", c.body)
		other := strings.ReplaceAll(c.path, "green", "violet")
		statusOther, missing := call(t, c.method, b.admin+other, "editor", cmp.Or(c.other, c.body))
		if status != http.StatusForbidden || status != statusOther || strings.ReplaceAll(hidden, "green", "violet") != missing {
			t.Errorf("%s: %d %s\nbut what is not there: %d %s", c.path, status, hidden, statusOther, missing)
		}
	}
	if status, body := call(t, "GET", b.admin+"/target-app/api", "editor", ""); status != http.StatusOK || body != "blue" {
		t.Errorf("the only one that is his: %d %s", status, body)
	}
	if status, body := call(t, "GET", b.admin+"/target-app/api", "both", ""); status != http.StatusBadRequest || !strings.Contains(body, "blue/blue-app, green/green-app") {
		t.Errorf("one of two that are his: %d %s", status, body)
	}
	if len(came["green"]) != 0 {
		t.Error("a request went to the other team's application")
	}
}

func TestGuard_Optional(t *testing.T) {
	g, b, _ := teams(t, func(s *app.Settings) { s.Identities.Authentication = "optional" })
	for token, want := range map[string]int{"": 200, "admin": 200, "viewer": 403, "wrong": 401} {
		if status, body := call(t, "GET", b.admin+"/loadbalancer/settings", token, ""); status != want {
			t.Errorf("%q: %d %s, want %d", token, status, body, want)
		}
	}
	if _, body := call(t, "GET", b.admin+"/readyz", "", ""); !strings.Contains(body, "authentication is optional") {
		t.Errorf("it is not said: %s", body)
	}
	if _, body := call(t, "GET", b.admin+"/metrics", "", ""); !strings.Contains(body, "nemesis_authentication_required 0") || !strings.Contains(body, `nemesis_lb_admin_calls_total{judgement="unasked"}`) {
		t.Error("the metrics do not say it")
	}
	g.away.Store(true)
	if status, body := call(t, "GET", b.admin+"/loadbalancer/settings", "new", ""); status != http.StatusOK {
		t.Errorf("nobody can judge, and without the token it would pass: %d %s", status, body)
	}
	_, b, _ = teams(t, nil)
	if _, body := call(t, "GET", b.admin+"/metrics", "prom", ""); !strings.Contains(body, "nemesis_authentication_required 1") {
		t.Error("required is not shown")
	}
	_, b, _ = teams(t, func(s *app.Settings) { s.Identities.OpenMetrics = true })
	if status, _ := call(t, "GET", b.admin+"/metrics", "", ""); status != http.StatusOK {
		t.Errorf("open metrics: %d", status)
	}
	if status, _ := call(t, "GET", b.admin+"/loadbalancer/state", "", ""); status != http.StatusUnauthorized {
		t.Errorf("open metrics alone: %d", status)
	}
}

// A controller of 0.1.0 knows neither of the calls: who asks for tokens says what to do.
func TestGuard_AnOlderControllerCannotJudge(t *testing.T) {
	controller, _ := newFakeController(t)
	handler := autoscaler.Handler(autoscaler.NewStrictHandler(controller, nil))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/access" || r.URL.Path == "/v1/identity/keys" {
			http.NotFound(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	controller.edit(func(map[autoscaler.ApplicationKey]autoscaler.Route) {})
	b := boot(t, server.URL, func(s *app.Settings) { s.Identities.Authentication = "required" })
	if status, body := call(t, "GET", b.admin+"/metrics", "admin", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, "older version") || !strings.Contains(body, "set authentication to optional") {
		t.Errorf("%d %s", status, body)
	}
}

func TestLoad_NamesFaultsOfIdentities(t *testing.T) {
	for _, args := range [][]string{{"-authentication", "maybe"}, {"-balancer-accounts", "load-balancer"}, {"-balancer-accounts", "a/b,C/d"}, {"-open-metrics=perhaps"}} {
		if _, err := app.Load(args, nil, io.Discard); err == nil || !strings.Contains(err.Error(), strings.TrimLeft(strings.Split(args[0], "=")[0], "-")) {
			t.Errorf("%v: %v", args, err)
		}
	}
	s, err := app.Load([]string{"-balancer-accounts", "a/b, c/d"}, nil, io.Discard)
	if err != nil || s.Identities.Authentication != "required" || s.Identities.OpenMetrics || s.Identities.TokenFile != "/var/run/secrets/nemesis/token" {
		t.Errorf("%+v, %v", s.Identities, err)
	}
}
