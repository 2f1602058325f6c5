package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRead_IsWhatWasWritten(t *testing.T) {
	for code := range kinds {
		want := New(code, "what to do").After(1500*time.Millisecond).With("a", "1", "2").With("b", "", "3")
		w := httptest.NewRecorder()
		Write(w, httptest.NewRequest(http.MethodGet, "/", nil), want)
		got, ok := Read(w.Code, w.Body.Bytes())
		want.RetryAfter = 2 * time.Second // in whole seconds
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Error{}, "Cause")); !ok || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", code, ok, diff)
		}
		if cause := got.Cause.Error(); !strings.HasPrefix(cause, fmt.Sprintf("%d ", w.Code)) || !strings.Contains(cause, "what to do") {
			t.Errorf("%s: cause %q", code, cause)
		}
	}
}

func TestRead_OfWhatIsNoneOfOurs(t *testing.T) {
	for body, want := range map[string]struct {
		problem bool
		code    Code
		detail  string
	}{
		"":                                   {false, Conflict, ""},
		"<html>":                             {false, Conflict, ""},
		"[]":                                 {false, Conflict, ""},
		`{"detail":"no code"}`:               {false, Conflict, ""},
		`{"code":7}`:                         {false, Conflict, ""},
		`{"code":"conflict"}`:                {true, Conflict, ""},
		`{"code":"brand-new","detail":"no"}`: {true, Conflict, "no"},
		`{"code":"invalid","detail":"of another status"}`: {true, Conflict, "of another status"},
	} {
		e, ok := Read(http.StatusConflict, []byte(body))
		if ok != want.problem || e.Code != want.code || e.Detail != want.detail || e.Cause == nil {
			t.Errorf("%s: %+v, %v", body, e, ok)
		}
	}
	if e, _ := Read(http.StatusTeapot, nil); e.Code != Invalid {
		t.Errorf("a status without a code: %v", e)
	}
}

// FuzzRead: whatever another server sends, what comes of it fits the contract.
func FuzzRead(f *testing.F) {
	f.Add(400, `{"code":"invalid","detail":"d","retryAfterSeconds":-1,"errors":[{"field":"f","value":"v","allowed":"a"}]}`)
	f.Add(503, `{"code":"unavailable","retryAfterSeconds":9223372036854775807}`)
	f.Add(0, `{"code":"x","errors":null}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		e, ok := Read(status, []byte(body))
		if !ok && (e.Detail != "" || len(e.Fields) > 0) {
			t.Errorf("read of no problem document: %+v", e)
		}
		if e.RetryAfter < 0 || e.RetryAfter > 24*time.Hour || len(e.Fields) > maxFields || len(e.Detail) > maxDetail || len(e.Cause.Error()) > maxCause+100 {
			t.Errorf("%+v", e)
		}
		if !json.Valid(Document(e, "/", "")) || errors.Is(e.Cause, e) {
			t.Errorf("%+v makes no document", e)
		}
	})
}
