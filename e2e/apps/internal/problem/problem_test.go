package problem_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
)

func TestWrite_SaysStatusFieldValueAndRetry(t *testing.T) {
	p := problem.Invalid(problem.Field{Field: "n", Value: "x", Allowed: "0 to 45"})
	p.RetryAfter = 3
	rec := httptest.NewRecorder()
	problem.Write(rec, httptest.NewRequest(http.MethodGet, "/fib/x", nil), p)

	if rec.Code != 400 || rec.Header().Get("Content-Type") != "application/problem+json" || rec.Header().Get("Retry-After") != "3" {
		t.Fatalf("status %d, header %v", rec.Code, rec.Header())
	}
	var got struct {
		Type, Title, Code, Instance, Detail string
		Status, RetryAfterSeconds           int
		Errors                              []problem.Field
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "urn:nemesis:problem:invalid" || got.Code != "invalid" || got.Status != 400 || got.Title == "" ||
		got.Instance != "/fib/x" || got.RetryAfterSeconds != 3 || got.Detail != "n: x is not allowed; allowed: 0 to 45" ||
		len(got.Errors) != 1 || got.Errors[0] != (problem.Field{Field: "n", Value: "x", Allowed: "0 to 45"}) {
		t.Errorf("got %+v", got)
	}
}

func TestShorten_KeepsWholeCharacters(t *testing.T) {
	got := problem.Shorten(strings.Repeat("é", 300) + "end")
	if len(got) > 260 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
	odd := problem.Shorten("a" + strings.Repeat("é", 300))
	if !utf8.ValidString(odd) || len(odd) > 260 {
		t.Errorf("got %d bytes: %q", len(odd), odd)
	}
}

func TestRouter_RefusesWithProblems(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /here/{x}", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.PathValue("x"))) })
	router := problem.Router(mux, "GET /here/{x}")
	for _, c := range []struct {
		method, path, allow, body string
		status                    int
	}{
		{"GET", "/here/7", "", "7", 200},
		{"GET", "/there", "", "GET /here/{x}", 404},
		{"DELETE", "/here/7", "GET, HEAD", `"value":"DELETE"`, 405},
	} {
		rec := httptest.NewRecorder()
		router.ServeHTTP(rec, httptest.NewRequest(c.method, c.path, nil))
		if rec.Code != c.status || rec.Header().Get("Allow") != c.allow || !strings.Contains(rec.Body.String(), c.body) {
			t.Errorf("%s %s: %d %v %s", c.method, c.path, rec.Code, rec.Header(), rec.Body)
		}
		if c.status >= 400 && rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %s", c.method, c.path, rec.Header().Get("Content-Type"))
		}
	}
}
