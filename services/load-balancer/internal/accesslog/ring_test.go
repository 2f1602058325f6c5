package accesslog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/routing"
)

var start = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// numbered is the n-th record: its path says which.
func numbered(n int) Record {
	return Record{ArrivedAt: start.Add(time.Duration(n) * time.Second), Method: "GET", Path: fmt.Sprintf("/%d", n), Status: 200}
}

func find(t *testing.T, g *Ring, q Query) Page {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	page, err := g.Find(q)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func paths(p Page) string {
	var all []string
	for _, e := range p.Entries {
		all = append(all, e.Path)
	}
	return strings.Join(all, " ")
}

func TestRing_KeepsTheLastOnesNewestFirst(t *testing.T) {
	g := NewRing(3, 1<<20, "e")
	if p := find(t, g, Query{}); len(p.Entries) != 0 || p.Next != "" {
		t.Errorf("an empty ring has %+v", p)
	}
	for n := range 5 {
		g.Add(numbered(n))
	}
	if got := paths(find(t, g, Query{})); got != "/4 /3 /2" {
		t.Errorf("%s", got)
	}
	if s := g.Stats(); s.Records != 3 || s.Dropped != 2 {
		t.Errorf("stats = %+v", s)
	}
}

func TestRing_HoldsItsBytesWhateverIsAdded(t *testing.T) {
	const limit = 64 << 10
	g := NewRing(1000, limit, "e")
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 5000 {
		r := numbered(n)
		r.Host, r.Error = strings.Repeat("h", random.IntN(500)), strings.Repeat("é", random.IntN(2000))
		r.Path += strings.Repeat("x", random.IntN(5000))
		g.Add(r)
		var held int64
		for s := g.first; s < g.next; s++ {
			held += g.at(s).size()
		}
		if s := g.Stats(); s.Bytes != held || held > limit || s.Records == 0 || uint64(s.Records)+s.Dropped != uint64(n+1) {
			t.Fatalf("after %d records: %+v, really %d bytes", n+1, s, held)
		}
	}
	for _, e := range find(t, g, Query{}).Entries {
		if len(e.Path) > maxPath || len(e.Host) > maxHost || len(e.Error) > maxError || len(e.Error) > 0 && !strings.HasSuffix(e.Error, "é") {
			t.Errorf("lengths of %d, %d, %d", len(e.Path), len(e.Host), len(e.Error))
		}
	}
}

func TestFind_PagesStayWhereTheyAreWhileRecordsComeIn(t *testing.T) {
	g := NewRing(100, 1<<20, "e")
	for n := range 10 {
		g.Add(numbered(n))
	}
	var seen []string
	for q := (Query{Limit: 4}); ; {
		page := find(t, g, q)
		seen = append(seen, paths(page))
		if q.After = page.Next; q.After == "" {
			break
		}
		g.Add(numbered(100 + len(seen)))
	}
	if got := strings.Join(seen, " | "); got != "/9 /8 /7 /6 | /5 /4 /3 /2 | /1 /0" {
		t.Errorf("pages are %s", got)
	}
}

func TestFind_NextIsAbsentExactlyAtTheEnd(t *testing.T) {
	g := NewRing(100, 1<<20, "e")
	for n := range 70 { // more than one step
		r := numbered(n)
		if n%10 == 0 {
			r.Method = "PUT"
		}
		g.Add(r)
	}
	page := find(t, g, Query{Method: "PUT", Limit: 6})
	if got := paths(page); got != "/60 /50 /40 /30 /20 /10" || page.Next == "" {
		t.Errorf("%s, next %q", got, page.Next)
	}
	if page = find(t, g, Query{Method: "PUT", Limit: 6, After: page.Next}); paths(page) != "/0" || page.Next != "" {
		t.Errorf("%s, next %q", paths(page), page.Next)
	}
	if page = find(t, g, Query{Method: "PUT", Limit: 7}); page.Next != "" {
		t.Errorf("nothing is older, but next is %q", page.Next)
	}
}

func TestFind_GoesOnAfterItsPlaceWasDropped(t *testing.T) {
	g := NewRing(4, 1<<20, "e")
	for n := range 4 {
		g.Add(numbered(n))
	}
	place := find(t, g, Query{Limit: 2}).Next
	for n := range 4 {
		g.Add(numbered(10 + n))
	}
	if page := find(t, g, Query{After: place}); len(page.Entries) != 0 || page.Next != "" {
		t.Errorf("all that was older is gone, but there is %s", paths(page))
	}
	for _, other := range []string{"f.1", "e", "e.", "e.-1", "e.01", "1"} {
		if _, err := g.Find(Query{After: other, Limit: 1}); !errors.Is(err, ErrCursor) {
			t.Errorf("%q: %v", other, err)
		}
	}
}

func TestFind_Filters(t *testing.T) {
	g := NewRing(100, 1<<20, "e")
	fib := routing.Application{Namespace: "default", Deployment: "fib"}
	for _, r := range []Record{
		{Path: "/a", ArrivedAt: start, Method: "GET", Status: 200, Application: fib, Address: "10.0.0.1:80", PodPath: "/x", Client: "192.0.2.1"},
		{Path: "/b", ArrivedAt: start.Add(time.Second), Method: "POST", Status: 404, Client: "2001:db8::1"},
		{Path: "/c", ArrivedAt: start.Add(2 * time.Second), Method: "GET", Status: 0, Application: fib, Client: "::ffff:192.0.2.1"},
		{Path: "/d", ArrivedAt: start.Add(3 * time.Second), Method: "GET", Status: 503, Application: routing.Application{Namespace: "other", Deployment: "fib"}},
	} {
		g.Add(r)
	}
	for name, c := range map[string]struct {
		q    Query
		want string
	}{
		"all":               {Query{}, "/d /c /b /a"},
		"since, its moment": {Query{Since: start.Add(time.Second)}, "/d /c /b"},
		"until, not its":    {Query{Until: start.Add(time.Second)}, "/a"},
		"namespace":         {Query{Namespace: "default"}, "/c /a"},
		"deployment":        {Query{Deployment: "fib"}, "/d /c /a"},
		"status":            {Query{Status: 404}, "/b"},
		"class":             {Query{Status: 4}, "/c /b"},
		"gone":              {Query{Status: 499}, "/c"},
		"client":            {Query{Client: netip.MustParseAddr("192.0.2.1")}, "/c /a"},
		"client, long form": {Query{Client: netip.MustParseAddr("2001:0db8:0::1")}, "/b"},
		"method":            {Query{Method: "POST"}, "/b"},
		"text in the path":  {Query{Text: "/b"}, "/b"},
		"text in target":    {Query{Text: "0.1:80/x"}, "/a"},
		"text nowhere":      {Query{Text: "0.1:80/y"}, ""},
		"two at once":       {Query{Status: 5, Namespace: "other"}, "/d"},
	} {
		if got := paths(find(t, g, c.q)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestRing_KeepsNothingOfALongQuery(t *testing.T) {
	g := NewRing(3, 1<<20, "e")
	line := "GET /a?" + strings.Repeat("x", keptURI)
	g.Add(Record{Method: line[:3], Path: line[4:6], Query: line[7:], UserAgent: "x", RequestHeaders: []Header{{"x", nil}}})
	r := find(t, g, Query{}).Entries[0].Record
	if r.Method != http.MethodGet || r.Path != "/a" || r.Query != "" || r.UserAgent != "" || r.RequestHeaders != nil {
		t.Errorf("kept: %+v", r)
	}
	if unsafe.StringData(r.Path) == unsafe.StringData(line[4:6]) {
		t.Error("the path keeps the whole line")
	}
}

func TestRing_ManyAtOnce(t *testing.T) {
	g := NewRing(50, 1<<20, "e")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 2000 {
				g.Add(numbered(n))
			}
		})
	}
	for range 50 {
		for _, e := range find(t, g, Query{}).Entries {
			if e.Path == "" {
				t.Fatal("a record that was gone was found")
			}
		}
	}
	all.Wait()
	if s := g.Stats(); s.Records != 50 || s.Dropped != 7950 {
		t.Errorf("stats = %+v", s)
	}
}

func BenchmarkRing_Add(b *testing.B) {
	g := NewRing(10_000, 16<<20, "e")
	r := numbered(1)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.Add(r)
		}
	})
}
