package app

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/ingest"
)

// way is the API with one of its two ways for pushes, and what came of them.
type way struct {
	http.Handler
	address string
	token   string
	mu      sync.Mutex
	got     []fleet.Measurement
}

func (w *way) Measure(list []fleet.Measurement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, list...)
}
func (w *way) Measured(fleet.Source, int)        {}
func (w *way) Refused(int)                       {}
func (w *way) Leader() (string, <-chan struct{}) { return "", nil }
func (w *way) Polling(int)                       {}
func (w *way) RelayFailed(string)                {}
func (w *way) Watching(int)                      {}
func (w *way) WatchEnded(string)                 {}
func (w *way) Following(int)                     {}
func (w *way) BodyRefused(httpapi.BodyFault)     {}

func newWay(tb testing.TB, short bool) *way {
	tb.Helper()
	return newGuardedWay(tb, short, nil, "")
}

func newGuardedWay(tb testing.TB, short bool, judge httpapi.Guard, token string) *way {
	tb.Helper()
	w := &way{token: token}
	pushed, err := ingest.NewMetrics(w, w, nil)
	if err != nil {
		tb.Fatal(err)
	}
	o := httpapi.Options{Guard: judge, Metrics: pushed, Leadership: w, Meter: w, Log: slog.New(slog.DiscardHandler), Missing: func() string { return "" }}
	if short {
		o.Pushes = pushed
	}
	if w.Handler, err = httpapi.New(o); err != nil {
		tb.Fatal(err)
	}
	return w
}

func (w *way) push(path, body string) *httptest.ResponseRecorder {
	w.got = nil
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if w.token != "" {
		r.Header.Set("Authorization", "Bearer "+w.token)
	}
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	return answer
}

// answered is what a client sees, and what became of the values: the moment of a measurement aside, which
// is that of its coming.
type answered struct {
	Status int
	Header http.Header
	Body   string
	Got    []fleet.Measurement
}

// traceID is that of a span, which no two requests have in common.
var traceID = regexp.MustCompile(`"traceId":"[0-9a-f]+",`)

func (w *way) answers(path, body string) answered {
	a := w.push(path, body)
	return answered{a.Code, a.Header(), traceID.ReplaceAllString(a.Body.String(), ""), w.got}
}

// FuzzPush_BothWaysAnswerAlike holds the short way of pushes to the long one, over the whole API: the
// same status, the same bytes, the same measurement.
func FuzzPush_BothWaysAnswerAlike(f *testing.F) {
	short, long := newWay(f, true), newWay(f, false)
	for _, body := range []string{
		`{"podName":"web-7d4b9c-x2x4k","namespace":"default","ageSeconds":0.25,"windowSeconds":5,"validSeconds":25,"metrics":{"cpuUsage":412.5,"memoryUsage":11.2,"inFlight":3,"cacheUsage":0.25}}`,
		`{"podName":"P","namespace":"default","metrics":{"cpuUsage":-1}}`, `{"podName":"p","podname":"q","namespace":"n","metrics":{"queued":1e400}}`,
		`{"podName":"p","namespace":"n","later":[1],"metrics":{"gpuUsage":101}}`, `{`, `null`, `[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]`, `{"podName":"p","namespace":"n","metrics":{}} x`,
		`{"items":[{"podName":"p","namespace":"n","metrics":{"queued":1}},{"podName":"p"}]}`, `{"items":[]}`, `{"collector":"c","items":[1,2],"later":{}}`,
	} {
		f.Add(body, false)
		f.Add(body, true)
	}
	f.Fuzz(func(t *testing.T, body string, batch bool) {
		path := "/metrics"
		if batch {
			path = "/v1/pod-metrics"
		}
		a, b := short.answers(path, body), long.answers(path, body)
		if diff := cmp.Diff(b, a, cmpopts.IgnoreUnexported(fleet.Measurement{}), cmpopts.IgnoreFields(fleet.Measurement{}, "At", "From")); diff != "" {
			t.Errorf("POST %s %q (-long +short):\n%s", path, body, diff)
		}
	})
}

// The cost of a push from the handler on, by each way.
func BenchmarkPush(b *testing.B) {
	const body = `{"podName":"web-7d4b9c-x2x4k","namespace":"default","ageSeconds":0.25,"windowSeconds":5,"validSeconds":25,` +
		`"metrics":{"cpuUsage":412.5,"memoryUsage":11.2,"responseTime":38.4,"requestRate":12.5,"inFlight":3,"queued":0,"cacheUsage":0.25}}`
	keys := newIssuer(b)
	token, judge := keys.token(b, "default", "default", "web-7d4b9c-x2x4k"), keys.guard(b)
	for _, way := range []struct {
		name string
		*way
	}{{"short", newWay(b, true)}, {"short, with a token", newGuardedWay(b, true, judge, token)}, {"long", newWay(b, false)}, {"long, with a token", newGuardedWay(b, false, judge, token)}} {
		w := way.way
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if a := w.push("/metrics", body); a.Code != http.StatusOK {
					said, _ := io.ReadAll(a.Body)
					b.Fatalf("status %d: %s", a.Code, said)
				}
			}
		})
	}
}

// A pod of which the issuer says so measures itself, by both ways, and no other.
func TestPush_ByASignedToken(t *testing.T) {
	keys := newIssuer(t)
	for _, short := range []bool{true, false} {
		for name, c := range map[string]struct {
			token string
			want  int
		}{
			"the pod":              {keys.token(t, "default", "default", "p"), 200},
			"another pod":          {keys.token(t, "default", "default", "q"), 403},
			"of another namespace": {keys.token(t, "other", "default", "p"), 403},
			"a collector":          {keys.token(t, "nemesis-system", "metrics-collector", "c"), 200},
			"another issuer's":     {newIssuer(t).token(t, "default", "default", "p"), 401},
			"none":                 {"", 401},
		} {
			w := newGuardedWay(t, short, keys.guard(t), c.token)
			if a := w.push("/metrics", `{"podName":"p","namespace":"default","metrics":{"queued":1}}`); a.Code != c.want || (len(w.got) == 1) != (c.want == 200) {
				t.Errorf("%s, the short way %v: %d, want %d, taken %v: %s", name, short, a.Code, c.want, w.got, a.Body)
			}
		}
	}
}
