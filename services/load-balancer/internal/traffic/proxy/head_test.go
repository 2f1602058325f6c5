package proxy

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// exchangeOf is an exchange that was routed, with the peer 192.0.2.1.
func exchangeOf(tb testing.TB, r *http.Request, trusted ...string) *exchange {
	tb.Helper()
	prefixes := make([]netip.Prefix, 0, len(trusted))
	for _, p := range trusted {
		prefixes = append(prefixes, netip.MustParsePrefix(p))
	}
	w := httptest.NewRecorder()
	p := New(Options{
		Log: slog.New(slog.DiscardHandler), Tracer: noop.NewTracerProvider().Tracer(""), Metrics: NewMetrics(prometheus.NewRegistry()),
		TrustedProxies: prefixes, Limits: Limits{Body: 1 << 20, URI: 1 << 10},
	})
	ctx, span := p.o.Tracer.Start(context.Background(), "")
	return &exchange{
		p: p, w: w, r: r, control: http.NewResponseController(w), ctx: ctx, span: span,
		match: routing.Match[*dispatch.Application]{Target: &dispatch.Application{}, Prefix: "/fib", Path: "/1"},
	}
}

func TestPrepare_StripsWhatConcernsOneConnection(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/fib/1?q=%2F", nil)
	for name, value := range map[string]string{
		"Connection": "close, X-Secret , keep-alive", "X-Secret": "1", "Keep-Alive": "timeout=5", "Proxy-Authorization": "x", "Te": "gzip",
		"Transfer-Encoding": "chunked", "Upgrade": "h2c", "X-Kept": "yes",
	} {
		r.Header.Set(name, value)
	}
	x := exchangeOf(t, r)
	x.prepare()
	for name := range x.request.Header {
		if !strings.HasPrefix(name, "X-Forwarded-") && name != "X-Kept" {
			t.Errorf("%s was left", name)
		}
	}
	if x.request.Target != "/1?q=%2F" || x.request.Upgrade != "" || x.request.Host != "example.com" {
		t.Errorf("request = %+v", x.request)
	}
}

func TestPrepare_KeepsUpgradesAndTrailersButHTTP2(t *testing.T) {
	for upgrade, want := range map[string]string{"websocket": "websocket", "h2c": "", "H2C": ""} {
		r := httptest.NewRequest(http.MethodGet, "/fib", nil)
		r.Header.Set("Connection", "keep-alive, Upgrade")
		r.Header.Set("Upgrade", upgrade)
		r.Header.Set("TE", "gzip;q=1, trailers")
		x := exchangeOf(t, r)
		x.prepare()
		if x.request.Upgrade != want || x.request.Header.Get("Te") != "trailers" {
			t.Errorf("%s: upgrade %q, TE %q", upgrade, x.request.Upgrade, x.request.Header.Get("Te"))
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/fib", nil)
	r.Header.Set("Upgrade", "websocket") // not named in Connection: meant for somebody else
	x := exchangeOf(t, r)
	x.prepare()
	if x.request.Upgrade != "" {
		t.Error("an Upgrade that Connection does not name was passed on")
	}
}

func TestForwarded_IsBelievedOnlyOfTrustedProxies(t *testing.T) {
	claims := map[string]string{
		"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example", "X-Forwarded-Prefix": "/outer", "Forwarded": "for=x",
	}
	for name, test := range map[string]struct {
		trusted []string
		want    map[string]string
	}{
		"a stranger": {[]string{"10.0.0.0/8"}, map[string]string{
			"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "example.com", "X-Forwarded-Prefix": "/fib", "Forwarded": "",
		}},
		"a trusted proxy": {[]string{"10.0.0.0/8", "192.0.2.0/24"}, map[string]string{
			"X-Forwarded-For": "203.0.113.9, 192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example", "X-Forwarded-Prefix": "/outer/fib", "Forwarded": "for=x",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/fib/1", nil)
			for name, value := range claims {
				r.Header.Set(name, value)
			}
			x := exchangeOf(t, r, test.trusted...)
			x.prepare()
			for name, want := range test.want {
				if got := x.request.Header.Get(name); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestProxy_RefusalsAreProblems(t *testing.T) {
	x := exchangeOf(t, httptest.NewRequest(http.MethodGet, "/", nil))
	log := &records{}
	x.p.o.Matcher, x.p.o.Gate, x.p.o.AccessLog = empty{}, open{}, log
	for name, test := range map[string]struct {
		r      *http.Request
		status int
	}{
		"CONNECT":       {httptest.NewRequest(http.MethodConnect, "example.com:443", nil), 405},
		"a long target": {httptest.NewRequest(http.MethodGet, "/"+strings.Repeat("x", 2000), nil), 400},
		"a large body":  {httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 1<<20+1))), 413},
		"no route":      {httptest.NewRequest(http.MethodGet, "/nothing", nil), 404},
		"an odd path":   {httptest.NewRequest(http.MethodGet, "/a%00", nil), 400},
	} {
		w := httptest.NewRecorder()
		x.p.ServeHTTP(w, test.r)
		body, _ := io.ReadAll(w.Body)
		if w.Code != test.status || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", name, w.Code, body)
		}
		if r := log.last(); r.Status != test.status || r.Method != test.r.Method || r.Client != "192.0.2.1" || r.Error == "" || r.Pod != "" || r.Took <= 0 {
			t.Errorf("%s: the log has %+v", name, r)
		}
	}
}
