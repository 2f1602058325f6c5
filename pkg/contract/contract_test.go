package contract

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
)

func TestLimitBody_DeclaredAndUndeclared(t *testing.T) {
	handler := httpserver.LimitBody(4)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			fault.Write(w, r, Refusal(err, 0))
		}
	}))
	for name, c := range map[string]struct {
		body io.Reader
		want int
	}{
		"fits":       {strings.NewReader("1234"), 200},
		"declared":   {strings.NewReader("12345"), 413},
		"undeclared": {io.MultiReader(strings.NewReader("12345")), 413},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", c.body))
		if w.Code != c.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.want)
		}
	}
}

const contract = `
openapi: 3.0.3
info: {title: t, version: v}
paths:
  /things/{name}:
    parameters:
      - {name: name, in: path, required: true, schema: {type: string, maxLength: 3}}
      - {name: wait, in: query, schema: {type: integer, minimum: 0, maximum: 60}}
      - {name: since, in: query, schema: {type: string, format: date-time}}
      - {name: tag, in: query, schema: {type: array, items: {type: string}}}
    put:
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [size]
              additionalProperties: false
              properties:
                size: {type: integer, minimum: 1, maximum: 10}
                kind: {type: string, enum: [A, B], default: A}
                tags: {type: array, maxItems: 1, items: {type: string, pattern: "^[a-z]+$", description: Lower case.}}
      responses: {"200": {description: ok}}
`

func TestValidate_AllowNamesWhatOperationsServe(t *testing.T) {
	spec, err := openapi3.NewLoader().LoadFromData([]byte(contract + `
  /metrics: {post: {responses: {"200": {description: ok}}}}
  /healthz: {}
`))
	if err != nil {
		t.Fatal(err)
	}
	handler := Validate(spec)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for path, want := range map[string]string{"/metrics": "GET, HEAD, POST", "/healthz": "GET, HEAD"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, path, nil))
		if got := w.Header().Get("Allow"); w.Code != 405 || got != want {
			t.Errorf("%s: %d, Allow %q, want %q", path, w.Code, got, want)
		}
	}
}

// unread is a body that fails the test when somebody reads it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of an operation that has none was read")
	return 0, io.EOF
}

func TestValidate_DoesNotWaitForABodyThatTheOperationDoesNotHave(t *testing.T) {
	for _, secured := range []string{"", "security: [{bearer: []}, {}]\n"} {
		spec, err := openapi3.NewLoader().LoadFromData([]byte(secured + contract + `
  /mine: {get: {security: [{bearer: []}], responses: {"200": {description: ok}}}}
  /open: {get: {security: [], responses: {"200": {description: ok}}}}
  /all: {get: {responses: {"200": {description: ok}}}}
components: {securitySchemes: {bearer: {type: http, scheme: bearer}}}
`))
		if err != nil {
			t.Fatal(err)
		}
		handler := Validate(spec)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		for _, path := range []string{"/mine", "/open", "/all", "/none"} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, unread{t}))
			if want := map[bool]int{true: 404, false: 200}[path == "/none"]; w.Code != want {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	}
}

func TestValidate_TakesOneDocument(t *testing.T) {
	spec, err := openapi3.NewLoader().LoadFromData([]byte(contract))
	if err != nil {
		t.Fatal(err)
	}
	handler := Validate(spec)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for body, want := range map[string]int{
		`{"size":1}`: 200, " {\"size\":1}\r\n\t": 200, `{"size":1}{"size":2}`: 400, `{"size":1} x`: 400, `{"size":1}]`: 400, `{"size":1},`: 400, "{\"size\":1}\x00": 400,
	} {
		r := httptest.NewRequest(http.MethodPut, "/things/abc", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	}
}

func TestRefusal_OfABodyThatDoesNotComeSaysSo(t *testing.T) {
	for _, err := range []error{os.ErrDeadlineExceeded, OfBody(fmt.Errorf("read: %w", os.ErrDeadlineExceeded))} {
		if got := Refusal(err, 0); got.Code != fault.RequestTimeout {
			t.Errorf("%v: %s %s", err, got.Code, got.Detail)
		}
	}
}

func TestRefusal_OfAValueThatTheReaderDoesNotTakeNamesIt(t *testing.T) {
	var into struct {
		Size int32 `json:"size"`
	}
	err := json.Unmarshal([]byte(`{"size":3e2}`), &into)
	if err == nil {
		t.Fatal("it was taken")
	}
	want := []fault.Field{{Field: "size", Value: "3e2", Allowed: "a whole number, written without point and exponent"}}
	got := Refusal(fmt.Errorf("can't decode JSON body: %w", err), http.StatusBadRequest)
	if diff := cmp.Diff(want, got.Fields); diff != "" || got.Code != fault.Invalid {
		t.Errorf("%s (-want +got):\n%s", got.Code, diff)
	}
}

func TestValidate_NamesEachFieldItsValueAndWhatIsAllowed(t *testing.T) {
	spec, err := openapi3.NewLoader().LoadFromData([]byte(contract))
	if err != nil {
		t.Fatal(err)
	}
	handler := Validate(spec)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, c := range map[string]struct {
		method, target, media, body string
		status                      int
		fields                      []fault.Field
	}{
		"good":        {"PUT", "/things/abc?wait=3", "application/json", `{"size":3,"kind":"A","tags":["x"]}`, 200, nil},
		"no path":     {"PUT", "/nothing", "application/json", `{}`, 404, nil},
		"no method":   {"GET", "/things/abc", "", "", 405, nil},
		"media":       {"PUT", "/things/abc", "text/plain", `{}`, 415, []fault.Field{{Field: "Content-Type", Value: "text/plain", Allowed: "one of application/json"}}},
		"range":       {"PUT", "/things/abc", "application/json", `{"size":11}`, 400, []fault.Field{{Field: "size", Value: "11", Allowed: "from 1 to 10"}}},
		"enum":        {"PUT", "/things/abc", "application/json", `{"size":1,"kind":"C"}`, 400, []fault.Field{{Field: "kind", Value: "C", Allowed: "one of [A B]"}}},
		"pattern":     {"PUT", "/things/abc", "application/json", `{"size":1,"tags":["X"]}`, 400, []fault.Field{{Field: "tags.0", Value: "X", Allowed: "must match ^[a-z]+$ (Lower case)"}}},
		"items":       {"PUT", "/things/abc", "application/json", `{"size":1,"tags":["a","b"]}`, 400, []fault.Field{{Field: "tags", Allowed: "from 0 to 1 items"}}},
		"type":        {"PUT", "/things/abc", "application/json", `{"size":"one"}`, 400, []fault.Field{{Field: "size", Value: "one", Allowed: "a value of type integer"}}},
		"null":        {"PUT", "/things/abc", "application/json", `{"size":1,"kind":null}`, 400, []fault.Field{{Field: "kind", Allowed: "one of [A B]"}}},
		"missing":     {"PUT", "/things/abc", "application/json", `{}`, 400, []fault.Field{{Field: "size", Allowed: "must be given"}}},
		"query":       {"PUT", "/things/abc?wait=61", "application/json", `{"size":1}`, 400, []fault.Field{{Field: "wait", Value: "61", Allowed: "from 0 to 60"}}},
		"query type":  {"PUT", "/things/abc?wait=x", "application/json", `{"size":1}`, 400, []fault.Field{{Field: "wait", Value: "x", Allowed: "an invalid integer"}}},
		"query twice": {"PUT", "/things/abc?wait=1&wait=2", "application/json", `{"size":1}`, 400, []fault.Field{{Field: "wait", Value: "1, 2", Allowed: "one value"}}},
		"not ours":    {"PUT", "/things/abc?x=1&x=2", "application/json", `{"size":1}`, 200, nil},
		"query list":  {"PUT", "/things/abc?tag=1&tag=2", "application/json", `{"size":1}`, 200, nil},
		"moment":      {"PUT", "/things/abc?since=2026-01-02T03:04:05.6%2B01:00", "application/json", `{"size":1}`, 200, nil},
		"no moment":   {"PUT", "/things/abc?since=today", "application/json", `{"size":1}`, 400, []fault.Field{{Field: "since", Value: "today", Allowed: "a moment such as 2026-01-02T03:04:05Z"}}},
		"leap second": {"PUT", "/things/abc?since=2026-01-02T03:04:60Z", "application/json", `{"size":1}`, 400, []fault.Field{{Field: "since", Value: "2026-01-02T03:04:60Z", Allowed: "a moment such as 2026-01-02T03:04:05Z"}}},
		"year 10000":  {"PUT", "/things/abc?since=9999-12-31T23:59:59-01:00", "application/json", `{"size":1}`, 400, []fault.Field{{Field: "since", Value: "9999-12-31T23:59:59-01:00", Allowed: "a moment such as 2026-01-02T03:04:05Z"}}},
		"large":       {"PUT", "/things/abc", "application/json", `{"size":3000001}`, 400, []fault.Field{{Field: "size", Value: "3000001", Allowed: "from 1 to 10"}}},
		"no JSON":     {"PUT", "/things/abc", "application/json", `{"size":NaN}`, 400, []fault.Field{{Field: "body", Allowed: "well-formed JSON; this is not: invalid character 'N' looking for beginning of value"}}},
		"half a JSON": {"PUT", "/things/abc", "application/json", `{"size":1`, 400, []fault.Field{{Field: "body", Allowed: "well-formed JSON; this is not: unexpected EOF"}}},
		"path":        {"PUT", "/things/abcd", "application/json", `{"size":1}`, 400, []fault.Field{{Field: "name", Value: "abcd", Allowed: "from 0 to 3 characters"}}},
		"several":     {"PUT", "/things/abc", "application/json", `{"size":0,"kind":"C"}`, 400, []fault.Field{{Field: "kind", Value: "C", Allowed: "one of [A B]"}, {Field: "size", Value: "0", Allowed: "from 1 to 10"}}},
		"unknown key": {"PUT", "/things/abc", "application/json", `{"size":1,"more":1}`, 400, []fault.Field{{Field: "more", Value: "", Allowed: "no such field; known are kind, size, tags"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.target, strings.NewReader(c.body))
			if c.media != "" {
				r.Header.Set("Content-Type", c.media)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Fatalf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
			if allow := w.Header().Get("Allow"); (allow != "") != (c.status == 405) || allow != "" && allow != "PUT" {
				t.Errorf("status %d with Allow %q", c.status, allow)
			}
			if c.status == 200 {
				return
			}
			var p struct{ Errors []fault.Field }
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if diff := cmp.Diff(c.fields, p.Errors); diff != "" {
				t.Errorf("errors (-want +got):\n%s\n%s", diff, w.Body)
			}
		})
	}
	// Broken JSON has no field; it must still say where and why.
	r := httptest.NewRequest(http.MethodPut, "/things/abc", strings.NewReader(`{"size":`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"body"`) {
		t.Errorf("broken JSON: %d %s", w.Code, w.Body)
	}
}
