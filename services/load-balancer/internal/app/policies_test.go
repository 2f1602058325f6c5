package app_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// several is an awake application with these pods.
func several(c *fakeController, change func(*autoscaler.Route), addresses ...string) {
	c.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route("app", "/app")
		r.State = autoscaler.ApplicationStateAwake
		for i, address := range addresses {
			r.Endpoints = append(r.Endpoints, ready(fmt.Sprintf("app-%d", i), address))
		}
		change(&r)
		routes[key("app")] = r
	})
}

// asked sends a request with one header field, and returns the answer with its body.
func asked(t *testing.T, url, method, field, value, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(field, value)
	answer, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// mcp is a server that gives sessions names, and knows its own alone.
func mcp(name string) http.Handler {
	var count atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := r.Header.Get("Mcp-Session-Id")
		switch {
		case session == "":
			w.Header().Set("Mcp-Session-Id", fmt.Sprintf("%s-%d", name, count.Add(1)))
		case !strings.HasPrefix(session, name+"-") || strings.Contains(session, "~"):
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, name)
	})
}

func TestPolicy_AnMCPSessionStaysOnItsPodWhicheverBalancerItComesTo(t *testing.T) {
	controller, server := newFakeController(t)
	addresses := []string{pod(t, mcp("a")), pod(t, mcp("b")), pod(t, mcp("c"))}
	yes, algorithm := true, autoscaler.ConsistentHash
	byMCP := func(r *autoscaler.Route) {
		r.Algorithm, r.ConsistentHash = &algorithm, &autoscaler.ConsistentHashKey{McpSession: &yes}
	}
	several(controller, byMCP, addresses...)
	first, second := boot(t, server.URL, nil), boot(t, server.URL, nil)
	sessions := map[string]string{}
	for range 12 {
		answer, name := asked(t, first.url+"/app/mcp", http.MethodPost, "Accept", "*/*", "{}")
		sessions[answer.Header.Get("Mcp-Session-Id")] = name
	}
	if len(sessions) != 12 {
		t.Fatalf("sessions: %v", sessions)
	}
	several(controller, byMCP, append(addresses, pod(t, mcp("d")))...)
	testwait.Until(t, "the fourth pod is known", func() bool { return len(second.state(t).Applications[0].Endpoints) == 4 })
	for session, name := range sessions {
		for _, b := range []*balancer{first, second} {
			if answer, got := asked(t, b.url+"/app/mcp", http.MethodPost, "mcp-session-id", session, "{}"); got != name || answer.StatusCode != http.StatusOK {
				t.Errorf("the session %s began at %s, and went to %s: %s", session, name, got, answer.Status)
			}
		}
	}
}

func TestPolicy_TheSameKeyGoesToTheSamePodFromEveryBalancer(t *testing.T) {
	controller, server := newFakeController(t)
	field, algorithm := "X-User", autoscaler.ConsistentHash
	several(controller, func(r *autoscaler.Route) {
		r.Algorithm, r.ConsistentHash = &algorithm, &autoscaler.ConsistentHashKey{Header: &field}
	}, pod(t, says("a")), pod(t, says("b")), pod(t, says("c")))
	first, second := boot(t, server.URL, nil), boot(t, server.URL, nil)
	homes := map[string]bool{}
	for i := range 20 {
		user := fmt.Sprint("user-", i)
		_, one := asked(t, first.url+"/app", http.MethodGet, field, user, "")
		_, other := asked(t, second.url+"/app", http.MethodGet, field, user, "")
		if one != other {
			t.Errorf("%s goes to %s and %s", user, one, other)
		}
		homes[one] = true
	}
	if len(homes) != 3 {
		t.Errorf("twenty users went to %v", homes)
	}
}

func TestPolicy_APodThatFailsFastDoesNotAttractUnderAny(t *testing.T) {
	for _, algorithm := range []autoscaler.LoadBalancingAlgorithm{
		autoscaler.RoundRobin, autoscaler.Random, autoscaler.LeastConnections, autoscaler.LeastRequest, autoscaler.PeakEWMA, autoscaler.Prequal,
		autoscaler.ConsistentHash, autoscaler.ModelAware,
	} {
		t.Run(string(algorithm), func(t *testing.T) {
			controller, server := newFakeController(t)
			broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
			field := "X-User"
			several(controller, func(r *autoscaler.Route) {
				r.Algorithm, r.ConsistentHash = &algorithm, &autoscaler.ConsistentHashKey{Header: &field}
			}, pod(t, broken), pod(t, says("fine")))
			b := boot(t, server.URL, nil)
			failed := 0
			for i := range 200 {
				if answer, _ := asked(t, b.url+"/app", http.MethodGet, field, fmt.Sprint(i), ""); answer.StatusCode != http.StatusOK {
					failed++
				}
			}
			if failed > 20 { // five in a row, and one for each time that it is tried again
				t.Errorf("%d of 200 requests failed", failed)
			}
		})
	}
}

// A model server whose own queue is full answers 429, at once.
func TestPolicy_APodThatRefusesDoesNotAttract(t *testing.T) {
	for _, algorithm := range []autoscaler.LoadBalancingAlgorithm{
		autoscaler.LeastConnections, autoscaler.LeastRequest, autoscaler.PeakEWMA, autoscaler.Prequal, autoscaler.ModelAware,
	} {
		t.Run(string(algorithm), func(t *testing.T) {
			controller, server := newFakeController(t)
			full := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
			working := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) })
			several(controller, func(r *autoscaler.Route) { r.Algorithm = &algorithm }, pod(t, full), pod(t, working))
			b := boot(t, server.URL, nil)
			var refused atomic.Int64
			var clients sync.WaitGroup
			for range 8 {
				clients.Go(func() {
					for range 50 {
						if answer, _ := get(t, client(t), b.url+"/app"); answer.StatusCode == http.StatusTooManyRequests {
							refused.Add(1)
						}
					}
				})
			}
			clients.Wait()
			if n := refused.Load(); n == 0 || n > 80 { // of 400; an even share would be half, and without a rest it is most
				t.Errorf("%d of 400 requests were refused", n)
			}
		})
	}
}
