package httpserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestOperations_ReadyOnlyWhenNothingIsMissing(t *testing.T) {
	var ready Readiness
	missing := "caches"
	ready.Add(func() string { return missing })
	ready.Add(func() string { return "" })
	ops := Operations(http.NotFoundHandler(), &ready)
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		ops.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	if w := get("/readyz"); w.Code != 503 || !strings.Contains(w.Body.String(), `"waitingFor":["caches"]`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	missing = ""
	for _, path := range []string{"/readyz", "/healthz"} {
		if w := get(path); w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// A handler beside them, for all other paths, does not know of theirs.
func TestOperations_RefuseOtherMethods(t *testing.T) {
	ops := Operations(http.NotFoundHandler(), &Readiness{})
	ops.Handle("/", http.NotFoundHandler())
	for _, path := range OperationPaths() {
		for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodTrace, "QUERY"} {
			w := httptest.NewRecorder()
			ops.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" || !strings.Contains(w.Body.String(), `"code":"method-not-allowed"`) {
				t.Errorf("%s %s: %d %v %s", method, path, w.Code, w.Header(), w.Body)
			}
		}
	}
}

func TestOperations_TroubleIsShownAndKeepsNobodyFromServing(t *testing.T) {
	var ready Readiness
	missing, trouble := "", []string(nil)
	ready.Add(func() string { return missing })
	ready.AddTrouble(func() []string { return trouble })
	ready.AddTrouble(func() []string { return trouble })
	ops := Operations(http.NotFoundHandler(), &ready)
	for _, c := range []struct {
		missing string
		trouble []string
		status  int
		want    string
	}{
		{"", nil, 200, `{"status":"ok"}`},
		{"", []string{"the log"}, 200, `{"status":"ok","trouble":["the log","the log"]}`},
		{"caches", []string{"the log"}, 503, `{"status":"unavailable","waitingFor":["caches"],"trouble":["the log","the log"]}`},
	} {
		missing, trouble = c.missing, c.trouble
		w := httptest.NewRecorder()
		ops.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || got != c.want {
			t.Errorf("%d %s, want %d %s", w.Code, got, c.status, c.want)
		}
	}
}

func TestOperations_CertificatesAreShownAsFarAsTheContractHasRoom(t *testing.T) {
	var ready Readiness
	begins := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one := CertificateTimes{Use: "port", Begins: begins, Ends: begins.AddDate(0, 0, 1)}
	many := []CertificateTimes(nil)
	ready.AddCertificates(func() []CertificateTimes { return []CertificateTimes{one} })
	ready.AddCertificates(func() []CertificateTimes { return many })
	get := func() (got health) {
		w := httptest.NewRecorder()
		Operations(http.NotFoundHandler(), &ready).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := get().Certificates; len(got) != 1 || got[0] != one {
		t.Errorf("got %+v, want %+v", got, one)
	}
	many = make([]CertificateTimes, 100)
	if got := get().Certificates; len(got) != mostCertificates || got[0] != one {
		t.Errorf("of a hundred and one: %d", len(got))
	}
}

func TestRecover_AnswersAndLetsAnAbortThrough(t *testing.T) {
	w := httptest.NewRecorder()
	Recover(discard())(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") })).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "oops") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint,err113 // by identity, as net/http does
			t.Error("the abort did not come through")
		}
	}()
	Recover(discard())(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}
