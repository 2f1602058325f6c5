package client

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/common"
)

// apiServer is a Kubernetes API server with Nemesis behind its proxy, which takes Authorization away.
type apiServer struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string // method and path
	told   []string // Nemesis-Authorization, as Nemesis got it
	tokens int
	answer func(w http.ResponseWriter, r *http.Request) bool // nil or false: as ever
}

const proxyOf = "/api/v1/namespaces/nemesis-system/services/https:autoscaler-controller:8080/proxy"

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	a := &apiServer{}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case a.answer != nil && a.answer(w, r):
	case strings.HasSuffix(r.URL.Path, "/token"):
		a.tokens++
		fmt.Fprintf(w, `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","status":{"token":"made-%d"}}`, a.tokens)
	case strings.HasSuffix(r.URL.Path, "/configmaps/nemesis-ca"):
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "ConfigMap", "apiVersion": "v1", "data": map[string]string{"ca.crt": string(text)}})
	default:
		a.told = append(a.told, r.Header.Get("Nemesis-Authorization"))
		fmt.Fprint(w, `{"policy":"random"}`)
	}
}

// kubeconfig is one whose user has these lines.
func (a *apiServer) kubeconfig(t *testing.T, user string) string {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	path := filepath.Join(t.TempDir(), "config")
	config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"k","cluster":{"server":%q,"certificate-authority":%q}}],
"contexts":[{"name":"c","context":{"cluster":"k","user":"u","namespace":"shop"}},{"name":"other","context":{"cluster":"k","user":"u","namespace":"search"}}],
"users":[{"name":"u","user":%s}]}`, a.URL, ca, user)
	if err := errors.Join(os.WriteFile(ca, text, 0o600), os.WriteFile(path, []byte(config), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func ask(t *testing.T, o Options) (common.BalancerSettings, error) {
	t.Helper()
	if o.System == "" {
		o.System = "nemesis-system"
	}
	n, err := New(o)
	if err != nil {
		return common.BalancerSettings{}, err
	}
	t.Cleanup(n.Close)
	return n.Settings(t.Context())
}

func TestProxied_NemesisIsToldWhoAsks(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "plugin")
	script := "#!/bin/sh\necho '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"of-the-plugin\"}}'\n"
	if err := os.WriteFile(plugin, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		user string
		o    Options
		told string
	}{
		"the kubeconfig's token": {`{"token":"own"}`, Options{}, "Bearer own"},
		"a token file":           {fmt.Sprintf(`{"tokenFile":%q}`, file), Options{}, "Bearer of-the-file"},
		"an exec plugin":         {fmt.Sprintf(`{"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":%q,"interactiveMode":"Never"}}`, plugin), Options{}, "Bearer of-the-plugin"},
		"--token":                {`{"token":"own"}`, Options{Token: "given"}, "Bearer given"},
		"--service-account":      {`{"token":"own"}`, Options{ServiceAccount: "robots/r2"}, "Bearer made-1"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPIServer(t)
			c.o.Kubeconfig = a.kubeconfig(t, c.user)
			got, err := ask(t, c.o)
			if err != nil || *got.Policy != common.Random {
				t.Fatalf("%+v %v", got, err)
			}
			if len(a.told) != 1 || a.told[0] != c.told {
				t.Errorf("Nemesis was told %q", a.told)
			}
			if last := a.asked[len(a.asked)-1]; last != "GET "+proxyOf+"/v1/loadbalancer/settings" {
				t.Errorf("asked %q", last)
			}
		})
	}
}

func TestServiceAccount_OneTokenForManyCalls(t *testing.T) {
	a := newAPIServer(t)
	n, err := New(Options{Kubeconfig: a.kubeconfig(t, `{"token":"own"}`), System: "nemesis-system", ServiceAccount: "r2"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := n.Settings(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if a.tokens != 1 || a.asked[0] != "POST /api/v1/namespaces/shop/serviceaccounts/r2/token" {
		t.Errorf("%d tokens, asked %v", a.tokens, a.asked)
	}
}

func TestProxied_WhoHasNoTokenIsToldSo(t *testing.T) {
	a := newAPIServer(t)
	for name, user := range map[string]string{"nothing": `{}`, "a password": `{"username":"u","password":"p"}`} {
		if _, err := ask(t, Options{Kubeconfig: a.kubeconfig(t, user)}); !NoToken(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ask(t, Options{Kubeconfig: a.kubeconfig(t, `{"token":"own","as":"somebody"}`)}); err == nil || !strings.Contains(err.Error(), "impersonates somebody, which Nemesis is not told") {
		t.Errorf("who impersonates: %v", err)
	}
	if len(a.asked) != 0 {
		t.Errorf("it was asked all the same: %v", a.asked)
	}
}

func TestStraight_TheTokenGoesToWhoIsVerifiedAlone(t *testing.T) {
	a := newAPIServer(t)
	got := ""
	controller := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"policy":"random"}`)
	}))
	t.Cleanup(controller.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: controller.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	config := a.kubeconfig(t, `{"token":"own"}`)
	for name, o := range map[string]Options{
		"by a file":          {Kubeconfig: config, Controller: controller.URL, CA: ca},
		"by the ConfigMap":   {Kubeconfig: config, Controller: controller.URL}, // both have the same certificate here
		"without kubeconfig": {Kubeconfig: filepath.Join(t.TempDir(), "none"), Controller: controller.URL + "/", CA: ca, Token: "own"},
	} {
		got = ""
		if _, err := ask(t, o); err != nil || got != "Bearer own" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	got = ""
	var unreachable *UnreachableError
	if _, err := ask(t, Options{Kubeconfig: filepath.Join(t.TempDir(), "none"), Controller: controller.URL, Token: "own"}); !errors.As(err, &unreachable) || got != "" || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("of an authority that nobody knows: %v, told %q", err, got)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	_ = os.WriteFile(empty, nil, 0o600)
	for o, said := range map[*Options]string{
		{Controller: controller.URL, CA: empty, Token: "t"}:                                         "has no certificate",
		{Controller: controller.URL, CA: empty + "-not", Token: "t"}:                                "--ca: open",
		{Controller: controller.URL, CA: ca}:                                                        "there is no kubeconfig",
		{Controller: controller.URL, CA: ca, Kubeconfig: a.kubeconfig(t, `{}`)}:                     "has no token",
		{Controller: "http://10.0.0.1:8080", Token: "t"}:                                            "in clear text",
		{Balancers: []string{"http://balancer"}, Token: "t"}:                                        "in clear text",
		{Controller: "controller:8080", Token: "t"}:                                                 "an address is written as https://HOST:PORT",
		{Token: "a", ServiceAccount: "b"}:                                                           "give one of them",
		{Controller: controller.URL, CA: ca, Kubeconfig: a.kubeconfig(t, `{"token":"x","as":"j"}`)}: "impersonates j",
	} {
		if o.Kubeconfig == "" {
			o.Kubeconfig = empty
		}
		if _, err := ask(t, *o); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestMayCarryToken_LoopbackInClearTextAlone(t *testing.T) {
	for address, may := range map[string]bool{
		"": true, "https://a": true, "http://localhost:80": true, "http://127.0.0.1": true, "http://127.9.9.9:1/x": true, "http://[::1]:80": true,
		"http://localhost.example": false, "http://127.0.0.1.example": false, "http://10.0.0.1": false, "ftp://localhost": false, "https://": false,
	} {
		if err := mayCarryToken(address); (err == nil) != may {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestRefusals_AreSaidInWords(t *testing.T) {
	const status = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"reason":"x","code":%d}`
	for name, c := range map[string]struct {
		code int
		body string
		said []string
	}{
		"a problem":       {400, `{"type":"x","title":"t","status":400,"code":"invalid","detail":"mend it","errors":[{"field":"spec.idleTime","value":"-5","allowed":"from 1 to 86400 seconds"}]}`, []string{"mend it\n  spec.idleTime: -5 is not allowed: allowed is from 1 to 86400 seconds"}},
		"later":           {429, `{"type":"x","title":"Too many","status":429,"code":"too-many","retryAfterSeconds":7}`, []string{"Too many\n  Try again in 7 s."}},
		"no way":          {403, fmt.Sprintf(status, `services "https:autoscaler-controller:8080" is forbidden: User "jane" cannot get resource "services/proxy"`, 403), []string{"the Kubernetes API server says", "--port-forward", "--controller"}},
		"no pod":          {503, fmt.Sprintf(status, `no endpoints available for service "autoscaler-controller"`, 503), []string{"No pod of it runs"}},
		"not there":       {404, fmt.Sprintf(status, `services "autoscaler-controller" not found`, 404), []string{"--system-namespace"}},
		"something else":  {502, "<html>bad gateway", []string{"502 Bad Gateway: <html>bad gateway"}},
		"nothing at all":  {500, "", []string{"500 Internal Server Error"}},
		"not a problem":   {500, `{"status":"x"}`, []string{"500 Internal Server Error"}},
		"something large": {500, strings.Repeat("a", 1<<20), []string{"500 Internal Server Error: aaa"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPIServer(t)
			a.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(c.code)
				fmt.Fprint(w, c.body)
				return true
			}
			_, err := ask(t, Options{Kubeconfig: a.kubeconfig(t, `{"token":"own"}`)})
			if Status(err) != c.code || len(err.Error()) > 2000 {
				t.Fatalf("%d: %v", Status(err), err)
			}
			for _, text := range c.said {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q is not said: %v", text, err)
				}
			}
		})
	}
}

func TestBalancers_EachByItsPodOrTheOneOfTheService(t *testing.T) {
	a := newAPIServer(t)
	pod := func(name, ready string, more string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q%s},"status":{"conditions":[{"type":"Ready","status":%q}]}}`, name, more, ready)
	}
	list := []string{pod("b", "True", ""), pod("a", "True", ""), pod("starting", "False", ""), pod("going", "True", `,"deletionTimestamp":"2026-01-02T03:04:05Z"`)}
	forbidden := false
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/services/load-balancer") && forbidden:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"Forbidden","code":403}`)
		case strings.HasSuffix(r.URL.Path, "/services/load-balancer"):
			fmt.Fprint(w, `{"kind":"Service","apiVersion":"v1","metadata":{"name":"load-balancer"},"spec":{"selector":{"app":"lb"}}}`)
		case strings.HasSuffix(r.URL.Path, "/pods"):
			if r.URL.Query().Get("labelSelector") != "app=lb" {
				t.Errorf("asked %s", r.URL)
			}
			fmt.Fprintf(w, `{"kind":"PodList","apiVersion":"v1","items":[%s]}`, strings.Join(list, ","))
		default:
			return false
		}
		return true
	}
	n, err := New(Options{Kubeconfig: a.kubeconfig(t, `{"token":"own"}`), System: "nemesis-system"})
	if err != nil {
		t.Fatal(err)
	}
	all, whole, err := n.Balancers(t.Context())
	if err != nil || !whole || len(all) != 2 || all[0].Name != "a" || all[1].Name != "b" {
		t.Fatalf("%+v %v %v", all, whole, err)
	}
	if want := "/api/v1/namespaces/nemesis-system/pods/https:a:8081/proxy"; !strings.HasSuffix(all[0].way.url, want) {
		t.Errorf("%s", all[0].way.url)
	}
	list = nil // nobody is ready, and so no port can be forwarded
	f, err := New(Options{Kubeconfig: a.kubeconfig(t, `{"token":"own"}`), System: "nemesis-system", Forward: true})
	if err != nil {
		t.Fatal(err)
	}
	if all, whole, err := f.Balancers(t.Context()); err == nil || whole || len(all) != 0 {
		t.Errorf("%+v %v %v", all, whole, err)
	}
	forbidden = true
	if all, whole, err = n.Balancers(t.Context()); err != nil || whole || len(all) != 1 || !strings.HasSuffix(all[0].way.url, "/services/https:load-balancer:8081/proxy") {
		t.Errorf("%+v %v %v", all, whole, err)
	}
}

func TestHealth_IsAnAnswerAlsoWhenItIsBad(t *testing.T) {
	a := newAPIServer(t)
	a.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"status":"unavailable","waitingFor":["the leader"]}`)
		return true
	}
	n, _ := New(Options{Kubeconfig: a.kubeconfig(t, `{"token":"own"}`), System: "nemesis-system"})
	if h, err := n.Health(t.Context()); err != nil || h.Status != common.Unavailable || (*h.WaitingFor)[0] != "the leader" {
		t.Errorf("%+v %v", h, err)
	}
	a.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","message":"services/proxy is not for you","code":403}`)
		return true
	}
	if _, err := n.Health(t.Context()); !Forbidden(err) {
		t.Errorf("%v", err)
	}
}

func TestNamespace_IsTheContextsUnlessItIsSaid(t *testing.T) {
	a := newAPIServer(t)
	config := a.kubeconfig(t, `{"token":"own"}`)
	for want, o := range map[string]Options{
		"shop":    {Kubeconfig: config},
		"search":  {Kubeconfig: config, Context: "other"},
		"given":   {Kubeconfig: config, Namespace: "given"},
		"default": {Kubeconfig: filepath.Join(t.TempDir(), "none")},
	} {
		n, err := New(o)
		if err != nil || n.Namespace() != want {
			t.Errorf("%v %v, want %s", n.Namespace(), err, want)
		}
	}
}

func TestUnreachable_SaysWho(t *testing.T) {
	a := newAPIServer(t)
	config := a.kubeconfig(t, `{"token":"own"}`)
	a.Close()
	var unreachable *UnreachableError
	if _, err := ask(t, Options{Kubeconfig: config}); !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "the controller (127.0.0.1:") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n, _ := New(Options{Kubeconfig: config, System: "nemesis-system"})
	if _, err := n.Settings(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestBalancers_OneConnectionForManyLooks(t *testing.T) {
	var opened, asked atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"balancer":"lb","items":[]}`)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	n, err := New(Options{Kubeconfig: filepath.Join(t.TempDir(), "none"), Balancers: []string{server.URL}, Token: "t", System: "nemesis-system"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // as --watch does
		all, _, err := n.Balancers(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		if _, err := all[0].Waiting(t.Context(), Name{}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 3 || opened.Load() != 1 {
		t.Errorf("%d calls, on %d connections", asked.Load(), opened.Load())
	}
}
