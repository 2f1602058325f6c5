package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/authentication"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
)

// as asks as somebody, and returns the status and the body.
func as(t *testing.T, token, method, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(said)
}

// An API server that knows jane, who may get /metrics and list what is in the namespace shop.
func knowsJane(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("Authorization") != "Bearer jane" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	answer := `{"status":{"allowed":false}}`
	switch {
	case strings.HasSuffix(r.URL.Path, "/selfsubjectreviews"):
		answer = `{"status":{"userInfo":{"username":"jane"}}}`
	case strings.Contains(string(body), `"path":"/metrics"`), strings.Contains(string(body), `"namespace":"shop"`):
		answer = `{"status":{"allowed":true}}`
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

func TestAuthentication_IsRequiredUnlessItIsSaidOtherwise(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(knowsJane))
	defer server.Close()
	address, stop := boot(t, &rest.Config{Host: server.URL}, func(s *Settings) { s.Authentication = "" })
	for _, path := range []string{"/v1/applications", "/v1/routes", "/metrics", "/v1/loadbalancer/settings", "/v1/identity/keys"} {
		if status, body := as(t, "", http.MethodGet, address+path, ""); status != 401 {
			t.Errorf("%s without a token: %d %s", path, status, body)
		}
		if status, body := as(t, "nobody", http.MethodGet, address+path, ""); status != 401 {
			t.Errorf("%s with a bad token: %d %s", path, status, body)
		}
	}
	for path, want := range map[string]int{"/v1/applications": 200, "/v1/applications?namespace=shop": 200, "/v1/applications?namespace=bank": 403, "/v1/routes": 403, "/metrics": 200} {
		if status, body := as(t, "jane", http.MethodGet, address+path, ""); status != want {
			t.Errorf("%s by jane: %d, want %d: %s", path, status, want, body)
		}
	}
	if status, body := as(t, "", http.MethodHead, address+"/metrics", ""); status != 401 {
		t.Errorf("HEAD /metrics: %d %s", status, body)
	}
	_, metrics := as(t, "jane", http.MethodGet, address+"/metrics", "")
	for _, want := range []string{
		"nemesis_authentication_required 1", `nemesis_calls_refused_total{code="unauthenticated",operation="watchRoutes"} 2`, `nemesis_calls_refused_total{code="forbidden",operation="watchRoutes"} 1`,
		`nemesis_service_tokens_total{outcome="verified"} 0`, `nemesis_access_questions_total{answer="failed"} 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if _, body := get(t, address+"/readyz"); strings.Contains(body, "authentication") {
		t.Errorf("readyz complains: %s", body)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAuthentication_OptionalIsSaid(t *testing.T) {
	address, _ := boot(t, &rest.Config{Host: "http://127.0.0.1:1"}, func(s *Settings) { s.Authentication = authentication.Optional })
	if status, _ := get(t, address+"/v1/applications"); status != 200 {
		t.Errorf("without a token: %d", status)
	}
	if status, body := get(t, address+"/readyz"); status != 503 || !strings.Contains(body, "authentication is optional") {
		t.Errorf("readyz: %d %s", status, body)
	}
	if _, metrics := get(t, address+"/metrics"); !strings.Contains(metrics, "nemesis_authentication_required 0") {
		t.Error("the metrics do not say it")
	}
}

func TestAuthentication_OpenMetricsAreOpenAlone(t *testing.T) {
	address, _ := boot(t, &rest.Config{Host: "http://127.0.0.1:1"}, func(s *Settings) { s.Authentication, s.OpenMetrics = authentication.Required, true })
	if status, _ := get(t, address+"/metrics"); status != 200 {
		t.Errorf("metrics: %d", status)
	}
	if status, _ := get(t, address+"/v1/applications"); status != 401 {
		t.Errorf("applications: %d", status)
	}
}

func TestAuthentication_ChangesAreTakenOfTheControllersAccountsAlone(t *testing.T) {
	keys := newIssuer(t)
	published, _ := keys.published(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_, _ = io.WriteString(w, `{"issuer":"`+published.Issuer+`"}`)
		case "/openid/v1/jwks":
			_, _ = w.Write(published.JWKS)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	own, others := keys.token(t, "ops", "nemesis", "c-1"), keys.token(t, "default", "autoscaler-controller", "c-2")
	for accounts, may := range map[string]string{"": others, "ops/nemesis": own, "x/y, ops/nemesis": own} {
		for _, setting := range []string{authentication.Required, authentication.Optional} {
			address, stop := boot(t, &rest.Config{Host: server.URL}, func(s *Settings) { s.Authentication, s.ControllerAccounts = setting, accounts })
			for token, want := range map[string]int{own: 403, others: 403, "": 401} {
				if token == may {
					want = 200
				}
				if status, body := as(t, token, http.MethodPost, address+"/v1/changes", `{"items":[]}`); status != want {
					t.Errorf("%q, %s: %d, want %d: %s", accounts, setting, status, want, body)
				}
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestSettings_AccountsAreNamespaceAndName(t *testing.T) {
	s, _, err := Load([]string{"-balancer-accounts", "a/lb, b/lb", "-authentication", "optional", "-open-metrics=true"}, nil, io.Discard)
	if err != nil || s.Authentication != authentication.Optional || !s.OpenMetrics {
		t.Fatalf("%+v %v", s, err)
	}
	got := s.accounts(s.BalancerAccounts, "load-balancer")
	if len(got) != 2 || got[0] != (access.Account{Namespace: "a", Name: "lb"}) || got[1] != (access.Account{Namespace: "b", Name: "lb"}) {
		t.Errorf("%v", got)
	}
	if got := s.accounts(s.CollectorAccounts, "metrics-collector"); len(got) != 1 || got[0] != (access.Account{Namespace: "nemesis-system", Name: "metrics-collector"}) {
		t.Errorf("%v", got)
	}
	for _, bad := range []string{"lb", "a/b/c", "/lb", "a/", "a/lb,,/"} {
		for _, name := range []string{"balancer-accounts", "collector-accounts", "controller-accounts"} {
			if _, _, err := Load([]string{"-" + name, bad}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "namespace/name") {
				t.Errorf("%s %q: %v", name, bad, err)
			}
		}
	}
	if _, _, err := Load([]string{"-authentication", "never"}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "required, optional") {
		t.Error(err)
	}
}
