package intake

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/batch"
)

type taker struct {
	got  []batch.Item[common.PodMetrics]
	full bool
}

func (t *taker) Put(i batch.Item[common.PodMetrics], _ time.Time) bool {
	if !t.full {
		t.got = append(t.got, i)
	}
	return !t.full
}

func ask(t *testing.T, to *taker, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	return askAs(t, to, func(context.Context, http.Header) (from batch.Pod, known bool, err error) { return from, false, nil }, method, target, body)
}

func askAs(t *testing.T, to *taker, caller Caller, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := Handler(to, caller, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Test-Kept", "1") })
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const push = `{"podName":"p","namespace":"n","ageSeconds":2,"validSeconds":25,"metrics":{"queued":1}}`

func TestHandler_TakesWhatTheControllerTakes(t *testing.T) {
	to := &taker{}
	before := time.Now()
	w := ask(t, to, http.MethodPost, "/metrics", push)
	if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != `{"status":"Metrics received"}` || len(to.got) != 1 {
		t.Fatalf("%d %s, got %v", w.Code, w.Body, to.got)
	}
	i := to.got[0]
	if i.Pod != (batch.Pod{Namespace: "n", Name: "p"}) || i.Until.Sub(i.At) != 25*time.Second || i.At.Before(before.Add(-2*time.Second)) || *i.Push.Metrics.Queued != 1 {
		t.Errorf("%+v", i)
	}
	ask(t, to, http.MethodPost, "/metrics", `{"podName":"p","namespace":"n","metrics":{},"later":true}`)
	if i := to.got[1]; i.Until.Sub(i.At) != 20*time.Second {
		t.Errorf("it counts for %v", i.Until.Sub(i.At))
	}
}

func TestHandler_RefusesWhatTheControllerRefusesInItsWords(t *testing.T) {
	for name, c := range map[string]struct {
		method, target, body string
		status               int
		says                 string
	}{
		"a bad value":    {"POST", "/metrics", `{"podName":"p","namespace":"n","metrics":{"queued":-1}}`, 400, `"field":"metrics.queued"`},
		"no JSON":        {"POST", "/metrics", `{`, 400, "well-formed JSON"},
		"too large":      {"POST", "/metrics", strings.Repeat(" ", maxBody+1), 413, "at most 16384 bytes"},
		"another method": {"PUT", "/metrics", push, 405, "method-not-allowed"},
		"another path":   {"POST", "/v1/traffic", push, 404, "not-found"},
	} {
		t.Run(name, func(t *testing.T) {
			to := &taker{}
			w := ask(t, to, c.method, c.target, c.body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || w.Header().Get("Content-Type") != fault.ContentType || len(to.got) != 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

func TestHandler_SaysWhenNothingCanBePassedOn(t *testing.T) {
	w := ask(t, &taker{full: true}, http.MethodPost, "/metrics", push)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestHandler_APodMeasuresItselfAlone(t *testing.T) {
	for name, c := range map[string]struct {
		from   batch.Pod
		known  bool
		err    error
		method string
		target string
		status int
		says   string
	}{
		"itself":                 {batch.Pod{Namespace: "n", Name: "p"}, true, nil, "POST", "/metrics", 200, "received"},
		"another pod":            {batch.Pod{Namespace: "n", Name: "q"}, true, nil, "POST", "/metrics", 403, "the pod q's in the namespace n"},
		"its name elsewhere":     {batch.Pod{Namespace: "m", Name: "p"}, true, nil, "POST", "/metrics", 403, "namespace m"},
		"nobody":                 {batch.Pod{}, false, fault.New(fault.Unauthenticated, "send a token"), "POST", "/metrics", 401, "send a token"},
		"nobody can tell":        {batch.Pod{}, false, fault.New(fault.Unavailable, "no keys"), "POST", "/metrics", 503, "no keys"},
		"nobody, in other words": {batch.Pod{}, false, fault.New(fault.Unauthenticated, "send a token"), "POST", "/%6Detrics", 401, "send a token"},
		"nobody, by a detour":    {batch.Pod{}, false, fault.New(fault.Unauthenticated, "send a token"), "POST", "//metrics", 404, "not-found"},
		"nobody, not a push":     {batch.Pod{}, false, fault.New(fault.Unauthenticated, "send a token"), "PUT", "/metrics", 405, "method-not-allowed"},
	} {
		to := &taker{}
		w := askAs(t, to, func(context.Context, http.Header) (batch.Pod, bool, error) { return c.from, c.known, c.err }, c.method, c.target, push)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || (len(to.got) > 0) != (c.status == 200) {
			t.Errorf("%s: %d %s, %d taken", name, w.Code, w.Body, len(to.got))
		}
	}
}

// Kept connections are for those who are let in: of whom it is not known who that is, none is kept.
func TestHandler_KeepsNoConnectionOfWhoIsRefused(t *testing.T) {
	refused := fault.New(fault.Unauthenticated, "who are you")
	for name, c := range map[string]struct {
		caller Caller
		kept   bool
	}{
		"who is refused": {func(context.Context, http.Header) (batch.Pod, bool, error) { return batch.Pod{}, false, refused }, false},
		"who is let in":  {func(context.Context, http.Header) (batch.Pod, bool, error) { return batch.Pod{}, false, nil }, true},
	} {
		h, err := Handler(&taker{}, c.caller, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Test-Kept", "1") })
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/metrics", strings.NewReader(`{}`)))
		if kept := w.Header().Get("Test-Kept") != ""; kept != c.kept || (w.Header().Get("Connection") == "close") == c.kept {
			t.Errorf("%s: %v", name, w.Header())
		}
	}
}
