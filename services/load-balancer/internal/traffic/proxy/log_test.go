package proxy_test

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/connections"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/upstream"
)

// told is an access log that hands on what it is told.
type told chan accesslog.Record

func (c told) Add(r *accesslog.Record) { c <- *r }

// waking is a waker whose application wakes at once, if its pod has an address.
type waking func()

func (w waking) Wake(*dispatch.Need) { go w() }

type noProber struct{}

func (noProber) Probe(*dispatch.Pod, <-chan struct{}) {}

// tracer gives every exchange the same ids.
type tracer struct{ noop.Tracer }

var ids = trace.NewSpanContext(trace.SpanContextConfig{TraceID: [16]byte{1, 2}, SpanID: [8]byte{3, 4}})

func (tracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx = trace.ContextWithSpanContext(ctx, ids)
	return ctx, trace.SpanFromContext(ctx)
}

var shop = routing.Application{Namespace: "default", Deployment: "shop"}

// front serves a proxy before the application shop, which sleeps and wakes when it is asked for,
// with one pod that answers as handler does; without one it never wakes.
func front(t *testing.T, handler http.Handler) (url, pod string, log told) {
	t.Helper()
	route := routing.Route{Application: shop, Prefix: "/shop", State: routing.Asleep, WakeUpTimeout: 50 * time.Millisecond}
	woken := route
	if handler != nil {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		pod = strings.TrimPrefix(server.URL, "http://")
		woken.State, route.WakeUpTimeout = routing.Awake, time.Minute
		woken.Endpoints = []routing.Endpoint{{Pod: "shop-1", Address: pod, Ready: true}}
	}
	var d *dispatch.Dispatcher
	d = dispatch.New(dispatch.Options{
		RoomRequests: 10, RoomBytes: 1 << 20, Now: time.Now, Intn: rand.IntN, Chance: rand.Float64, Prober: noProber{}, ReportSoon: func() {},
		Waker: waking(func() { d.Apply(routing.Update{Version: "2", Routes: []routing.Route{woken}}) }),
	})
	d.Apply(routing.Update{Version: "1", Complete: true, Routes: []routing.Route{route}})
	client := upstream.New(upstream.Options{})
	t.Cleanup(client.Close)
	registry := prometheus.NewRegistry()
	log = make(told, 100)
	server := httptest.NewServer(proxy.New(proxy.Options{
		Matcher: d, Sender: client, Gate: connections.NewGate(func() int { return 100 }, registry), AccessLog: log,
		LogRequest: []string{"accept-language", "x-none"}, LogResponse: []string{"x-served-by"},
		Limits:         proxy.Limits{Body: 1 << 20, URI: 1 << 12, StreamIdle: time.Minute},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Log:            slog.New(slog.DiscardHandler), Tracer: tracer{}, Metrics: proxy.NewMetrics(registry),
	}))
	t.Cleanup(server.Close)
	return server.URL, pod, log
}

func ask(t *testing.T, method, url, body string, header map[string]string) string {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func TestAccessLog_IsToldTheWholeExchange(t *testing.T) {
	url, pod, log := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Add("X-Served-By", "a")
		w.Header().Add("X-Served-By", "b")
		_, _ = io.WriteString(w, "hello")
	}))
	ask(t, http.MethodPut, url+"/shop/cart?item=1", "body", map[string]string{
		"X-Request-Id": "r-1", "User-Agent": "tester", "Referer": "http://x/", "Content-Type": "text/plain", "Accept-Language": "de", "Cookie": "secret",
		"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https",
	})
	got := <-log
	want := accesslog.Record{
		Method: "PUT", Scheme: "https", Host: strings.TrimPrefix(url, "http://"), Path: "/shop/cart", Query: "item=1", Version: "1.1", RequestID: "r-1",
		UserAgent: "tester", Referrer: "http://x/", RequestType: "text/plain", RequestHeaders: []accesslog.Header{{Name: "accept-language", Values: []string{"de"}}},
		Client: "203.0.113.9", Peer: "127.0.0.1", Application: accesslog.Application(shop), Pod: "shop-1", Address: pod, PodPath: "/cart", Policy: got.Policy, Tries: 1,
		Status: 200, ResponseType: "text/plain; charset=utf-8", ResponseHeaders: []accesslog.Header{{Name: "x-served-by", Values: []string{"a", "b"}}},
		RequestBytes: 4, ResponseBytes: 5, WakeUp: ids.TraceID().String(), TraceID: ids.TraceID(), SpanID: ids.SpanID(),
	}
	measured := cmpopts.IgnoreFields(accesslog.Record{}, "ArrivedAt", "Took", "Waited", "FirstByte", "Upstream", "PeerPort")
	if !cmp.Equal(want, got, measured) {
		t.Errorf("(-want +got)\n%s", cmp.Diff(want, got, measured))
	}
	if got.Waited <= 0 || got.Upstream <= 0 || got.FirstByte < got.Waited || got.FirstByte > got.Took || got.Upstream+got.Waited > got.Took {
		t.Errorf("took %v: waited %v, on the pod %v, first byte after %v", got.Took, got.Waited, got.Upstream, got.FirstByte)
	}
	if got.PeerPort == 0 || got.Policy == "" {
		t.Errorf("from port %d to a pod because of %q", got.PeerPort, got.Policy)
	}
	ask(t, http.MethodGet, url+"/shop/", "", nil)
	if got := <-log; got.WakeUp != "" || got.Waited != 0 || got.Scheme != "http" || got.RequestHeaders != nil {
		t.Errorf("the second one: %+v", got)
	}
}

func TestAccessLog_IsToldWhatARefusalWas(t *testing.T) {
	url, _, log := front(t, nil)
	for path, want := range map[string]string{"/none": "not-found", "/shop/": "wake-up-timeout"} {
		ask(t, http.MethodGet, url+path, "", nil)
		got := <-log
		if got.Refusal != want || got.ResponseType != "application/problem+json" || got.Upstream != 0 || got.FirstByte != 0 || got.Error == "" {
			t.Errorf("%s: %+v", path, got)
		}
		if waited := got.Waited > 0; waited != (got.WakeUp != "") || waited != (path == "/shop/") {
			t.Errorf("%s waited %v for the wake-up %q", path, got.Waited, got.WakeUp)
		}
	}
}

func TestAccessLog_IsToldWhatALanguageModelSaysOfItself(t *testing.T) {
	const answer = `{"model":"llama","usage":{"prompt_tokens":3,"completion_tokens":4}}`
	url, _, log := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		if r.URL.Query().Has("zip") {
			w.Header().Set("Content-Encoding", "gzip") // which it is not: it shall not even be looked at
		}
		if r.URL.Query().Has("fails") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		if r.URL.Query().Has("other") {
			_, _ = io.WriteString(w, `{}`)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	told := genai.Facts{Model: "llama", InputTokens: 3, OutputTokens: 4}
	type call struct {
		method, query string
		want          genai.Facts
	}
	calls := []call{
		{"POST", "type=application/json", told}, {"POST", "other&type=application/json", genai.Facts{}}, {"POST", "type=text/event-stream", told},
		{"POST", "type=application/x-ndjson", told}, {"POST", "type=text/plain", genai.Facts{}}, {"GET", "type=application/json", genai.Facts{}},
		{"POST", "zip&type=application/json", genai.Facts{}}, {"POST", "fails&type=application/json", genai.Facts{}},
	}
	for range 20 { // taps are used again: one answer's facts are none of the next one's
		calls = append(calls, calls[:2]...)
	}
	for _, c := range calls {
		body := ask(t, c.method, url+"/shop/chat?"+c.query, "{}", nil)
		if got := <-log; got.GenAI != c.want {
			t.Errorf("%s %s: %+v", c.method, c.query, got.GenAI)
		}
		if c.want == told && body != answer {
			t.Errorf("%s %s: the client got %s", c.method, c.query, body)
		}
	}
}

func TestAccessLog_IsToldWhenTheFirstTokenCame(t *testing.T) {
	rest := make(chan struct{})
	url, _, log := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-rest
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	}))
	answer, err := http.Post(url+"/shop/chat", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.ReadFull(answer.Body, make([]byte, 9))
	seen := time.Now()
	close(rest)
	_, _ = io.Copy(io.Discard, answer.Body)
	if got := <-log; got.FirstByte <= 0 || got.ArrivedAt.Add(got.FirstByte).After(seen) || got.Took <= got.FirstByte {
		t.Errorf("first byte after %v of %v; the client had it %v after the arrival", got.FirstByte, got.Took, seen.Sub(got.ArrivedAt))
	}
}
