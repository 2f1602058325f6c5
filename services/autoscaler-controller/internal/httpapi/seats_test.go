package httpapi

import (
	"fmt"
	"net/http"
	"testing"

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
