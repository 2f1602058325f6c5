package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

var start = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// numbered is the n-th record: its path says which.
func numbered(n int) accesslog.Record {
	return accesslog.Record{ArrivedAt: start.Add(time.Duration(n) * time.Second), Method: "GET", Path: fmt.Sprintf("/%d", n), Status: 200}
}

func newJournal(tb testing.TB, maxBytes int64) *Journal {
	tb.Helper()
	ids, entries := NewIDs("lb-1", start), accesslog.NewOptions(accesslog.Origin{Balancer: "lb-1", Version: "1", Namespace: "default"}, nil)
	s := spool.Open(spool.Options{
		Render: Renderer(ids, entries),
		Dir:    tb.TempDir(), MaxBytes: maxBytes, QueueBytes: 16 << 20, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	tb.Cleanup(func() { _ = s.Close(context.Background()) })
	return New(Options{
		Spool: s, IDs: ids, Random: rand.Float64, Entries: entries,
	})
}

func find(t *testing.T, j *Journal, q accesslog.Query) accesslog.Page {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	page, err := j.Find(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func paths(p accesslog.Page) string {
	var all []string
	for _, e := range p.Entries {
		all = append(all, e.Path)
	}
	return strings.Join(all, " ")
}

func TestIDs_AreFitForTheContractAndAllDifferent(t *testing.T) {
	fits := regexp.MustCompile(`^[0-9a-zA-Z_.-]{10,64}$`)
	seen := map[string]bool{}
	for _, ids := range []*IDs{NewIDs("a", start), NewIDs("b", start), NewIDs("a", start.Add(1)), NewIDs(strings.Repeat("é", 126), time.Now())} {
		for range 100 {
			prefix, number := ids.Next()
			id := prefix + strconv.FormatUint(number, 36)
			if seen[id] || !fits.MatchString(id) {
				t.Errorf("%q", id)
			}
			seen[id] = true
		}
	}
}

func TestFind_PagesStayWhereTheyAreWhileRecordsComeIn(t *testing.T) {
	j := newJournal(t, 1<<20)
	if p := find(t, j, accesslog.Query{}); len(p.Entries) != 0 || p.Next != "" {
		t.Errorf("an empty log has %+v", p)
	}
	for n := range 10 {
		j.Add(new(numbered(n)))
	}
	var seen []string
	for q := (accesslog.Query{Limit: 4}); ; {
		page := find(t, j, q)
		seen = append(seen, paths(page))
		if q.After = page.Next; q.After == "" {
			break
		}
		j.Add(new(numbered(100 + len(seen))))
	}
	if got := strings.Join(seen, " | "); got != "/9 /8 /7 /6 | /5 /4 /3 /2 | /1 /0" {
		t.Errorf("pages are %s", got)
	}
}

func TestFind_NextIsAbsentExactlyAtTheEnd(t *testing.T) {
	j := newJournal(t, 1<<20)
	for n := range 70 {
		r := numbered(n)
		if n%10 == 0 {
			r.Method = "PUT"
		}
		j.Add(&r)
	}
	page := find(t, j, accesslog.Query{Method: "PUT", Limit: 6})
	if got := paths(page); got != "/60 /50 /40 /30 /20 /10" || page.Next == "" {
		t.Errorf("%s, next %q", got, page.Next)
	}
	if page = find(t, j, accesslog.Query{Method: "PUT", Limit: 6, After: page.Next}); paths(page) != "/0" || page.Next != "" {
		t.Errorf("%s, next %q", paths(page), page.Next)
	}
	if page = find(t, j, accesslog.Query{Method: "PUT", Limit: 7}); page.Next != "" {
		t.Errorf("nothing is older, but next is %q", page.Next)
	}
}

func TestFind_GoesOnAfterItsPlaceWentByAge(t *testing.T) {
	j := newJournal(t, 64<<10)
	for n := range 4 {
		j.Add(new(numbered(n)))
	}
	place := find(t, j, accesslog.Query{Limit: 2}).Next
	for n := range 200 {
		j.Add(new(numbered(10 + n)))
		if n%10 == 0 {
			find(t, j, accesslog.Query{Limit: 1}) // has it written
		}
	}
	if page := find(t, j, accesslog.Query{After: place}); len(page.Entries) != 0 || page.Next != "" {
		t.Errorf("all that was older is gone, but there is %s", paths(page))
	}
	for _, other := range []string{"f.1", "e", "1"} {
		if _, err := j.Find(t.Context(), accesslog.Query{After: other, Limit: 1}); !errors.Is(err, accesslog.ErrCursor) {
			t.Errorf("%q: %v", other, err)
		}
	}
}

func TestFind_EndsAPageWhereMuchWasRead(t *testing.T) {
	j := newJournal(t, 1<<30)
	j.maxRead = 1 << 20
	for i := range 4000 {
		r := numbered(i)
		r.Error = strings.Repeat("x", 1000)
		if i == 0 {
			r.Method = "PUT"
		}
		j.Add(&r)
	}
	pages, found := 1, 0
	for q := (accesslog.Query{Method: "PUT", Limit: 10}); ; pages++ {
		page := find(t, j, q)
		found += len(page.Entries)
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if size := j.o.Spool.Stats().Bytes; found != 1 || pages < int(size/(2<<20)) || pages > int(size/(1<<20))+1 {
		t.Errorf("%d found on %d pages of %d bytes", found, pages, size)
	}
}

func TestFind_Filters(t *testing.T) {
	j := newJournal(t, 1<<20)
	fib := accesslog.Application{Namespace: "default", Deployment: "fib"}
	for _, r := range []accesslog.Record{
		{Path: "/a", ArrivedAt: start, Method: "GET", Status: 200, Application: fib, Address: "10.0.0.1:80", PodPath: "/x", Client: "192.0.2.1"},
		{Path: "/b", ArrivedAt: start.Add(time.Second), Method: "POST", Status: 404, Client: "2001:db8::1"},
		{Path: "/c", ArrivedAt: start.Add(2 * time.Second), Method: "GET", Status: 0, Application: fib, Client: "::ffff:192.0.2.1"},
		{Path: "/d", ArrivedAt: start.Add(3 * time.Second), Method: "GET", Status: 503, Application: accesslog.Application{Namespace: "other", Deployment: "fib"}},
	} {
		j.Add(&r)
	}
	for name, c := range map[string]struct {
		q    accesslog.Query
		want string
	}{
		"all":               {accesslog.Query{}, "/d /c /b /a"},
		"since, its moment": {accesslog.Query{Since: start.Add(time.Second)}, "/d /c /b"},
		"until, not its":    {accesslog.Query{Until: start.Add(time.Second)}, "/a"},
		"namespace":         {accesslog.Query{Namespace: "default"}, "/c /a"},
		"deployment":        {accesslog.Query{Deployment: "fib"}, "/d /c /a"},
		"status":            {accesslog.Query{Status: 404}, "/b"},
		"class":             {accesslog.Query{Status: 4}, "/c /b"},
		"gone":              {accesslog.Query{Status: 499}, "/c"},
		"client":            {accesslog.Query{Client: netip.MustParseAddr("192.0.2.1")}, "/c /a"},
		"client, long form": {accesslog.Query{Client: netip.MustParseAddr("2001:0db8:0::1")}, "/b"},
		"method":            {accesslog.Query{Method: "POST"}, "/b"},
		"text of a path":    {accesslog.Query{Text: "/b"}, "/b"},
		"text of a target":  {accesslog.Query{Text: "10.0.0.1:80/x"}, "/a"},
	} {
		if got := paths(find(t, j, c.q)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
