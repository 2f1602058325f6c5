package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
)

// application is one pod, whose presets stay between requests.
func application() func(method, target, body string) *httptest.ResponseRecorder {
	h := handler(45, "pod-1", nil, slog.New(slog.DiscardHandler))
	return func(method, target, body string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		h.ServeHTTP(rec, r)
		return rec
	}
}

func TestAPI_ComputesAndKeepsPresets(t *testing.T) {
	ask := application()
	for _, step := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "/api?query=10", "", 200, `"result":55`},
		{"GET", "/api", "", 200, `"n":30`},
		{"POST", "/api", `{"action": "compute", "parameters": {"n": 12}}`, 200, `"result":144`},
		{"POST", "/api", `{"action": "compute", "parameters": {"preset": "standard"}}`, 200, `"result":832040`},
		{"POST", "/api", `{"action": "compute", "parameters": {"preset": "mine"}}`, 404, `"not-found"`},
		{"PATCH", "/api", `{"resource_id": "mine", "changes": {"n": 3}}`, 404, `"not-found"`},
		{"PUT", "/api", `{"resource_id": "mine", "updates": {"n": 7}}`, 201, `{"resource_id":"mine","n":7,"pod":"pod-1"}`},
		{"POST", "/api", `{"action": "compute", "parameters": {"preset": "mine"}}`, 200, `"result":13`},
		{"PUT", "/api", `{"resource_id": "mine", "updates": {"n": 8}}`, 200, `"n":8`},
		{"PATCH", "/api", `{"resource_id": "mine", "changes": {"n": 9}}`, 200, `"n":9`},
		{"PATCH", "/api", `{"resource_id": "mine", "changes": {}}`, 200, `"n":9`},
		{"POST", "/api", `{"action": "compute", "parameters": {"preset": "mine"}}`, 200, `"result":34`},
		{"DELETE", "/api", "", 405, `"method-not-allowed"`},
	} {
		if rec := ask(step.method, step.target, step.body); rec.Code != step.status || !strings.Contains(rec.Body.String(), step.want) {
			t.Errorf("%s %s %s: %d %s, want %d with %s", step.method, step.target, step.body, rec.Code, rec.Body, step.status, step.want)
		}
	}
}

func TestAPI_RefusesWithFieldValueAndWhatIsAllowed(t *testing.T) {
	ask := application()
	for request, want := range map[string]problem.Field{
		"GET /api?query=46":        {Field: "query", Value: "46", Allowed: "a whole number from 0 to 45"},
		"GET /api?query=":          {Field: "query", Allowed: "a whole number from 0 to 45"},
		"GET /api?query=1&query=2": {Field: "query", Value: "2 values", Allowed: "one whole number from 0 to 45"},
		`POST /api {"action": "explode", "parameters": {}}`:                             {Field: "action", Value: "explode", Allowed: "compute"},
		`POST /api {"action": "compute"}`:                                               {Field: "parameters", Allowed: "either n or preset"},
		`POST /api {"action": "compute", "parameters": {"n": 1, "preset": "standard"}}`: {Field: "parameters", Allowed: "either n or preset"},
		`POST /api {"action": "compute", "parameters": {"n": 46}}`:                      {Field: "parameters.n", Value: "46", Allowed: "a whole number from 0 to 45"},
		`PUT /api {"resource_id": "x", "updates": {}}`:                                  {Field: "updates.n", Allowed: "a whole number from 0 to 45"},
		`PUT /api {"updates": {"n": 1}}`:                                                {Field: "resource_id", Allowed: "from 1 to 64 bytes"},
		`PATCH /api {"resource_id": "standard", "changes": {"n": -1}}`:                  {Field: "changes.n", Value: "-1", Allowed: "a whole number from 0 to 45"},
	} {
		method, rest, _ := strings.Cut(request, " ")
		target, body, _ := strings.Cut(rest, " ")
		rec := ask(method, target, body)
		var got struct{ Errors []problem.Field }
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != http.StatusBadRequest || len(got.Errors) != 1 || got.Errors[0] != want {
			t.Errorf("%s: %d %s, want %+v", request, rec.Code, rec.Body, want)
		}
	}
	for body, want := range map[string]int{
		`{"action": "compute", "parameters": {"n": "ten"}}`: 400, `{"resource": 1}`: 400, `[]`: 400, `{`: 400, `{} {}`: 400,
		`{"action": "` + strings.Repeat("x", maxBody) + `"}`: 413,
	} {
		if rec := ask("POST", "/api", body); rec.Code != want || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.60s: %d %s", body, rec.Code, rec.Body)
		}
	}
	if rec := ask("POST", "/api", ""); rec.Code != http.StatusUnsupportedMediaType {
		t.Errorf("without a type: %d %s", rec.Code, rec.Body)
	}
}

func TestAPI_KeepsSoManyPresetsAndNoMore(t *testing.T) {
	ask := application()
	for i := range mostPresets - 1 { // one is there at first
		if rec := ask("PUT", "/api", fmt.Sprintf(`{"resource_id": "preset-%d", "updates": {"n": 1}}`, i)); rec.Code != http.StatusCreated {
			t.Fatalf("preset %d: %d %s", i, rec.Code, rec.Body)
		}
	}
	if rec := ask("PUT", "/api", `{"resource_id": "one-more", "updates": {"n": 1}}`); rec.Code != http.StatusConflict {
		t.Errorf("one more: %d %s", rec.Code, rec.Body)
	}
	if rec := ask("PUT", "/api", `{"resource_id": "preset-0", "updates": {"n": 2}}`); rec.Code != http.StatusOK {
		t.Errorf("one that is there: %d %s", rec.Code, rec.Body)
	}
}
