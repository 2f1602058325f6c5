package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// newFakeControllerWithRoutes is one that has told its routes: there are none.
func newFakeControllerWithRoutes(t *testing.T) (*fakeController, *httptest.Server) {
	t.Helper()
	controller, server := newFakeController(t)
	controller.edit(func(map[autoscaler.ApplicationKey]autoscaler.Route) {})
	return controller, server
}

// problemOf sends a request that must be refused, and returns the problem document.
func problemOf(t *testing.T, r *http.Request, status int, code string) common.Problem {
	t.Helper()
	answer, err := client(t).Do(r)
	for tries := 1; errors.Is(err, syscall.ECONNRESET) && r.GetBody != nil && tries < 5; tries++ {
		// The server refuses before it has the whole body, and does not linger for a client that sends on for long.
		r.Body, _ = r.GetBody()
		answer, err = client(t).Do(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, _ := io.ReadAll(answer.Body)
	var p common.Problem
	if err := json.Unmarshal(body, &p); err != nil || answer.StatusCode != status || p.Status != status || p.Code != code ||
		answer.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%s %s: %s %s, want %d %s", r.Method, r.URL, answer.Status, body, status, code)
	}
	return p
}

// echo answers what it got: method, path with query, header and body.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Own", "yes")
	w.Header().Set("Keep-Alive", "timeout=5")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(echoed{r.Method, r.Host, r.URL.RequestURI(), r.Header, string(body)})
})

type echoed struct {
	Method, Host, URI string
	Header            http.Header
	Body              string
}

// withService is an application that runs, behind a Service.
func withService(c *fakeController, name, prefix, address string) {
	awake(c, name, prefix, address)
	c.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := routes[key(name)]
		r.ServiceAddress = new(name + "-service.default.svc:5001")
		routes[key(name)] = r
	})
}

func (b *balancer) request(t *testing.T, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.admin+"/proxy/request", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

// envelope sends a request for someone, and returns what came back.
func (b *balancer) envelope(t *testing.T, body string) (loadbalancer.ProxyResponse, *http.Response) {
	t.Helper()
	r := b.request(t, body)
	r.Header.Set("X-Mine", "secret")
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Cookie", "secret=1")
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	answer, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	var out loadbalancer.ProxyResponse
	if err := json.Unmarshal(text, &out); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s", body, answer.Status, text)
	}
	return out, answer
}

func TestProxyRequest_GoesTheWayOfAClientsRequest(t *testing.T) {
	controller, server := newFakeController(t)
	withService(controller, "fib", "/fibonacci", pod(t, echo))
	b := boot(t, server.URL, nil)
	for body, want := range map[string]string{
		`{"target_url": "http://fib-service.default.svc:5001/fib/30?a=b%20c"}`:                     "GET /fib/30?a=b%20c ",
		`{"target_url": "/fibonacci/fib/30"}`:                                                      "GET /fib/30 ",
		`{"target_url": "http://fib-service.default:5001", "method": "DELETE"}`:                    "DELETE / ",
		`{"target_url": "/fibonacci", "data": {"n": 12345678901234567890}}`:                        `POST / {"n": 12345678901234567890}`,
		`{"target_url": "/fibonacci", "data": "text", "method": "PUT"}`:                            `PUT / "text"`,
		`{"target_url": "http://fib-service.default.svc.cluster.local:5001/x", "data": [1, 2.50]}`: "POST /x [1, 2.50]",
	} {
		answer, _ := b.envelope(t, body)
		raw, _ := json.Marshal(answer.Data)
		var got echoed
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if text := got.Method + " " + got.URI + " " + got.Body; text != want {
			t.Errorf("%s: the application saw %q, want %q", body, text, want)
		}
		if answer.Status != 202 || *answer.ContentType != "application/json" || *answer.Pod != "fib-1" || answer.LatencyMs <= 0 {
			t.Errorf("%s: %+v", body, answer)
		}
		for name, values := range got.Header {
			if strings.Contains(strings.Join(values, " "), "secret") || strings.Contains(strings.Join(values, " "), "203.0.113.9") {
				t.Errorf("the application saw the caller's %s: %v", name, values)
			}
		}
		if got.Host != "fib-service.default.svc:5001" || got.Header.Get("X-Forwarded-Prefix") != "/fibonacci" || got.Header.Get("X-Forwarded-For") != "127.0.0.1" ||
			!strings.HasPrefix(got.Header.Get("Traceparent"), "00-4bf92f3577b34da6a3ce929d0e0e4736-") {
			t.Errorf("host %s, header %v", got.Host, got.Header)
		}
	}
	b.logged(t, 6)
	log := b.logs(t, nil)
	if len(log.Items) != 6 {
		t.Fatalf("%d requests in the log", len(log.Items))
	}
	if l := log.Items[5]; l.ClientIp != "127.0.0.1" || *l.Deployment != "fib" || l.Status != 202 || !strings.HasPrefix(*l.Path, "/fibonacci") || *l.TraceId != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("log = %+v", l)
	}
	if a := b.state(t); *a.Connections != 0 {
		t.Errorf("%d client connections are counted, and there are none", *a.Connections)
	}
	controller.await(t, "that they were counted", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "fib")
		return ok && a.Requests == 6 && a.InFlight == 0
	})
}

func TestProxyRequest_WakesAndAnswersInEveryForm(t *testing.T) {
	controller, server := newFakeController(t)
	sleeper(controller, "fib", "/fib", pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/text":
			fmt.Fprint(w, "plain")
		case "/broken":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"half`)
		case "/redirect":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		case "/problem":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"code": "own"}`)
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNoContent)
		}
	})), nil)
	b := boot(t, server.URL, nil)
	for path, want := range map[string]string{
		"/text": `200 "plain"`, "/broken": `200 "{\"half"`, "/redirect": `302`, "/problem": `503 {"code":"own"}`, "/hints": "204 null", "/empty": "200 null",
	} {
		answer, _ := b.envelope(t, `{"target_url": "/fib`+path+`"}`)
		data, _ := json.Marshal(answer.Data)
		if got := fmt.Sprintf("%d %s", answer.Status, data); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if answer, _ := b.envelope(t, `{"target_url": "/fib/text", "method": "HEAD"}`); answer.Status != 200 || answer.Data != nil {
		t.Errorf("HEAD: %+v", answer)
	}
	if n := len(controller.calls()); n != 1 {
		t.Errorf("%d start calls, want 1", n)
	}
}

func TestProxyRequest_IsNoOpenProxy(t *testing.T) {
	controller, server := newFakeController(t)
	reached := false
	withService(controller, "fib", "/fibonacci", pod(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })))
	other := pod(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	b := boot(t, server.URL, nil)
	for _, target := range []string{
		"http://" + other + "/", "http://example.com/", "https://fib-service.default.svc:5001/", "http://a@fib-service.default.svc:5001/",
		"http://fib-service.default.svc:5002/", "ftp://fib-service.default.svc:5001/", "file:///etc/passwd", "//example.com/", "/other", "http://fib-service:5001/",
	} {
		p := problemOf(t, b.request(t, fmt.Sprintf(`{"target_url": %q}`, target)), http.StatusForbidden, "forbidden")
		if e := (*p.Errors)[0]; e.Field != "target_url" || *e.Value != target || e.Allowed != "http://fib-service.default.svc:5001, /fibonacci" {
			t.Errorf("%s: %+v", target, e)
		}
	}
	for _, target := range []string{
		"fib", "http://fib-service.default.svc:5001/../x", "/fibonacci/..%2f..%2fx", "/fibonacci%2fx", "http://fib-service.default.svc:5001/a\nb",
	} {
		problemOf(t, b.request(t, fmt.Sprintf(`{"target_url": %q}`, target)), http.StatusBadRequest, "invalid")
	}
	for body, code := range map[string]string{`{}`: "invalid", `{"target_url": "/fibonacci", "method": "CONNECT"}`: "invalid", `{"target_url": "/fibonacci", "headers": {}}`: "invalid", `{"target_url": "/fibonacci", "data": null}`: "invalid"} {
		problemOf(t, b.request(t, body), http.StatusBadRequest, code)
	}
	problemOf(t, b.request(t, `{"target_url": "/fibonacci", "data": "`+strings.Repeat("x", 1<<20)+`"}`), http.StatusRequestEntityTooLarge, "too-large")
	if reached {
		t.Error("something was reached")
	}
}

func TestProxyRequest_KnownTargetsAreListedWithinABound(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		for i := range 300 {
			name := fmt.Sprintf("application-%03d", i)
			routes[key(name)] = route(name, "/"+name)
		}
	})
	b := boot(t, server.URL, nil)
	p := problemOf(t, b.request(t, `{"target_url": "/other"}`), http.StatusForbidden, "forbidden")
	if allowed := (*p.Errors)[0].Allowed; len(allowed) > 2048 || !strings.HasPrefix(allowed, "/application-000, /application-001") || !strings.HasSuffix(allowed, " more") {
		t.Errorf("%d bytes: %s", len(allowed), allowed)
	}
}

func TestProxyRequest_FaultsAreClear(t *testing.T) {
	controller, server := newFakeController(t)
	for name, handler := range map[string]http.HandlerFunc{
		"breaks": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"halves": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"floods": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 10<<20+1)) },
		"fits":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), 10<<20)) },
		"hangs":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		awake(controller, name, "/"+name, pod(t, handler))
	}
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route("sleeps", "/sleeps")
		r.WakeUpTimeoutSeconds = 1
		routes[key("sleeps")] = r
	})
	b := boot(t, server.URL, nil)
	fails := func(name string, status int, code string) {
		t.Helper()
		p := problemOf(t, b.request(t, `{"target_url": "/`+name+`"}`), status, code)
		if p.Detail == nil || *p.Instance != "/proxy/request" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for _, name := range []string{"breaks", "halves", "floods"} {
		fails(name, 502, "bad-gateway")
	}
	fails("sleeps", 503, "wake-up-timeout")
	if answer, _ := b.envelope(t, `{"target_url": "/fits"}`); len(answer.Data.(string)) != 10<<20 {
		t.Errorf("an answer of the very limit has %d bytes", len(answer.Data.(string)))
	}
	b.put(t, settings("round_robin", 10, 1)) // at last: on a busy machine a whole answer may be silent for as long
	fails("hangs", 504, "upstream-timeout")
}

func TestTargetApp_IsTheApplicationsOwnAPI(t *testing.T) {
	controller, server := newFakeController(t)
	withService(controller, "fib", "/fibonacci", pod(t, echo))
	b := boot(t, server.URL, nil)
	for request, want := range map[string]string{
		"GET /target-app/api?query=30+%26x":              "GET /api?query=30+%26x ",
		"GET /target-app/api":                            "GET /api ",
		"GET /target-app/api?query=1&target=fib&other=x": "GET /api?query=1 ",
		`POST /target-app/api?target=default/fib {"action": "compute", "parameters": {"n": 12345678901234567890}}`: `POST /api {"action": "compute", "parameters": {"n": 12345678901234567890}}`,
		`PUT /target-app/api {"resource_id": "preset", "updates": {}}`:                                             `PUT /api {"resource_id": "preset", "updates": {}}`,
		`PATCH /target-app/api {"resource_id": "preset", "changes": {"n": 3}}`:                                     `PATCH /api {"resource_id": "preset", "changes": {"n": 3}}`,
	} {
		answer, err := client(t).Do(b.target(t, request))
		if err != nil {
			t.Fatal(err)
		}
		var got echoed
		if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if text := got.Method + " " + got.URI + " " + got.Body; text != want {
			t.Errorf("%s: the application saw %q, want %q", request, text, want)
		}
		if answer.StatusCode != http.StatusAccepted || answer.Header.Get("X-Own") != "yes" || answer.Header.Get("Keep-Alive") != "" || answer.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s %v", request, answer.Status, answer.Header)
		}
		if got.Header.Get("Authorization") != "" {
			t.Errorf("the application saw the caller's header: %v", got.Header)
		}
	}
}

func (b *balancer) target(t *testing.T, request string) *http.Request {
	t.Helper()
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, b.admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer secret")
	return r
}

func TestTargetApp_StreamsAndIsCutAsTheApplicationDoes(t *testing.T) {
	next := make(chan struct{})
	controller, server := newFakeController(t)
	awake(controller, "fib", "/fib", pod(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "part\n")
			_ = http.NewResponseController(w).Flush()
			<-next
		}
		panic(http.ErrAbortHandler)
	})))
	b := boot(t, server.URL, nil)
	answer, err := client(t).Do(b.target(t, "GET /target-app/api"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	part := make([]byte, 5)
	for range 3 {
		if _, err := io.ReadFull(answer.Body, part); err != nil || string(part) != "part\n" {
			t.Fatalf("%q, %v", part, err)
		}
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("after the pod broke off: %q and a clean end", rest)
	}
}

func TestTargetApp_MustBeKnownAndClear(t *testing.T) {
	controller, server := newFakeControllerWithRoutes(t)
	b := boot(t, server.URL, nil)
	problemOf(t, b.target(t, "GET /target-app/api"), http.StatusBadRequest, "invalid")
	awake(controller, "a", "/a", pod(t, echo))
	awake(controller, "b", "/b", pod(t, echo))
	testwait.Until(t, "both are known", func() bool { return len(b.state(t).Applications) == 2 })
	for request, want := range map[string]int{
		"GET /target-app/api":                   400, // which of the two?
		"GET /target-app/api?target=c":          403,
		"GET /target-app/api?target=other/a":    403,
		"GET /target-app/api?target=http://a/":  400,
		"POST /target-app/api?target=a {}":      400,
		`PUT /target-app/api?target=a {"x": 1}`: 400,
	} {
		code := map[int]string{400: "invalid", 403: "forbidden"}[want]
		p := problemOf(t, b.target(t, request), want, code)
		if e := (*p.Errors)[0]; e.Field == "target" && !strings.HasPrefix(request, "GET /target-app/api?target=http") && e.Allowed != "default/a, default/b" {
			t.Errorf("%s: %+v", request, e)
		}
	}
	problemOf(t, b.target(t, "DELETE /target-app/api?target=a"), http.StatusMethodNotAllowed, "method-not-allowed")
	r := b.target(t, "POST /target-app/api?target=a {}")
	r.Header.Set("Content-Type", "text/plain")
	problemOf(t, r, http.StatusUnsupportedMediaType, "unsupported-media-type")
	if items := b.logs(t, nil).Items; len(items) != 0 {
		t.Errorf("something was sent: %+v", items)
	}
}

func TestDrain_WhoWaitsOnTheAdminPortIsStillAnswered(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) { routes[key("app")] = route("app", "/app") })
	b := boot(t, server.URL, func(s *app.Settings) { s.DrainTimeout = testwait.Limit() })
	answer := make(chan string, 1)
	go func() {
		r, err := client(t).Do(b.target(t, "GET /target-app/api"))
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = r.Body.Close() }()
		body, _ := io.ReadAll(r.Body)
		answer <- string(body)
	}()
	controller.await(t, "that one waits", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "app")
		return ok && a.Waiting == 1
	})
	b.stop()
	testwait.Until(t, "readyz says draining", func() bool {
		r, err := http.Get(b.admin + "/readyz")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusServiceUnavailable
	})
	awake(controller, "app", "/app", pod(t, says("hello")))
	if body := <-answer; body != "hello" {
		t.Errorf("answer = %q", body)
	}
}
