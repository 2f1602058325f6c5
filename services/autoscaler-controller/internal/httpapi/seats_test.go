package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

func TestSeats_BoundThoseOfOneAndThoseOfAll(t *testing.T) {
	s := &seats{most: 5, mostOfOne: 2}
	for i, who := range []string{"a", "a", "b", "c", "d"} {
		if err := s.enter(who, "one", "all"); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	for who, want := range map[string]string{"a": "one", "b": "all", "new": "all"} {
		err := s.enter(who, "one", "all")
		if e := fault.From(err); err == nil || e.Detail != want || e.Code.Status() != http.StatusTooManyRequests || e.RetryAfter <= 0 {
			t.Errorf("%s: %v", who, err)
		}
	}
	s.leave("d")
	if err := s.enter("new", "one", "all"); err != nil || len(s.of) != 4 {
		t.Errorf("%v, %d callers are counted", err, len(s.of))
	}
}

func TestSeats_NothingIsHeldOfThoseWhoLeft(t *testing.T) {
	s := &seats{most: maxStreams, mostOfOne: maxStreamsOfMe}
	for i := range maxStreams {
		if err := s.enter(fmt.Sprint(i), "", ""); err != nil {
			t.Fatal(err)
		}
	}
	if s.enter("last", "", "all") == nil {
		t.Error("there is no bound of all")
	}
	for i := range maxStreams {
		s.leave(fmt.Sprint(i))
	}
	if s.taken != 0 || len(s.of) != 0 {
		t.Errorf("%d are taken, %d callers are counted", s.taken, len(s.of))
	}
}

func TestEvents_ThereIsABoundForACallerWithoutAName(t *testing.T) {
	for name, header := range map[string][]string{"by its address": nil, "by its token": {"Authorization", "Bearer jane"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newParts().handler(t)
				for range maxStreamsOfMe {
					followEvents(t, h, "", header...)
				}
				w := do(from(h, "pipe"), "GET", "/v1/events?wait=0s", "", header...)
				if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "one caller follows 8") {
					t.Errorf("one more: %d %s", w.Code, w.Body)
				}
				if w := do(from(h, "pipe"), "GET", "/v1/events?wait=0s", "", "Authorization", "Bearer joe"); w.Code != http.StatusOK {
					t.Errorf("another token: %d %s", w.Code, w.Body)
				}
				if w := do(from(h, "10.0.0.7:1"), "GET", "/v1/events?wait=0s", ""); w.Code != http.StatusOK {
					t.Errorf("another address: %d %s", w.Code, w.Body)
				}
			})
		})
	}
}

// from has all requests come from an address.
func from(h http.Handler, address string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = address
		h.ServeHTTP(w, r)
	})
}
