package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/access"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func waitingOf(t *testing.T, h http.Handler, query string) (status int, body string, list loadbalancer.WaitingList) {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/loadbalancer/waiting?"+query, http.NoBody)
	r.Header.Set("Authorization", "Bearer jane")
	h.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, w.Body.String(), list
}

// onlyIn lets people see one namespace, and notes what was asked.
type onlyIn struct {
	namespace string
	asked     access.Question
}

func (o *onlyIn) Review(_ context.Context, q access.Question) (access.Answer, error) {
	o.asked = q
	a := access.Answer{Authenticated: true, User: "jane"}
	for _, n := range q.Namespaces {
		if n == o.namespace {
			a.Namespaces = append(a.Namespaces, n)
		}
	}
	return a, nil
}

func TestWaiting_WhoWaitsWhereOneMaySee(t *testing.T) {
	p, _ := pictured(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	room := func(namespace, deployment string, busy bool) dispatch.WaitingRoom {
		return dispatch.WaitingRoom{
			Application: routing.Application{Namespace: namespace, Deployment: deployment}, Waiting: 30, Bytes: 900, Busy: busy, Why: strings.Repeat("w", 2000),
			Oldest: []dispatch.WaitingRequest{{Arrived: at, Deadline: at.Add(time.Minute), Client: "10.0.0.1", Method: "GET", Path: "/" + strings.Repeat("p", 5000), Bytes: 30, TraceID: "ab", Tries: 1}, {Arrived: at, Deadline: at}},
		}
	}
	p.waiting = []dispatch.WaitingRoom{room("ns-0", "app-0", false), room("ns-0", "app-1", true), room("ns-1", "app-3", false)}
	handler, err := Handler(Options{Balancer: "lb", Source: p, Settings: p, Now: func() time.Time { return at.Add(time.Second) }})
	if err != nil {
		t.Fatal(err)
	}
	status, body, list := waitingOf(t, guarding(t, handler, &onlyIn{namespace: "ns-0"}), "")
	if status != http.StatusOK || len(list.Items) != 2 || list.Balancer != "lb" || !list.At.Equal(at.Add(time.Second)) || p.limit != 20 {
		t.Fatalf("%d %s, limit %d", status, body, p.limit)
	}
	first := list.Items[0]
	if r := first.Requests[0]; first.WaitsFor != loadbalancer.Start || first.Waiting != 30 || len(*first.Why) != 1024 || len(*r.Path) != 2048 || *r.ClientIp != "10.0.0.1" || r.Tries != 1 || !r.Deadline.Equal(at.Add(time.Minute)) {
		t.Errorf("%+v", first)
	}
	if r := first.Requests[1]; r.Path != nil || r.ClientIp != nil || r.TraceId != nil || list.Items[1].WaitsFor != loadbalancer.FreePod {
		t.Errorf("%+v", list.Items[1])
	}
	o := &onlyIn{namespace: "ns-0"}
	if status, body, _ := waitingOf(t, guarding(t, handler, o), "namespace=ns-1"); status != http.StatusForbidden || o.asked.Verb != "list" || o.asked.Resource != "customautoscalers/logs" || strings.Contains(body, "app-3") {
		t.Errorf("%d %s, asked %+v", status, body, o.asked)
	}
	for query, want := range map[string]int{"deployment=app-1": 1, "deployment=app-3": 0, "namespace=ns-0&limit=1": 2} {
		if status, body, list := waitingOf(t, guarding(t, handler, &onlyIn{namespace: "ns-0"}), query); status != http.StatusOK || len(list.Items) != want {
			t.Errorf("%s: %d %s", query, status, body)
		}
		if strings.Contains(query, "limit=1") != (p.limit == 1) {
			t.Errorf("%s: asked for %d", query, p.limit)
		}
	}
	for _, query := range []string{"limit=0", "limit=101", "namespace=A_B"} {
		if status, body, _ := waitingOf(t, guarding(t, handler, &onlyIn{}), query); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}

// However many wait, a page is bounded; an application is on one of them, and all are once on some.
func TestWaiting_InPages(t *testing.T) {
	p, _ := pictured(t)
	for i := range 130 {
		room := dispatch.WaitingRoom{Application: routing.Application{Namespace: fmt.Sprint("ns-", i/65), Deployment: fmt.Sprintf("app-%03d", i)}, Waiting: 200}
		room.Oldest = make([]dispatch.WaitingRequest, 20)
		p.waiting = append(p.waiting, room)
	}
	handler, err := Handler(Options{Balancer: "lb", Source: p, Settings: p, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	everywhere := guarding(t, handler, seesAll{})
	walk := func(query string) (sizes []int, names []string) {
		more := ""
		for range 10 {
			status, body, list := waitingOf(t, everywhere, query+more)
			if status != http.StatusOK {
				t.Fatalf("%s: %d %s", query, status, body)
			}
			sizes = append(sizes, len(list.Items))
			for _, room := range list.Items {
				names = append(names, room.Deployment)
			}
			if list.Metadata == nil || list.Metadata.Continue == nil {
				if (list.Metadata == nil) != (len(sizes) == 1) {
					t.Errorf("%s: of %d pages the last has %+v", query, len(sizes), list.Metadata)
				}
				return sizes, names
			}
			more = "&continue=" + *list.Metadata.Continue
		}
		t.Fatalf("%s: it has no end", query)
		return nil, nil
	}
	for query, want := range map[string][]int{"": {50, 50, 30}, "namespace=ns-1": {50, 15}, "deployment=app-007": {1}, "deployment=other": {0}} {
		sizes, names := walk(query)
		if !slices.Equal(sizes, want) || !slices.IsSorted(names) || len(slices.Compact(names)) != len(names) {
			t.Errorf("%s: pages of %v, want %v: %v", query, sizes, want, names)
		}
	}
	_, _, first := waitingOf(t, everywhere, "")
	for query, status := range map[string]int{
		"continue=abc": 400, "continue=MndhaXRpbmc": 410, "namespace=ns-1&continue=" + *first.Metadata.Continue: 400, "limit=5&continue=" + *first.Metadata.Continue: 200,
	} {
		if got, body, _ := waitingOf(t, everywhere, query); got != status {
			t.Errorf("%s: %d %s", query, got, body)
		}
	}
}

// seesAll may see everything.
type seesAll struct{}

func (seesAll) Review(_ context.Context, q access.Question) (access.Answer, error) {
	return access.Answer{Authenticated: true, User: "jane", Everywhere: true, Namespaces: q.Namespaces}, nil
}

// guarding lets through whom access does.
func guarding(t *testing.T, h http.Handler, who Access) http.Handler {
	t.Helper()
	guard, err := NewGuard(GuardOptions{Access: who})
	if err != nil {
		t.Fatal(err)
	}
	return guard.Wrap(h)
}
