package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/access"
)

// everybody is whoever the token says, and may everything.
type everybody struct{}

func (everybody) Review(_ context.Context, q access.Question) (access.Answer, error) {
	return access.Answer{Authenticated: true, User: strings.TrimPrefix(q.Token, "another of "), Everywhere: true}, nil
}

func TestGuard_EachCallerHasAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judged := map[Judgement]int{}
		guard, err := NewGuard(GuardOptions{Access: everybody{}, Optional: true, CallsPerSecond: 2, Judged: func(j Judgement) { judged[j]++ }})
		if err != nil {
			t.Fatal(err)
		}
		served := guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		call := func(token, path string) *httptest.ResponseRecorder {
			r, w := httptest.NewRequest(http.MethodGet, path, http.NoBody), httptest.NewRecorder()
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			served.ServeHTTP(w, r)
			return w
		}
		const state = "/loadbalancer/state"
		for range 4 {
			call("jane", state)
			call("another of jane", "/metrics")
		}
		w := call("jane", state)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "jane makes more than 2 calls a second") {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		for token, path := range map[string]string{"olga": state, "": state, "jane": "/healthz"} {
			if w := call(token, path); w.Code != http.StatusOK {
				t.Errorf("%q asks %s: %d %s", token, path, w.Code, w.Body)
			}
		}
		time.Sleep(time.Second)
		for i, want := range []int{200, 200, 429} {
			if w := call("jane", state); w.Code != want {
				t.Errorf("a second later, the call %d: %d, want %d", i, w.Code, want)
			}
		}
		if judged[TooOften] != 2 || judged[Allowed] != 11 {
			t.Errorf("judged %v", judged)
		}
	})
}

func TestGuard_WithoutAPaceNobodyIsTooOften(t *testing.T) {
	guard, err := NewGuard(GuardOptions{Access: everybody{}})
	if err != nil {
		t.Fatal(err)
	}
	served := guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for range 1000 {
		r, w := httptest.NewRequest(http.MethodGet, "/loadbalancer/state", http.NoBody), httptest.NewRecorder()
		r.Header.Set("Authorization", "Bearer jane")
		if served.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}
