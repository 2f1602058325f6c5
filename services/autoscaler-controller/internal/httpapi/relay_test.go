package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

const start = "/v1/namespaces/default/deployments/fib/start"

// The relay gives a leader little time, since a load balancer waits for the answer. These tests
// therefore run in bubbles of virtual time, with pipes for a network: a busy machine is no slow leader.

// leaderAddress is where a follower finds the leader of a bubble.
const leaderAddress = "leader:8080"

// pipes is a network of one address.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: leaderAddress} }

func (p *pipes) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if address != leaderAddress {
		return nil, errors.New("there is no " + address)
	}
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lead serves a leader until the end of the bubble, and returns a follower that knows it. With no
// handler nobody listens at the leader's address.
func lead(t *testing.T, handler http.Handler) *parts {
	t.Helper()
	network := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	if handler == nil {
		_ = network.Close()
	} else {
		server := httptest.NewUnstartedServer(handler)
		_ = server.Listener.Close()
		server.Listener = network
		server.Start()
		t.Cleanup(func() {
			server.CloseClientConnections()
			server.Close()
		})
	}
	follower := newParts()
	follower.leader, follower.dial = leaderAddress, network.dial
	return follower
}

// hangs is a leader that takes a request and never answers.
func hangs(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestRelay_AFollowerAsksTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader := newParts()
		leader.started = fleet.Started{State: fleet.Waking, Replicas: 7, Message: "by the leader"}
		follower := lead(t, leader.handler(t))
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
		leader.version = 4
		if w := do(h, "PUT", settingsPath, "{}"); w.Code != 200 || w.Header().Get(settingsVersionHeader) != "5" {
			t.Errorf("settings: %d, version %q", w.Code, w.Header().Get(settingsVersionHeader))
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
	})
}

func TestRelay_ServesItselfWhenTheLeaderDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		follower := lead(t, nil)
		follower.started = fleet.Started{State: fleet.Waking, Message: "here"}
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
		time.Sleep(avoidFor)
		if do(h, "POST", start, `{"balancer":"lb","waiting":1}`); follower.failed != 2 {
			t.Errorf("%d attempts failed; want the leader asked again after %v", follower.failed, avoidFor)
		}
	})
}

func TestRelay_GivesUpAWaitWhenTheLeaderChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		follower := lead(t, http.HandlerFunc(hangs))
		h := follower.handler(t)
		answered := make(chan *httptest.ResponseRecorder, 1)
		began := time.Now()
		go func() { answered <- do(h, "GET", "/v1/routes?wait=60s", "") }()
		synctest.Wait() // until the leader was asked
		if len(answered) != 0 {
			t.Error("the leader was not asked")
		}
		close(follower.changed)
		w := <-answered
		if took := time.Since(began); took != 0 || w.Code != 200 || !strings.Contains(w.Body.String(), `"complete":true`) {
			t.Errorf("got %d %s after %v", w.Code, w.Body, took)
		}
	})
}

func TestRelay_ServesItselfBeforeALoadBalancerLosesItsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		follower := lead(t, http.HandlerFunc(hangs))
		patient, giveUp := context.WithTimeout(t.Context(), 2*time.Second)
		defer giveUp()
		r := httptest.NewRequest(http.MethodPost, "/v1/traffic", strings.NewReader(`{"balancer":"lb","startedAt":"2026-01-02T03:04:05Z","sequence":1,"leaving":false,"applications":[]}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		began := time.Now()
		follower.handler(t).ServeHTTP(w, r.WithContext(patient))
		if took := time.Since(began); took != relayTimeout || w.Code != 200 || patient.Err() != nil || follower.failed != 1 {
			t.Errorf("%d %s after %v, %v, %d failures", w.Code, w.Body, took, patient.Err(), follower.failed)
		}
	})
}

// A leader of before answers with everything, whatever was asked for.
func TestRelay_AListThatAnOlderLeaderDoesNotUnderstandIsServedHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		older := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"items":["all"]}`) })
		p := lead(t, older)
		h := populated(p, func(string) bool { return true }).handler(t)
		for query, relayed := range map[string]bool{
			"applications": true, "applications?namespace=ns-1": true, "decisions?limit=3": true, "pods?deployment=x": true,
			"applications?limit=3": false, "pods?continue=" + list(t, populated(newParts(), func(string) bool { return true }).handler(t), "/v1/pods", url.Values{"limit": {"1"}}).Metadata.Continue: false,
			"metrics?labelSelector=a": false, "decisions?fieldSelector=trigger%3DIdle": false, "applications?deployment=app-01": false,
		} {
			if w := do(h, "GET", "/v1/"+query, ""); w.Code != 200 || strings.Contains(w.Body.String(), `"all"`) != relayed {
				t.Errorf("%s: %d %s", query, w.Code, w.Body)
			}
		}
		if p.failed != 0 {
			t.Errorf("the leader was taken for one that does not answer %d times", p.failed)
		}
	})
}

func TestRelay_ListsAreTheLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := lead(t, populated(newParts(), func(string) bool { return true }).handler(t))
		p.fleet = fleet.New("x") // which knows nothing
		h := p.handler(t)
		for path := range schemas {
			if got := walk(t, h, path, url.Values{}, 7, path != "/v1/pods"); len(got) < 24 {
				t.Errorf("%s: %v", path, got)
			}
		}
		if w := do(h, "GET", "/v1/pods?fieldSelector=x%3Dy", ""); w.Code != 400 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
