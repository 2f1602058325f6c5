package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
)

// searching is a search on a server that gives this answer, and the bodies that it was asked with.
func searching(t *testing.T, status int, answer string) (*Search, *[]string) {
	t.Helper()
	var asked []string
	server := httptest.NewServer(asElasticsearch(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.URL.String()+" "+string(body))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	c, err := New(Options{URLs: []string{server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	return NewSearch(c, "default"), &asked
}

func TestSearch_SaysWhyThereIsNoPage(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		answer string
		code   fault.Code
		detail string
	}{
		"busy":         {429, `{}`, fault.Unavailable, "too busy"},
		"may not":      {403, `{"error":{"reason":"action [indices:data/read/search] is unauthorized"}}`, fault.Unavailable, "privilege read"},
		"unknown":      {401, `{}`, fault.Unavailable, "privilege read"},
		"shards away":  {503, `{"error":{"reason":"all shards failed"}}`, fault.Unavailable, "cannot search it now"},
		"not valid":    {400, `{"error":{"reason":"parsing_exception"}}`, fault.Internal, ""},
		"timed out":    {200, `{"timed_out":true,"_shards":{"failed":0},"hits":{"hits":[]}}`, fault.Unavailable, "not search all"},
		"partial":      {200, `{"timed_out":false,"_shards":{"failed":1},"hits":{"hits":[]}}`, fault.Unavailable, "not search all"},
		"cut off":      {200, `{"timed_out":false,"hits":{"hi`, fault.Unavailable, "cannot be read"},
		"no such text": {200, ``, fault.Unavailable, "cannot be read"},
	} {
		search, _ := searching(t, test.status, test.answer)
		_, err := search.Find(t.Context(), accesslog.Query{Limit: 10})
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != test.code || !strings.Contains(f.Detail, test.detail) {
			t.Errorf("%s: %+v", name, err)
		}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	c, err := New(Options{URLs: []string{gone.URL}})
	if err != nil {
		t.Fatal(err)
	}
	var f *fault.Error
	if _, err := NewSearch(c, "default").Find(t.Context(), accesslog.Query{Limit: 10}); !errors.As(err, &f) || f.Code != fault.Unavailable || f.RetryAfter == 0 || !strings.Contains(f.Detail, "does not answer") {
		t.Errorf("away: %+v", err)
	}
}

func TestSearch_EndsWithWhoAsked(t *testing.T) {
	search, asked := searching(t, http.StatusOK, `{}`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := search.Find(ctx, accesslog.Query{Limit: 1}); err == nil || len(*asked) > 0 {
		t.Errorf("%v, asked %v", err, *asked)
	}
}

func TestSearch_IsBounded(t *testing.T) {
	search, asked := searching(t, http.StatusOK, `{"timed_out":false,"_shards":{"failed":0},"hits":{"hits":[]}}`)
	page, err := search.Find(t.Context(), accesslog.Query{Limit: 1000, Text: `50%*?\`})
	if err != nil || len(page.Entries) > 0 || page.Next != "" {
		t.Errorf("page = %+v, %v", page, err)
	}
	for _, want := range []string{
		"/logs-nemesis.access-default/_search?", "allow_partial_search_results=false", "ignore_unavailable=true",
		`"size":1001`, `"timeout":"8s"`, `"track_total_hits":false`, `*50%\\*\\?\\\\*`,
	} {
		if len(*asked) != 1 || !strings.Contains((*asked)[0], want) {
			t.Errorf("%v lacks %s", *asked, want)
		}
	}
}

func TestSearch_HoldsFewPagesAtOnce(t *testing.T) {
	var now, most atomic.Int32
	release := make(chan struct{})
	server := httptest.NewServer(asElasticsearch(func(w http.ResponseWriter, _ *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-release
		now.Add(-1)
		_, _ = io.WriteString(w, `{"hits":{"hits":[]}}`)
	}))
	defer server.Close()
	c, err := New(Options{URLs: []string{server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	search := NewSearch(c, "default")
	var asking sync.WaitGroup
	for range 3 * searches {
		asking.Go(func() {
			if _, err := search.Find(t.Context(), accesslog.Query{Limit: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 3 * searches {
		release <- struct{}{}
	}
	asking.Wait()
	if most.Load() > searches {
		t.Errorf("%d at once", most.Load())
	}
}

func TestSearch_IsNotEndedByADocumentOfAnotherHand(t *testing.T) {
	hit := func(status, id string) string {
		return `{"_source":{"@timestamp":"2026-01-01T00:00:00Z","event":{"dataset":"nemesis.access","id":"` + id + `"},"http":{"response":{"status_code":` + status + `}}},"sort":[1767225600000,"` + id + `"]}`
	}
	search, _ := searching(t, http.StatusOK, `{"hits":{"hits":[`+hit("200", "c")+`,`+hit(`"two hundred"`, "b")+`,`+hit("404", "a")+`]}}`)
	page, err := search.Find(t.Context(), accesslog.Query{Limit: 2})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].ID != "c" || !strings.HasSuffix(page.Next, "_b") {
		t.Errorf("%+v %v", page, err)
	}
}

func TestSearch_TakesOnlyItsOwnPlaces(t *testing.T) {
	search, asked := searching(t, http.StatusOK, `{}`)
	for _, place := range []string{"e5.1", "t1", "t_", "tzz_", "t1_a b", "tZ_x", "t01_x", "t9999999999999_x", "0123456789abcdef.1.0", "t1_" + strings.Repeat("x", 97)} {
		if _, err := search.Find(t.Context(), accesslog.Query{Limit: 1, After: place}); !errors.Is(err, accesslog.ErrCursor) {
			t.Errorf("%q: %v", place, err)
		}
	}
	if len(*asked) > 0 {
		t.Errorf("asked %v", *asked)
	}
}

// The contract of GET /proxy/logs says what a place looks like.
var placeForm = regexp.MustCompile(`^[0-9a-zA-Z_.-]{1,128}$`)

func FuzzCursor_IsReadBackAsItWasGiven(f *testing.F) {
	f.Add(int64(1795617271073), "a1b2c3d4.mh8n3x9q2k.1z")
	f.Add(int64(-1), "_")
	f.Add(int64(0), "")
	f.Fuzz(func(t *testing.T, at int64, id string) {
		c := cursor(number(at), id)
		if c == "" {
			return
		}
		gotAt, gotID, ok := parseCursor(c)
		if !ok || gotAt != at || gotID != id || !placeForm.MatchString(c) {
			t.Errorf("%q is read as %d %q %v", c, gotAt, gotID, ok)
		}
	})
}

func TestCursor_FitsTheIdsThatThereAre(t *testing.T) {
	if cursor(number(1795617271073), "a1b2c3d4.mh8n3x9q2k.1z") == "" {
		t.Error("no place")
	}
}

func number(n int64) json.Number { return json.Number(fmt.Sprint(n)) }
