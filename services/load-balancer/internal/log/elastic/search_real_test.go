//go:build elasticsearch

package elastic

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/journal"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

// records are such that every filter has something to find and something to leave out; several
// arrive in the same millisecond.
func records(n int) []accesslog.Record {
	random := rand.New(rand.NewPCG(1, 2))
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	began := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	var all []accesslog.Record
	for i := range n {
		r := accesslog.Record{
			ArrivedAt: began.Add(time.Duration(i/3)*time.Millisecond + time.Duration(i%3)*123_457), Took: time.Duration(random.IntN(1e9)), Waited: time.Duration(random.IntN(1000)) * time.Microsecond,
			Method: one("GET", "POST", "DELETE"), Scheme: "http", Host: one("shop.example", "10.0.0.1:8080"), Version: "1.1",
			Path:   one("/a", "/A/b", "/a*b", "/a?b", `/a\b`, "/50%25", "/ä/ö", "/very/"+strings.Repeat("long/", 100), "/a.b"),
			Client: one("192.0.2.1", "192.0.2.11", "2001:db8::1", "@"), Peer: "10.0.0.9", PeerPort: 4711,
			Status: []int{0, 200, 204, 302, 404, 499, 503}[random.IntN(7)],
		}
		if random.IntN(5) > 0 {
			r.Application = accesslog.Application{Namespace: one("default", "team"), Deployment: one("shop", "model")}
			r.Pod, r.Address, r.PodPath, r.Policy, r.Tries = "shop-1", one("10.1.2.3:80", "[2001:db8::2]:80"), one("/b", "/B/*", "/"), "its turn", 1+random.IntN(2)
			r.RequestBytes, r.ResponseBytes, r.TraceID = int64(random.IntN(1e6)), int64(random.IntN(1e6)), [16]byte{1: byte(i), 2: 1}
		} else {
			r.Refusal, r.Error = "not-found", "no route for this path"
		}
		all = append(all, r)
	}
	return all
}

// finder is who answers GET /proxy/logs: the journal, over the spool, or the search.
type finder interface {
	Find(ctx context.Context, q accesslog.Query) (accesslog.Page, error)
}

// turn turns all pages.
func turn(t *testing.T, s finder, q accesslog.Query) (ids []string, all []accesslog.Record, pages int) {
	t.Helper()
	for {
		page, err := s.Find(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v %v", q, err, errors.Unwrap(err))
		}
		pages++
		if len(page.Entries) > q.Limit {
			t.Fatalf("%d entries on a page of %d", len(page.Entries), q.Limit)
		}
		for _, e := range page.Entries {
			ids, all = append(ids, e.ID), append(all, e.Record)
		}
		if page.Next == "" {
			return ids, all, pages
		}
		if !placeForm.MatchString(page.Next) {
			t.Fatalf("the place %q is none that the API takes back", page.Next)
		}
		q.After = page.Next
	}
}

func TestElasticsearch_SearchFindsWhatTheJournalFinds(t *testing.T) {
	ns := namespace(t)
	ids, entries := journal.NewIDs("lb-1", time.Now()), accesslog.NewOptions(accesslog.Origin{Namespace: ns, Balancer: "lb-1", Version: "1"}, nil)
	kept := spool.Open(spool.Options{
		Render: journal.Renderer(ids, entries),
		Dir:    t.TempDir(), MaxBytes: 64 << 20, QueueBytes: 8 << 20, Outbox: true, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	defer func() { _ = kept.Close(t.Context()) }()
	for range 36 { // records of one millisecond are told apart by their ids, as texts: from here on of one length
		ids.Next()
	}
	log := journal.New(journal.Options{
		Spool: kept, IDs: ids, Random: rand.Float64, Entries: entries,
	})
	all := records(300)
	for _, r := range all {
		log.Add(&r)
	}
	if err := kept.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	outbox := kept.Outbox()
	defer outbox.Close()
	source, size, n, err := outbox.Next(t.Context(), 8<<20, time.Second)
	if err != nil || n != len(all) {
		t.Fatalf("%d entries, %v", n, err)
	}
	bodies, err := io.ReadAll(io.NewSectionReader(source, 0, size))
	if err != nil {
		t.Fatal(err)
	}
	index(t, connect(t, asWriter), bodies)
	search := NewSearch(connect(t, asReader), ns)

	at := func(i int) time.Time { return all[i].ArrivedAt }
	ip := netip.MustParseAddr
	for name, q := range map[string]accesslog.Query{
		"all": {}, "since": {Since: at(100)}, "until": {Until: at(100)}, "between": {Since: at(50), Until: at(200)}, "never": {Until: at(0)},
		"namespace": {Namespace: "team"}, "deployment": {Deployment: "model"}, "both": {Namespace: "default", Deployment: "shop"}, "nobody's": {Deployment: "none"},
		"status": {Status: 404}, "gone": {Status: 499}, "class 2": {Status: 2}, "class 4": {Status: 4}, "class 1": {Status: 1},
		"client": {Client: ip("192.0.2.1")}, "mapped client": {Client: ip("::ffff:192.0.2.1")}, "client of six": {Client: ip("2001:db8::1")}, "another": {Client: ip("192.0.2.2")},
		"method": {Method: "POST"}, "text": {Text: "/b"}, "text is exact": {Text: "/A"}, "star": {Text: "*"}, "question": {Text: "?"}, "backslash": {Text: `\`}, "percent": {Text: "%25"},
		"umlaut": {Text: "ö"}, "target": {Text: "http://10.1.2.3:80/b"}, "part of both": {Text: "3:80/"}, "dot": {Text: "a.b"}, "long": {Text: "long/long"},
		"many": {Since: at(10), Status: 2, Method: "GET", Namespace: "team"},
	} {
		q.Limit = 1000
		wantIDs, want, _ := turn(t, log, q)
		for _, limit := range []int{1000, 7, 50} {
			q.Limit = limit
			gotIDs, got, pages := turn(t, search, q)
			if diff := cmp.Diff(wantIDs, gotIDs); diff != "" {
				t.Errorf("%s in pages of %d (-journal +search):\n%s", name, limit, diff)
				break
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: records differ (-journal +search):\n%s", name, diff)
				break
			}
			if wanted := max(1, (len(want)+limit-1)/limit); pages != wanted {
				t.Errorf("%s: %d pages of %d for %d records", name, pages, limit, len(want))
			}
		}
	}
}

func TestElasticsearch_SearchOfAStreamThatIsNotThereFindsNothing(t *testing.T) {
	page, err := NewSearch(connect(t, asReader), "never_written").Find(t.Context(), accesslog.Query{Limit: 10})
	if err != nil || len(page.Entries) > 0 || page.Next != "" {
		t.Errorf("page = %+v, %v", page, err)
	}
}

func TestElasticsearch_WriterMayWriteAndNoMore(t *testing.T) {
	if connect(t, asWriter).options.Username == "" {
		t.Skip("this server has no users")
	}
	ns := namespace(t)
	r := records(1)[0]
	writer := connect(t, asWriter)
	index(t, writer, accesslog.AppendEntry(nil, "w.1", &r, accesslog.NewOptions(accesslog.Origin{Namespace: ns, Balancer: "b", Version: "1"}, nil)))
	var f *fault.Error
	if _, err := NewSearch(writer, ns).Find(t.Context(), accesslog.Query{Limit: 1}); !errors.As(err, &f) || f.Code != fault.Unavailable || !strings.Contains(f.Detail, "privilege read") {
		t.Errorf("it may search: %v", err)
	}
	for _, p := range []plain{
		{method: "DELETE", path: "/" + Stream(AccessDataset, ns)}, {method: "PUT", path: "/_index_template/x", body: `{"index_patterns":["x"]}`},
		{method: "PUT", path: "/somewhere/_doc/1", body: `{}`}, {method: "POST", path: "/" + Stream(AccessDataset, ns) + "/_update/w.1", body: `{"doc":{}}`},
	} {
		if status, body, err := writer.ask(t.Context(), p); err != nil || status < 400 {
			t.Errorf("it may %s %s: %d %s %v", p.method, p.path, status, body, err)
		}
	}
}
