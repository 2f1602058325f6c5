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
	"unicode/utf8"
)

func TestWrite_TellsTheClientAllButTheCause(t *testing.T) {
	err := fmt.Errorf("handler: %w", New(WaitingRoomFull, "1000 requests wait").
		After(1500*time.Millisecond).
		Because(errors.New("secret")).
		With("x", strings.Repeat("v", 1000), "less"))
	w := httptest.NewRecorder()
	Write(w, httptest.NewRequest(http.MethodGet, "/a?token=hidden", nil), err)

	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status = %d, want 503", w.Code)
	}
	if got := w.Header().Get("Content-Type"); got != ContentType {
		t.Errorf("Content-Type = %q", got)
	}
	if got := w.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After = %q, want the seconds rounded up", got)
	}
	body := w.Body.String()
	for _, secret := range []string{"secret", "hidden"} {
		if strings.Contains(body, secret) {
			t.Errorf("the client sees %q in %s", secret, body)
		}
	}
	var p problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatal(err)
	}
	if p.Code != WaitingRoomFull || p.Instance != "/a" || len([]rune(p.Errors[0].Value)) != maxValue+1 {
		t.Errorf("problem = %+v", p)
	}
}

func TestWith_StaysWithinTheContractWhateverWasSent(t *testing.T) {
	long := strings.Repeat("é", 5000)
	f := (&Error{Code: Invalid}).With(long, long, long).Fields[0]
	for name, c := range map[string]struct {
		text string
		most int
	}{"field": {f.Field, 512}, "value": {f.Value, 260}, "allowed": {f.Allowed, 2048}} {
		if n := utf8.RuneCountInString(c.text); n == 0 || n > c.most || !utf8.ValidString(c.text) {
			t.Errorf("%s has %d characters, and at most %d are allowed", name, n, c.most)
		}
	}
}

func TestFrom_AnErrorWithoutCodeIsInternalAndSilent(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, httptest.NewRequest(http.MethodGet, "/", nil), errors.New("dial tcp 10.0.0.1"))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "10.0.0.1") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestCodes_EachHasAStatusAndFromStatusComesBackToIt(t *testing.T) {
	for code := range kinds {
		if got := FromStatus(code.Status()).Status(); got != code.Status() {
			t.Errorf("%s: status %d came back as %d", code, code.Status(), got)
		}
	}
	if FromStatus(503) != Unavailable || FromStatus(429) != TooMany || FromStatus(504) != UpstreamTimeout {
		t.Error("of several codes with one status the plainest must come back")
	}
	if FromStatus(418) != Invalid || FromStatus(599) != Internal {
		t.Error("a status outside the table must fall back")
	}
}

func TestWrite_WithoutDetailSaysTheFirstField(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, httptest.NewRequest(http.MethodGet, "/", nil), (&Error{Code: Invalid}).With("wait", "5h", "0s to 60s"))
	if !strings.Contains(w.Body.String(), "wait: 5h is not allowed: 0s to 60s") {
		t.Errorf("body = %s", w.Body)
	}
}

func TestBecause_AnErrorIsNeverItsOwnCause(t *testing.T) {
	e := New(TooLarge, "more than 1 MiB")
	if got := e.Because(e).Because(fmt.Errorf("read: %w", e)).Error(); got != "too-large: more than 1 MiB" {
		t.Errorf("the error reads %q", got)
	}
}
