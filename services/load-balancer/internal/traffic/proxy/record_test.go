package proxy

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// What the ports of a proxy are in tests that need no more.
type (
	empty   struct{} // no routes
	open    struct{}
	closed  struct{}
	records struct{ all []accesslog.Record }
)

func (empty) Match(_, path string) (routing.Match[*dispatch.Application], error) {
	_, err := routing.Normalise(path)
	return routing.Match[*dispatch.Application]{}, cmp.Or(err, routing.ErrNoRoute)
}
func (empty) Find(routing.Application) (*dispatch.Application, bool) { return nil, false }
func (open) Over(context.Context) (int, bool)                        { return 7, false }
func (closed) Over(context.Context) (int, bool)                      { return 7, true }
func (l *records) Add(r *accesslog.Record)                           { l.all = append(l.all, *r) }
func (l *records) last() accesslog.Record                            { return l.all[len(l.all)-1] }

func TestProxy_OneConnectionTooManyIsTold(t *testing.T) {
	x := exchangeOf(t, httptest.NewRequest(http.MethodGet, "/", nil))
	log := &records{}
	x.p.o.Matcher, x.p.o.Gate, x.p.o.AccessLog = empty{}, closed{}, log
	w := httptest.NewRecorder()
	x.p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/fib/1", strings.NewReader("x")))
	if w.Code != 503 || w.Header().Get("Connection") != "close" || w.Header().Get("Retry-After") != "1" ||
		!strings.Contains(w.Body.String(), `"too-many-connections"`) || !strings.Contains(w.Body.String(), "7 client connections") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if r := log.last(); r.Status != 503 || r.Path != "/fib/1" {
		t.Errorf("the log has %+v", r)
	}
}

func TestClient_IsWhoStandsBeforeTheTrustedProxies(t *testing.T) {
	for name, c := range map[string]struct {
		trusted []string
		chain   []string
		want    string
	}{
		"nobody is trusted":               {nil, []string{"198.51.100.7"}, "192.0.2.1"},
		"another one is trusted":          {[]string{"10.0.0.0/8"}, []string{"198.51.100.7"}, "192.0.2.1"},
		"the peer is trusted":             {[]string{"192.0.2.0/24"}, []string{"198.51.100.7"}, "198.51.100.7"},
		"what stands before is a claim":   {[]string{"192.0.2.0/24"}, []string{"127.0.0.1, 198.51.100.7"}, "198.51.100.7"},
		"two trusted ones":                {[]string{"192.0.2.0/24", "10.0.0.0/8"}, []string{"6.6.6.6, 198.51.100.7,10.1.1.1"}, "198.51.100.7"},
		"in several lines":                {[]string{"192.0.2.0/24", "10.0.0.0/8"}, []string{"6.6.6.6, 198.51.100.7", "10.1.1.1"}, "198.51.100.7"},
		"all are trusted":                 {[]string{"192.0.2.0/24", "10.0.0.0/8"}, []string{"10.2.2.2, 10.1.1.1"}, "10.2.2.2"},
		"the trusted one says nothing":    {[]string{"192.0.2.0/24"}, nil, "192.0.2.1"},
		"the trusted one says no address": {[]string{"192.0.2.0/24"}, []string{"198.51.100.7, unknown"}, "192.0.2.1"},
		"with a port":                     {[]string{"192.0.2.0/24"}, []string{"198.51.100.7:4711"}, "198.51.100.7"},
		"IPv6 with a port":                {[]string{"192.0.2.0/24"}, []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		"IPv4 in IPv6":                    {[]string{"192.0.2.0/24"}, []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
	} {
		for _, prepared := range []bool{false, true} {
			r := httptest.NewRequest(http.MethodGet, "/fib/1", nil)
			if c.chain != nil {
				r.Header["X-Forwarded-For"] = c.chain
			}
			x := exchangeOf(t, r, c.trusted...)
			if prepared { // the header then has the peer too
				x.prepare()
			}
			if got := x.client(); got != c.want || x.peer != "192.0.2.1" {
				t.Errorf("%s, prepared %v: %s by way of %s, want %s", name, prepared, got, x.peer, c.want)
			}
		}
	}
}

func FuzzClient(f *testing.F) {
	f.Add("198.51.100.7, 192.0.2.9")
	f.Add(",,[::1]:5,")
	f.Fuzz(func(t *testing.T, chain string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["X-Forwarded-For"] = []string{chain}
		got := exchangeOf(t, r, "0.0.0.0/0", "::/0").client()
		if address, _, _ := strings.Cut(got, "%"); net.ParseIP(address) == nil {
			t.Errorf("%q gives the client %q, which is no address", chain, got)
		}
	})
}
