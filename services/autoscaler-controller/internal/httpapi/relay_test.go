package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

const start = "/v1/namespaces/default/deployments/fib/start"

func TestRelay_AFollowerAsksTheLeader(t *testing.T) {
	leader := newParts()
	leader.started = fleet.Started{State: fleet.Waking, Replicas: 7, Message: "by the leader"}
	server := httptest.NewServer(leader.handler(t))
	defer server.Close()
	follower := newParts()
	follower.leader = strings.TrimPrefix(server.URL, "http://")
	h := follower.handler(t)
	w := do(h, "POST", start, `{"balancer":"lb","waiting":1}`)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "by the leader") || len(follower.calls) != 0 || len(leader.calls) != 1 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := do(h, "POST", start, `{"waiting":1}`); w.Code != 400 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("a refusal of the leader: %d %s", w.Code, w.Body)
	}
	if w := do(h, "PUT", start, ""); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("a method that there is not: %d, allowed %q", w.Code, w.Header().Get("Allow"))
	}
	do(h, "GET", "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/default/customautoscalers", "", "Authorization", "Bearer T")
	if follower.asked == nil || leader.asked != nil {
		t.Error("a call on custom resources was relayed")
	}
	if w := do(h, "POST", start, `{"balancer":"lb","waiting":1}`, relayedHeader, "1"); w.Code != 200 || len(follower.calls) != 1 {
		t.Errorf("a relayed request was relayed again: %d", w.Code)
	}
	if follower.failed != 0 {
		t.Errorf("%d failures", follower.failed)
	}
}

func TestRelay_ServesItselfWhenTheLeaderDoesNotAnswer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := strings.TrimPrefix(server.URL, "http://")
	server.Close()
	follower := newParts()
	follower.leader, follower.started = address, fleet.Started{State: fleet.Waking, Message: "here"}
	h := follower.handler(t)
	for range 2 {
		if w := do(h, "POST", start, `{"balancer":"lb","waiting":1}`); w.Code != 200 || !strings.Contains(w.Body.String(), "here") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
	if len(follower.calls) != 2 || follower.failed != 1 {
		t.Errorf("%d served, %d attempts failed; want the dead leader asked once", len(follower.calls), follower.failed)
	}
	if w := do(h, "GET", "/v1/routes", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"complete":true`) {
		t.Errorf("routes: %d %s", w.Code, w.Body)
	}
}

func TestRelay_GivesUpAWaitWhenTheLeaderChanges(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done() // a leader that hangs
	}))
	defer server.Close()
	follower := newParts()
	follower.leader = strings.TrimPrefix(server.URL, "http://")
	h := follower.handler(t)
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() { answered <- do(h, "GET", "/v1/routes?wait=60s", "") }()
	<-asked
	close(follower.changed)
	select {
	case w := <-answered:
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"complete":true`) {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it still waits")
	}
}

func TestRelay_ServesItselfBeforeALoadBalancerLosesItsPatience(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done() // a leader that hangs
	}))
	defer server.Close()
	follower := newParts()
	follower.leader = strings.TrimPrefix(server.URL, "http://")
	patient, giveUp := context.WithTimeout(t.Context(), 2*time.Second)
	defer giveUp()
	r := httptest.NewRequest(http.MethodPost, "/v1/traffic", strings.NewReader(`{"balancer":"lb","startedAt":"2026-01-02T03:04:05Z","sequence":1,"leaving":false,"applications":[]}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	follower.handler(t).ServeHTTP(w, r.WithContext(patient))
	if w.Code != 200 || patient.Err() != nil || follower.failed != 1 {
		t.Errorf("%d %s, %v, %d failures", w.Code, w.Body, patient.Err(), follower.failed)
	}
}
