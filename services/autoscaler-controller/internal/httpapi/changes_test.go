package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/changes"
)

const changesPath = "/v1/changes"

func change(id, namespace string, second int64) changes.Change {
	return changes.Change{
		ID: id, Time: time.Unix(second, 0).UTC(), Who: "jane", Operation: "patchCustomAutoscaler", Namespace: namespace, Resource: "customautoscalers/" + namespace + "/fib",
		Status: 200, Before: json.RawMessage(`{"idleTime":90}`), After: json.RawMessage(`{"idleTime":60}`),
	}
}

func shownTo(t *testing.T, h http.Handler, query, token string) (ids string, status int) {
	t.Helper()
	w := do(h, "GET", changesPath+query, "", "Authorization", "Bearer "+token)
	var list autoscaler.ChangeList
	if w.Code == 200 {
		fits(t, w, "ChangeList")
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
	}
	var all []string
	for _, c := range list.Items {
		all = append(all, c.Id)
	}
	return strings.Join(all, " "), w.Code
}

func TestListChanges_ShowsThoseOfTheNamespacesThatTheCallerMaySee(t *testing.T) {
	of := mayAll("list/changes shop")
	p := guarding(of)
	book := changes.New()
	p.book = book
	settings := change("3", "", 30)
	settings.Resource, settings.Status, settings.Reason = SettingsResource, 403, "jane may not"
	book.Take(change("1", "shop", 10), change("2", "bank", 20), settings, change("4", "shop", 40))
	h := p.handler(t)
	for _, c := range []struct {
		query, token, want string
		status             int
	}{
		{"", lbToken, "4 3 2 1", 200},
		{"?limit=2", lbToken, "4 3", 200},
		{"?since=1970-01-01T00:00:20Z", lbToken, "4 3 2", 200},
		{"?namespace=bank", lbToken, "2", 200},
		{"", "jane", "4 1", 200},
		{"?namespace=shop", "jane", "4 1", 200},
		{"?namespace=bank", "jane", "", 403},
		{"?limit=0", lbToken, "", 400},
		{"?limit=501", lbToken, "", 400},
		{"?since=today", lbToken, "", 400},
	} {
		if got, status := shownTo(t, h, c.query, c.token); got != c.want || status != c.status {
			t.Errorf("%s by %.10s: %d %q, want %d %q", c.query, c.token, status, got, c.status, c.want)
		}
	}
	of.rights["list/changes "] = true
	w := do(h, "GET", changesPath+"?limit=2", "", "Authorization", "Bearer jane")
	for _, want := range []string{`"before":{"idleTime":90}`, `"after":{"idleTime":60}`, `"result":"made"`, `"result":"refused"`, `"reason":"jane may not"`, `"who":"jane"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s lacks %s", w.Body, want)
		}
	}
}

func TestListChanges_InPagesAndChosenByFields(t *testing.T) {
	p := guarding(mayAll())
	book := changes.New()
	p.book = book
	for i := range 23 {
		c := change(fmt.Sprintf("c-%02d", i), fmt.Sprint("ns-", i%3), int64(100+i/4)) // some at the same moment
		if i%5 == 0 {
			c.Status, c.Who = 403, "joe"
		}
		book.Take(c)
	}
	h := p.handler(t)
	for query, want := range map[string]int{
		"": 23, "namespace=ns-1": 8, "fieldSelector=result%3Drefused": 5, "fieldSelector=who%3Djoe,metadata.namespace%3Dns-0": 2,
		"fieldSelector=operation!%3DpatchCustomAutoscaler": 0, "fieldSelector=metadata.name%3Dc-07": 1, "fieldSelector=resource%3Dcustomautoscalers/ns-2/fib&since=1970-01-01T00:01:42Z": 5,
	} {
		whole, _ := shownTo(t, h, "?limit=500&"+query, lbToken)
		for _, limit := range []int{1, 2, 7, 23, 100} {
			var got []string
			more := ""
			for range 30 {
				w := do(h, "GET", fmt.Sprintf("%s?limit=%d&%s%s", changesPath, limit, query, more), "", "Authorization", "Bearer "+lbToken)
				var list autoscaler.ChangeList
				if fits(t, w, "ChangeList"); w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &list) != nil || len(list.Items) > limit {
					t.Fatalf("%s: %d %s", query, w.Code, w.Body)
				}
				for _, c := range list.Items {
					got = append(got, c.Id)
				}
				if list.Metadata == nil || list.Metadata.Continue == nil {
					break
				}
				if n := list.Metadata.RemainingItemCount; n == nil || int(*n) != want-len(got) {
					t.Errorf("%s: after %d of %d %v follow", query, len(got), want, n)
				}
				more = "&continue=" + *list.Metadata.Continue
			}
			if strings.Join(got, " ") != whole || len(got) != want {
				t.Errorf("%s in pages of %d: %v, the whole list is %s, want %d", query, limit, got, whole, want)
			}
		}
	}
	page := do(h, "GET", changesPath+"?limit=1", "", "Authorization", "Bearer "+lbToken)
	var list autoscaler.ChangeList
	if err := json.Unmarshal(page.Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	for query, field := range map[string]string{
		"fieldSelector=status%3D200": "fieldSelector", "fieldSelector=who": "fieldSelector", "continue=abc": "continue", "namespace=ns-1&continue=" + *list.Metadata.Continue: "continue",
	} {
		if w := do(h, "GET", changesPath+"?"+query, "", "Authorization", "Bearer "+lbToken); w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"`+field+`"`) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

func TestReportChanges_KeepsEachOnceAndWithinItsBounds(t *testing.T) {
	p := guarding(mayAll())
	book := changes.New()
	p.book = book
	h := p.handler(t)
	replica := serviceToken("nemesis-system", "autoscaler-controller", "r")
	report := func(items string) *httptest.ResponseRecorder {
		return do(h, "POST", changesPath, `{"items":[`+items+`]}`, "Authorization", "Bearer "+replica)
	}
	one := `{"id":"a-1","time":"2026-03-04T12:00:00Z","who":"jane","operation":"patchCustomAutoscaler","namespace":"shop","resource":"customautoscalers/shop/fib","status":200,"result":"made","before":{"idleTime":90}}`
	if w := report(one); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"kept":1}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := report(one + "," + strings.Replace(one, "a-1", "a-2", 1)); strings.TrimSpace(w.Body.String()) != `{"kept":1}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got, _ := shownTo(t, h, "", lbToken); got != "a-1 a-2" {
		t.Errorf("kept %s", got)
	}
	for name, bad := range map[string]string{
		"no id": `{"time":"2026-03-04T12:00:00Z"}`, "an id that is none": strings.Replace(one, "a-1", `a\n1`, 1), "too many": one + strings.Repeat(","+one, 50),
		"a side that is no object": strings.Replace(one, `{"idleTime":90}`, "5", 1),
	} {
		if w := report(bad); w.Code != 400 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := do(h, "POST", changesPath, `{"items":[`+one+`]}`, "Authorization", "Bearer "+lbToken); w.Code != 403 {
		t.Errorf("a load balancer: %d", w.Code)
	}
}

// follows is a Leadership that a test moves.
type follows struct {
	mu      sync.Mutex
	leader  string
	changed chan struct{}
}

func (f *follows) Leader() (string, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leader, f.changed
}

func (f *follows) move(to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.leader, f.changed = to, make(chan struct{})
}

// leads is a replica that leads: it notes what it is told, and does not take it while it is away.
type leads struct {
	mu   sync.Mutex
	book *changes.Book
	away bool
	*httptest.Server
}

func newLeader(t *testing.T) *leads {
	t.Helper()
	l := &leads{book: changes.New()}
	p := guarding(mayAll())
	p.book = l.book
	h := p.handler(t)
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.away {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.Header.Set("Authorization", "Bearer "+serviceToken("nemesis-system", "autoscaler-controller", "r"))
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *leads) has(n int) func() bool {
	return func() bool { return len(l.book.Last(func(*changes.Change) bool { return true }, changes.Kept)) == n }
}

func (l *leads) address() string { return strings.TrimPrefix(l.URL, "http://") }

func TestHandOver_TellsWhoeverLeads(t *testing.T) {
	first, second := newLeader(t), newLeader(t)
	book, to := changes.New(), &follows{changed: make(chan struct{})}
	failed := make(chan struct{}, 100)
	h := &HandOver{Book: book, Leadership: to, Client: httpclient.New(httpclient.Options{}), Log: slog.New(slog.DiscardHandler), Failed: func() { failed <- struct{}{} }}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); h.Run(ctx) }()
	for i := range 60 { // more than go at once, while nobody leads
		book.Take(change(fmt.Sprint("a-", i), "shop", int64(i)))
	}
	first.mu.Lock()
	first.away = true
	first.mu.Unlock()
	to.move(first.address())
	<-failed
	first.mu.Lock()
	first.away = false
	first.mu.Unlock()
	testwait.Until(t, "the first leader knows them", first.has(60))
	book.Take(change("what no contract takes", "shop", 99)) // is passed over
	<-failed
	book.Take(change("b-1", "shop", 100))
	testwait.Until(t, "the first leader knows one more", first.has(61))
	to.move(second.address())
	testwait.Until(t, "the second leader knows them all", second.has(61))
	to.move("") // it leads itself
	book.Take(change("b-2", "shop", 101))
	end()
	<-ended
	if !second.has(61)() || !first.has(61)() {
		t.Error("who does not lead is told")
	}
}
