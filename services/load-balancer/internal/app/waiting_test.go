package app_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// sleeps adds a sleeping application whose start lasts until wakes is called.
func sleeps(c *fakeController, name, prefix, address string, change func(*autoscaler.Route)) (wakes func()) {
	c.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route(name, prefix)
		expected := 40.0
		r.ExpectedStartSeconds = &expected
		if change != nil {
			change(&r)
		}
		routes[key(name)] = r
	})
	return func() {
		c.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
			r := routes[key(name)]
			r.State, r.Endpoints = autoscaler.ApplicationStateAwake, []autoscaler.Endpoint{ready(name+"-1", address)}
			routes[key(name)] = r
		})
	}
}

func whileWaiting(mode autoscaler.WhileWaiting) func(*autoscaler.Route) {
	return func(r *autoscaler.Route) { r.WhileWaiting = &mode }
}

// ask asks with some fields.
func ask(t *testing.T, c *http.Client, method, url string, fields ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestWaiting_AcceptedSaysWhereToAskUntilItIsReady(t *testing.T) {
	controller, server := newFakeController(t)
	wakes := sleeps(controller, "fib", "/fib", pod(t, says("hello")), whileWaiting(autoscaler.WhileWaitingAccepted))
	b, other := boot(t, server.URL, nil), boot(t, server.URL, nil)
	answer := ask(t, client(t), http.MethodPost, b.url+"/fib/1")
	_ = answer.Body.Close()
	place := answer.Header.Get("Location")
	if answer.StatusCode != http.StatusAccepted || !strings.HasPrefix(place, "/fib/.well-known/nemesis/starts/") || answer.Header.Get("Retry-After") == "" {
		t.Fatalf("%s, Location %q", answer.Status, place)
	}
	testwait.Until(t, "the start is called for", func() bool { return len(controller.calls()) > 0 })
	status := func(b *balancer) string {
		_, body := get(t, client(t), b.url+place)
		var state struct{ Status, Ask string }
		if err := json.Unmarshal([]byte(body), &state); err != nil || state.Ask != place {
			t.Fatalf("%s: %v", body, err)
		}
		return state.Status
	}
	if got := status(b); got != "starting" {
		t.Errorf("while it starts: %s", got)
	}
	if got := status(other); got != "asleep" {
		t.Errorf("a load balancer that has not heard of it yet: %s", got)
	}
	setState(controller, "fib", autoscaler.ApplicationStateWaking)
	testwait.Until(t, "every load balancer knows of the start", func() bool { return status(other) == "starting" })
	wakes()
	testwait.Until(t, "it is ready", func() bool { return status(b) == "ready" && status(other) == "ready" })
	if r, body := get(t, client(t), b.url+"/fib/1"); body != "hello" {
		t.Errorf("%s %s", r.Status, body)
	}
	controller.await(t, "that the wake-up was answered", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "fib")
		return ok && a.WakeUps != nil && slices.ContainsFunc(*a.WakeUps, func(w autoscaler.WakeUpReport) bool {
			return w.Outcome == autoscaler.WakeUpOutcomeAnswered && strings.HasSuffix(place, w.Id)
		})
	})
}

func TestWaiting_UnavailableAndPageAreAnsweredAtOnce(t *testing.T) {
	for mode, contentType := range map[autoscaler.WhileWaiting]string{
		autoscaler.WhileWaitingUnavailable: "application/problem+json", autoscaler.WhileWaitingPage: "text/html; charset=utf-8",
	} {
		t.Run(string(mode), func(t *testing.T) {
			controller, server := newFakeController(t)
			wakes := sleeps(controller, "fib", "/fib", pod(t, says("hello")), whileWaiting(mode))
			b := boot(t, server.URL, nil)
			c := client(t)
			answer := ask(t, c, http.MethodGet, b.url+"/fib/1", "Accept", "text/html")
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Content-Type") != contentType || answer.Header.Get("Retry-After") != "40" || !strings.Contains(string(body), "of about 40 s") {
				t.Errorf("%s %q %s", answer.Status, answer.Header, body)
			}
			testwait.Until(t, "the start is called for", func() bool { return len(controller.calls()) > 0 })
			wakes()
			testwait.Until(t, "the answer", func() bool { _, body := get(t, c, b.url+"/fib/1"); return body == "hello" })
		})
	}
}

// overHTTP2 is a client that speaks HTTP/2 in clear text.
func overHTTP2(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestWaiting_ProgressInAnEventStream(t *testing.T) {
	for name, made := range map[string]func(*testing.T) *http.Client{"HTTP/1.1": client, "HTTP/2": overHTTP2} {
		t.Run(name, func(t *testing.T) { progressInAnEventStream(t, made(t)) })
	}
}

func progressInAnEventStream(t *testing.T, c *http.Client) {
	t.Helper()
	controller, server := newFakeController(t)
	wakes := sleeps(controller, "fib", "/fib", pod(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: hello\n\n")
	})), whileWaiting(autoscaler.WhileWaitingProgress))
	b := boot(t, server.URL, nil)
	answer := ask(t, c, http.MethodPost, b.url+"/fib/1", "Accept", "text/event-stream")
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), ": pod starting, ") || answer.Header.Get("Content-Type") != "text/event-stream" || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %q: %s", answer.Status, answer.Header, lines.Text())
	}
	wakes()
	last := ""
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if last != "data: hello" || lines.Err() != nil {
		t.Errorf("the last line is %q, %v", last, lines.Err())
	}
}

func TestWaiting_ProgressInInformationalAnswers(t *testing.T) {
	for name, made := range map[string]func(*testing.T) *http.Client{"HTTP/1.1": client, "HTTP/2": overHTTP2} {
		t.Run(name, func(t *testing.T) { progressInInformationalAnswers(t, made(t)) })
	}
}

func progressInInformationalAnswers(t *testing.T, c *http.Client) {
	t.Helper()
	controller, server := newFakeController(t)
	wakes := sleeps(controller, "fib", "/fib", pod(t, says("hello")), whileWaiting(autoscaler.WhileWaitingProgress))
	b := boot(t, server.URL, nil)
	r, err := http.NewRequest(http.MethodPost, b.url+"/fib/1", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	informed := make(chan string, 8)
	r = r.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		informed <- http.StatusText(code) + " " + h.Get("Nemesis-Progress")
		wakes()
		return nil
	}}))
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if got := <-informed; string(body) != "hello" || !strings.HasPrefix(got, "Early Hints ") || !strings.HasSuffix(got, ";of=40") {
		t.Errorf("%s %s after %q", answer.Status, body, got)
	}
}

func TestUncounted_HealthChecksNeitherWakeNorKeepAwake(t *testing.T) {
	controller, server := newFakeController(t)
	paths, agents, unavailable := []string{"/healthz"}, []string{"GoogleHC/"}, autoscaler.AnswerUnavailable
	wakes := sleeps(controller, "fib", "/fib", pod(t, says("hello")), func(r *autoscaler.Route) {
		r.UncountedRequests = &[]autoscaler.UncountedRequest{{Paths: &paths}, {UserAgents: &agents, StatusWhileAsleep: &unavailable}}
	})
	b := boot(t, server.URL, nil)
	c := client(t)
	check := func() (status int, body string) {
		r, body := get(t, c, b.url+"/fib/healthz")
		return r.StatusCode, body
	}
	for range 5 {
		if status, body := check(); status != http.StatusOK || body != "asleep\n" {
			t.Fatalf("asleep: %d %s", status, body)
		}
		answer := ask(t, c, http.MethodGet, b.url+"/fib/", "User-Agent", "GoogleHC/1.0")
		if _ = answer.Body.Close(); answer.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("asleep, and it shall say so: %s", answer.Status)
		}
	}
	if n := len(controller.calls()); n != 0 {
		t.Errorf("%d start calls", n)
	}
	wakes()
	testwait.Until(t, "the pod answers", func() bool { _, body := check(); return body == "hello" })

	// One real request, and from then on health checks alone: the last activity stays where it is, and
	// the application falls asleep between them.
	get(t, c, b.url+"/fib/1")
	report := controller.await(t, "one request", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "fib")
		return ok && a.Requests == 1 && a.InFlight == 0
	})
	before, _ := traffic(report, "fib")
	check()
	version := setState(controller, "fib", autoscaler.ApplicationStateFallingAsleep)
	testwait.Until(t, "health checks are answered here", func() bool { _, body := check(); return body == "asleep\n" })
	report = controller.await(t, "that it is quiet", func(r autoscaler.TrafficReport) bool {
		return r.RoutesVersion != nil && *r.RoutesVersion == version
	})
	after, _ := traffic(report, "fib")
	if after.Requests != 1 || after.InFlight != 0 || after.Waiting != 0 || !after.LastActivity.Equal(*before.LastActivity) || len(controller.calls()) != 0 {
		t.Errorf("reported is %+v, before %+v; %d start calls", after, before, len(controller.calls()))
	}
	r, metrics := get(t, c, b.admin+"/metrics")
	if r.StatusCode != http.StatusOK || !strings.Contains(metrics, `nemesis_lb_uncounted_requests_total{answer="asleep",deployment="fib",namespace="default"}`) ||
		!strings.Contains(metrics, `nemesis_lb_requests_total{code="2xx",deployment="fib",namespace="default"} 1`) {
		t.Error("the metrics do not tell health checks from traffic")
	}
}
