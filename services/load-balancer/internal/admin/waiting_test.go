package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
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
	}
	if p.limit != 1 {
		t.Errorf("asked for %d", p.limit)
	}
	for _, query := range []string{"limit=0", "limit=101", "namespace=A_B"} {
		if status, body, _ := waitingOf(t, guarding(t, handler, &onlyIn{}), query); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
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
