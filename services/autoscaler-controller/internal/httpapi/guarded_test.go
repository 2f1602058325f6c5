package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// The tokens of these tests: "service NAMESPACE ACCOUNT POD" is a service's, others are people's.
func serviceToken(namespace, account, pod string) string {
	return "e30.eyJhdWQiOlsibmVtZXNpcyJdfQ." + namespace + "." + account + "." + pod // {"aud":["nemesis"]}
}

var (
	lbToken        = serviceToken("nemesis-system", "load-balancer", "lb")
	collectorToken = serviceToken("nemesis-system", "metrics-collector", "c")
	podToken       = serviceToken("default", "default", "a")
)

// people have rights: "list/decisions default", "get/routes " everywhere.
type people struct {
	rights map[string]bool
	calls  atomic.Int32
}

func (p *people) Verify(_ context.Context, token string) (identity.Identity, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 5 {
		return identity.Identity{}, fault.New(fault.Unauthenticated, "no token of ours")
	}
	return identity.Identity{Name: "system:serviceaccount:" + parts[2] + ":" + parts[3], Namespace: parts[2], Account: parts[3], Pod: parts[4]}, nil
}

func (p *people) Who(_ context.Context, token string) (string, error) {
	if token == "silent" {
		return "", fault.New(fault.Unavailable, "the Kubernetes API server does not answer")
	}
	if token == "nonsense" {
		return "", fault.New(fault.Unauthenticated, "the Kubernetes API server does not take the token")
	}
	return token, nil
}

func (p *people) May(_ context.Context, _ string, r access.Right, namespace string) (bool, error) {
	p.calls.Add(1)
	return p.rights[r.Verb+"/"+r.Subresource+" "+namespace], nil
}

func (p *people) Published(context.Context) (identity.Published, error) {
	return identity.Published{Issuer: "https://kubernetes", JWKS: []byte(`{"keys":[{"kty":"EC","kid":"a"}]}`)}, nil
}

func (p *people) guard(optional bool) Guard {
	return guard.New(guard.Options{
		Services: p, People: p, Keys: p, Optional: optional,
		Balancers:  []access.Account{{Namespace: "nemesis-system", Name: "load-balancer"}},
		Collectors: []access.Account{{Namespace: "nemesis-system", Name: "metrics-collector"}}, Controllers: []access.Account{{Namespace: "nemesis-system", Name: "autoscaler-controller"}},
	})
}

func mayAll(rights ...string) *people {
	p := &people{rights: map[string]bool{}}
	for _, r := range rights {
		p.rights[r] = true
	}
	return p
}

func guarding(p *people) *parts {
	out := newParts()
	out.guard = p.guard(false)
	return out
}

// calls are one of each operation that is judged, with a body that is as the contract has it.
var calls = map[string]struct{ method, target, body string }{
	"watchRoutes":           {"GET", "/v1/routes?wait=0s", ""},
	"startApplication":      {"POST", start, `{"balancer":"lb","waiting":1}`},
	"wakeApplication":       {"POST", wake, ""},
	"sleepApplication":      {"POST", sleep, ""},
	"previewDecision":       {"POST", preview, previewed},
	"reportTraffic":         {"POST", "/v1/traffic", `{"balancer":"lb","startedAt":"2026-01-02T03:04:05Z","sequence":1,"leaving":false,"applications":[]}`},
	"submitPodMetrics":      {"POST", "/metrics", `{"podName":"a","namespace":"default","metrics":{"cpuUsage":1}}`},
	"submitPodMetricsBatch": {"POST", "/v1/pod-metrics", `{"items":[{"podName":"a","namespace":"default","metrics":{"cpuUsage":1}}]}`},
	"getBalancerSettings":   {"GET", settingsPath, ""},
	"putBalancerSettings":   {"PUT", settingsPath, "{}"},
	"reviewAccess":          {"POST", "/v1/access", `{"token":"jane","verb":"list","resource":"customautoscalers/state","namespaces":["default"]}`},
	"getIdentityKeys":       {"GET", "/v1/identity/keys", ""},
	"issueCertificate":      {"POST", "/v1/certificates", `{"request":"a request"}`},
	"listPods":              {"GET", "/v1/pods?namespace=default", ""},
	"listMetrics":           {"GET", "/v1/metrics?namespace=default", ""},
	"listApplications":      {"GET", "/v1/applications?namespace=default", ""},
	"getApplication":        {"GET", "/v1/applications/default/fib", ""},
	"getApplicationHistory": {"GET", "/v1/applications/default/fib/history?resolution=minutes", ""},
	"getReport":             {"GET", "/v1/report?namespace=default", ""},
	"getRights":             {"GET", "/v1/rights?namespace=default", ""},
	"watchEvents":           {"GET", "/v1/events?wait=0s&namespace=default", ""},
	"listDecisions":         {"GET", "/v1/decisions?namespace=default", ""},
	"listChanges":           {"GET", "/v1/changes?namespace=default", ""},
	"reportChanges":         {"POST", "/v1/changes", `{"items":[]}`},
}

func TestGuarded_EachOperationByEachIdentity(t *testing.T) {
	viewer, operator := mayAll("list/ default", "get/ default", "list/decisions default", "list/changes default", "get/decisions default"), mayAll("get/routes ", "get/settings ", "update/settings ")
	for _, c := range []struct {
		name, token string
		of          *people
		may         []string // 200; all others are refused by 403
		status      int      // of all; 0: as may says
	}{
		{"nobody", "", viewer, nil, 401},
		{"a token that is none", "nonsense", viewer, nil, 401},
		{"a load balancer", lbToken, viewer, []string{"watchRoutes", "startApplication", "reportTraffic", "getBalancerSettings", "listDecisions", "listChanges", "reviewAccess", "issueCertificate", "getIdentityKeys"}, 0},
		{"another load balancer", serviceToken("nemesis-system", "load-balancer", "other"), viewer, []string{"watchRoutes", "getBalancerSettings", "listDecisions", "listChanges", "reviewAccess", "issueCertificate", "getIdentityKeys"}, 0},
		{"a load balancer's name in another namespace", serviceToken("default", "load-balancer", "lb"), viewer, []string{"getIdentityKeys"}, 0},
		{"a collector", collectorToken, viewer, []string{"submitPodMetrics", "submitPodMetricsBatch", "reviewAccess", "issueCertificate", "getIdentityKeys"}, 0},
		{"another replica of the controller", serviceToken("nemesis-system", "autoscaler-controller", "r"), viewer, []string{"getReport", "reportChanges", "getIdentityKeys"}, 0},
		{"the pod", podToken, viewer, []string{"submitPodMetrics", "getIdentityKeys"}, 0},
		{"another pod", serviceToken("default", "default", "b"), viewer, []string{"getIdentityKeys"}, 0},
		{"a pod of this name in another namespace", serviceToken("other", "default", "a"), viewer, []string{"getIdentityKeys"}, 0},
		{"a viewer", "jane", viewer, []string{"listPods", "listMetrics", "listApplications", "getApplication", "getApplicationHistory", "getReport", "getRights", "watchEvents", "listDecisions", "listChanges", "previewDecision"}, 0},
		{"who may send requests", "jane", mayAll("create/request default"), []string{"wakeApplication"}, 0},
		{"who may change the object", "jane", mayAll("update/ default"), []string{"sleepApplication"}, 0},
		{"a viewer of another namespace", "jane", mayAll("list/ other", "get/ other", "list/decisions other"), nil, 403},
		{"an operator", "olga", operator, []string{"watchRoutes", "getBalancerSettings", "putBalancerSettings"}, 0},
	} {
		p := guarding(c.of)
		h := p.handler(t)
		for operation, call := range calls {
			want := c.status
			switch {
			case want != 0:
			case slices.Contains(c.may, operation):
				want = http.StatusOK
			default:
				want = http.StatusForbidden
			}
			p.calls, p.kept = nil, &fleet.BalancerSettings{Policy: "random", MaxConnections: 1, Timeout: 1}
			header := []string{"Authorization", "Bearer " + c.token}
			if c.token == "" {
				header = nil
			}
			w := do(h, call.method, call.target, call.body, header...)
			if w.Code != want {
				t.Errorf("%s by %s: %d, want %d: %s", operation, c.name, w.Code, want, w.Body)
			}
			if w.Code != http.StatusOK {
				fits(t, w, "Problem")
			}
			if challenge := w.Header().Get("WWW-Authenticate"); (challenge == "Bearer") != (w.Code == http.StatusUnauthorized) {
				t.Errorf("%s by %s: %d with WWW-Authenticate %q", operation, c.name, w.Code, challenge)
			}
			if w.Code != http.StatusOK && (len(p.calls) > 0 || p.kept.MaxConnections != 1) {
				t.Errorf("%s by %s was done before it was refused", operation, c.name)
			}
		}
	}
}

func TestGuarded_EveryOperationOfTheContractHasARuleAndACall(t *testing.T) {
	known, err := contractOperations()
	if err != nil {
		t.Fatal(err)
	}
	operations := map[string]bool{}
	for _, operation := range known.patterns {
		operations[operation] = true
		rule, has := access.Of(operation)
		if !has {
			t.Errorf("%s has no rule: nobody may call it", operation)
		}
		if _, tried := calls[operation]; !tried && !rule.Open && !rule.Passed {
			t.Errorf("%s is not tried by every kind of caller", operation)
		}
	}
	for operation := range access.All() {
		if besides := []string{"getLiveness", "getReadiness", "getMetrics"}; !operations[operation] && !slices.Contains(besides, operation) {
			t.Errorf("there is a rule for %s, which the contract does not have", operation)
		}
	}
}

func TestOperations_AreFoundByMethodAndPath(t *testing.T) {
	known, err := contractOperations()
	if err != nil {
		t.Fatal(err)
	}
	for call, want := range map[string]string{
		"GET /v1/pods": "listPods ", "GET /v1/pods?namespace=shop": "listPods shop", "GET /v1/pods?namespace=": "listPods ",
		"POST /metrics": "submitPodMetrics ", "GET /metrics": " " /* beside the API */, "POST /v1/pod-metrics": "submitPodMetricsBatch ",
		"GET /v1/applications/shop/cart": "getApplication shop", "POST " + start: "startApplication default",
		"PUT /apis/autoscaler-group.autoscaler/v1alpha1/namespaces/shop/customautoscalers/x": "replaceCustomAutoscaler shop",
		"GET /v1/applications/sh%6Fp/cart":                                                   "getApplication shop",
		"GET /v1/po%64s":                                                                     " ", "GET /v1/pods/": " ", "GET //v1/pods": " ", "PUT /v1/pods": " ", "GET /v1/applications/shop/": " ",
		"GET /v1/applications//cart": " ", "POST /m%65trics": " ", "GET /": " ", "GET /v1/applications/a/b/c": " ",
	} {
		method, target, _ := strings.Cut(call, " ")
		operation, namespace := known.find(httptest.NewRequest(method, target, nil))
		if got := operation + " " + namespace; got != want {
			t.Errorf("%s: %q, want %q", call, got, want)
		}
	}
}

// What the guard does not know, nothing behind it may do.
func TestGuarded_NoPathLeadsPastIt(t *testing.T) {
	p := guarding(mayAll())
	h := p.handler(t)
	for _, target := range []string{
		"/v1/po%64s", "/v1/pods/", "//v1/pods", "/v1//pods", "/./v1/pods", "/v1/pods%2F", "/v1/pods;x", "/V1/pods", "/m%65trics", "/v1/tr%61ffic", "/v1/loadbalancer/s%65ttings",
		"/v1/applications/default%2Ffib", "/v1/applications/default/f%69b", "/v1/namespaces/default/deployments/fib/st%61rt", "/v1/pod%2Dmetrics", "/x/pods", "/v1/unknown",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "get"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, target, strings.NewReader(`{"balancer":"lb","waiting":1}`))
			r.Method = method
			r.Header.Set("Content-Type", "application/json")
			h.ServeHTTP(w, r)
			if w.Code < 400 || len(p.calls) > 0 || p.kept != nil {
				t.Errorf("%s %s without a token: %d %s", method, target, w.Code, w.Body)
			}
		}
	}
}

func TestGuarded_TheHeaderOfOurOwnWins(t *testing.T) {
	h := guarding(mayAll("list/ default")).handler(t)
	for want, header := range map[int][]string{
		200: {"Authorization", "Basic dTpw", "Nemesis-Authorization", "Bearer jane"},
		401: {"Authorization", "Bearer jane", "Nemesis-Authorization", "Bearer nonsense"},
	} {
		if w := do(h, "GET", "/v1/pods?namespace=default", "", header...); w.Code != want {
			t.Errorf("%v: %d, want %d", header, w.Code, want)
		}
	}
	p := newParts()
	do(p.handler(t), "GET", "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/default/customautoscalers", "", "Nemesis-Authorization", "Bearer jane")
	if p.asked == nil || p.asked.Header.Get("Authorization") != "Bearer jane" {
		t.Errorf("the API server is asked as %v", p.asked)
	}
}

// namespacesOf are the namespaces of a list's items.
func namespacesOf(t *testing.T, w *httptest.ResponseRecorder) []string {
	t.Helper()
	var list struct {
		Items []struct{ Namespace string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var out []string
	for _, i := range list.Items {
		out = append(out, i.Namespace)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestLists_ShowOnlyTheNamespacesOfWhoAsks(t *testing.T) {
	everything := func(string) bool { return true }
	for _, path := range []string{"/v1/applications", "/v1/pods", "/v1/metrics", "/v1/decisions"} {
		list := "list/"
		if path == "/v1/decisions" {
			list = "list/decisions"
		}
		for _, c := range []struct {
			rights []string
			want   []string
		}{
			{nil, nil},
			{[]string{list + " ns-1"}, []string{"ns-1"}},
			{[]string{list + " ns-1", list + " ns-3"}, []string{"ns-1", "ns-3"}},
			{[]string{list + " "}, []string{"ns-0", "ns-1", "ns-2", "ns-3"}},
		} {
			p := populated(guarding(mayAll(c.rights...)), everything)
			got := namespacesOf(t, do(p.handler(t), "GET", path, "", "Authorization", "Bearer jane"))
			if path == "/v1/pods" || path == "/v1/metrics" { // in ns-0 nothing runs
				c.want = slices.DeleteFunc(slices.Clone(c.want), func(s string) bool { return path == "/v1/pods" && s == "ns-0" })
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s with %v: %v, want %v", path, c.rights, got, c.want)
			}
		}
	}
}

func TestLists_PagesOfWhoSeesSomeHaveNoHolesAndCountNobodyElses(t *testing.T) {
	p := populated(guarding(mayAll("list/ ns-1", "list/ ns-2")), func(string) bool { return true })
	h, seen, pages := p.handler(t), 0, 0
	for token := ""; ; {
		w := do(h, "GET", "/v1/applications?limit=5"+token, "", "Authorization", "Bearer jane")
		var page struct {
			Items    []struct{ Namespace string }
			Metadata struct {
				Continue           string
				RemainingItemCount *int
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		seen, pages = seen+len(page.Items), pages+1
		if page.Metadata.Continue == "" {
			break
		}
		if rest := page.Metadata.RemainingItemCount; len(page.Items) != 5 || rest == nil || *rest != 12-seen {
			t.Errorf("page %d: %d items, %v follow", pages, len(page.Items), rest)
		}
		token = "&continue=" + url.QueryEscape(page.Metadata.Continue)
	}
	if seen != 12 || pages != 3 {
		t.Errorf("%d applications on %d pages", seen, pages)
	}
}

func TestRoutes_HeadersOfProbesAreForLoadBalancersAlone(t *testing.T) {
	h := guarding(mayAll("get/routes ")).handler(t)
	for _, target := range []string{"/v1/routes?wait=0s", "/v1/routes?stream=true&wait=0s"} {
		lb, person := do(h, "GET", target, "", "Authorization", "Bearer "+lbToken), do(h, "GET", target, "", "Authorization", "Bearer olga")
		if !strings.Contains(lb.Body.String(), `"headers":[{"name":"X","value":"y"}]`) {
			t.Errorf("%s by a load balancer: %s", target, lb.Body)
		}
		if person.Code != http.StatusOK || strings.Contains(person.Body.String(), "headers") || !strings.Contains(person.Body.String(), `"path":"/healthz"`) {
			t.Errorf("%s by a person: %d %s", target, person.Code, person.Body)
		}
	}
}

// callerPushes understands what the caller may say.
type callerPushes struct {
	Pushes
	taken []access.Caller
}

func (c *callerPushes) Push(_ []byte, by access.Caller) bool {
	if !by.Measures("default", "a") {
		return false
	}
	c.taken = append(c.taken, by)
	return true
}

func TestPush_BothWaysHoldAPodToItself(t *testing.T) {
	const body = `{"podName":"a","namespace":"default","metrics":{"cpuUsage":1}}`
	p, short := guarding(mayAll()), &callerPushes{}
	p.pushes = short
	h := p.handler(t)
	for _, target := range []string{"/metrics", "/metrics?long=way"} {
		for token, want := range map[string]int{podToken: 200, collectorToken: 200, serviceToken("default", "default", "b"): 403, serviceToken("x", "default", "a"): 403, lbToken: 403, "jane": 403, "nonsense": 401} {
			short.taken = nil
			w := do(h, "POST", target, body, "Authorization", "Bearer "+token)
			if w.Code != want || want == 200 && (len(short.taken) == 1) != (target == "/metrics") || want != 200 && len(short.taken) > 0 {
				t.Errorf("%s by %s: %d, want %d; the short way took %v: %s", target, token, w.Code, want, short.taken, w.Body)
			}
		}
	}
}

func TestGuarded_OldCallersAreServedWhereTokensAreOptional(t *testing.T) {
	p := newParts()
	p.guard, p.kept = mayAll().guard(true), &fleet.BalancerSettings{Policy: "random", MaxConnections: 1, Timeout: 1}
	h := p.handler(t)
	for operation, call := range calls {
		want := http.StatusOK
		switch operation { // which none of them asks for
		case "issueCertificate": // it names a pod, and only a token does
			want = http.StatusForbidden
		case "reportChanges":
			want = http.StatusUnauthorized
		}
		if w := do(h, call.method, call.target, call.body); w.Code != want {
			t.Errorf("%s without a token: %d, want %d: %s", operation, w.Code, want, w.Body)
		}
		if w := do(h, call.method, call.target, call.body, "Authorization", "Bearer nonsense"); w.Code != http.StatusUnauthorized {
			t.Errorf("%s with a bad token: %d %s", operation, w.Code, w.Body)
		}
	}
}

func TestRelay_TheLeaderJudgesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader := guarding(mayAll())
		follower := lead(t, leader.handler(t))
		follower.guard = mayAll("list/ default").guard(false) // which has heard of a right that was taken away meanwhile
		h := follower.handler(t)
		if w := do(h, "POST", start, `{"balancer":"lb","waiting":1}`, "Authorization", "Bearer "+lbToken); w.Code != 200 || len(leader.calls) != 1 {
			t.Errorf("the token did not get to the leader: %d %s", w.Code, w.Body)
		}
		w := do(h, "GET", "/v1/applications?namespace=default", "", "Nemesis-Authorization", "Bearer jane")
		if w.Code != 403 || !strings.Contains(w.Body.String(), "jane may not list") {
			t.Errorf("the leader took the follower's word: %d %s", w.Code, w.Body)
		}
		// Who says that it is a follower is asked all the same.
		if w := do(leader.handler(t), "POST", start, `{"balancer":"lb","waiting":1}`, relayedHeader, "1"); w.Code != 401 {
			t.Errorf("a relayed call without a token: %d", w.Code)
		}
		leader.guard = mayAll().guard(false)
		follower.guard = mayAll().guard(true)
		if w := do(follower.handler(t), "POST", start, `{"balancer":"lb","waiting":1}`); w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("a leader that asks for tokens behind a follower that does not: %d %v", w.Code, w.Header())
		}
	})
}

func TestSharded_IsGuardedAsAWhole(t *testing.T) {
	list, elsewhere := desks(t), newParts()
	elsewhere.guard = mayAll("list/ b", "list/ shop", "list/decisions models").guard(false)
	h := front(t, list, elsewhere)
	for path, want := range map[string][]string{"/v1/applications": {"b", "shop"}, "/v1/pods": {"b", "shop"}, "/v1/metrics": {"b", "shop"}, "/v1/decisions": {"models"}} {
		if got := namespacesOf(t, do(h, "GET", path, "", "Authorization", "Bearer jane")); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	report := `{"balancer":"%s","startedAt":"2026-01-02T03:04:05Z","sequence":1,"leaving":false,"applications":[{"namespace":"b","deployment":"app","inFlight":0,"streaming":0,"waiting":0,"waitingBytes":0,"requests":0,"failures":0,"rejected":0}]}`
	if w := do(h, "POST", "/v1/traffic", fmt.Sprintf(report, "other"), "Authorization", "Bearer "+lbToken); w.Code != 403 || len(list[0].reports)+len(list[1].reports)+len(list[2].reports) != 0 {
		t.Errorf("a report of another: %d %s", w.Code, w.Body)
	}
	if w := do(h, "POST", "/v1/traffic", fmt.Sprintf(report, "lb"), "Authorization", "Bearer "+lbToken); w.Code != 200 || len(list[1].reports) != 1 {
		t.Errorf("a report: %d %s", w.Code, w.Body)
	}
	for token, want := range map[string]int{serviceToken("b", "default", "p"): 200, serviceToken("shop", "default", "p"): 403} {
		if w := do(h, "POST", "/metrics", `{"podName":"p","namespace":"b","metrics":{}}`, "Authorization", "Bearer "+token); w.Code != want {
			t.Errorf("a push by %s: %d %s", token, w.Code, w.Body)
		}
	}
	for _, target := range []string{"/v1/routes?wait=0s", "/v1/routes?wait=0s&shard=1", "/v1/applications", "/v1/pods"} {
		if w := do(h, "GET", target, ""); w.Code != 401 {
			t.Errorf("%s without a token: %d", target, w.Code)
		}
	}
	if w := do(h, "GET", "/v1/routes?wait=0s", "", "Authorization", "Bearer "+lbToken); w.Code != 200 || strings.Count(w.Body.String(), `"deployment":"app"`) != 3 {
		t.Errorf("all routes: %d %s", w.Code, w.Body)
	}
}

func TestReviewAccess_AndKeysFitTheContract(t *testing.T) {
	h := guarding(mayAll("list/state b")).handler(t)
	w := do(h, "POST", "/v1/access", `{"token":"jane","verb":"list","resource":"customautoscalers/state","namespaces":["a","b"]}`, "Authorization", "Bearer "+lbToken)
	fits(t, w, "AccessAnswer")
	if got := strings.TrimSpace(w.Body.String()); got != `{"authenticated":true,"everywhere":false,"namespaces":["b"],"user":"jane"}` {
		t.Error(got)
	}
	w = do(h, "POST", "/v1/access", `{"token":"nonsense","verb":"get","resource":"metrics"}`, "Authorization", "Bearer "+lbToken)
	fits(t, w, "AccessAnswer")
	if !strings.Contains(w.Body.String(), `"authenticated":false`) || !strings.Contains(w.Body.String(), "does not take the token") {
		t.Error(w.Body)
	}
	for _, body := range []string{`{}`, `{"token":"","verb":"get","resource":"metrics"}`, `{"token":"t","verb":"delete","resource":"metrics"}`, `{"token":"t","verb":"get","resource":"pods"}`, `{"token":"t","verb":"get","resource":"metrics","more":1}`} {
		if w := do(h, "POST", "/v1/access", body, "Authorization", "Bearer "+lbToken); w.Code != 400 {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
	w = do(h, "GET", "/v1/identity/keys", "", "Authorization", "Bearer "+podToken)
	fits(t, w, "IdentityKeys")
	if !strings.Contains(w.Body.String(), `"kid":"a"`) {
		t.Error(w.Body)
	}
	if w := do(newParts().handler(t), "GET", "/v1/identity/keys", ""); w.Code != 503 {
		t.Errorf("where nobody judges: %d", w.Code)
	}
}
