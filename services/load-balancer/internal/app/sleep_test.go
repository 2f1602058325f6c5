package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// awake is an application with one ready pod.
func awake(c *fakeController, name, prefix, address string) {
	c.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route(name, prefix)
		r.State, r.Endpoints = autoscaler.ApplicationStateAwake, []autoscaler.Endpoint{ready(name+"-1", address)}
		routes[key(name)] = r
	})
}

func setState(c *fakeController, name string, state autoscaler.ApplicationState) string {
	return c.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := routes[key(name)]
		r.State = state
		routes[key(name)] = r
	})
}

func TestSleep_ReportsQuietAtOnceAndSendsNothingNew(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "fib", "/fib", pod(t, says("hello")))
	b := boot(t, server.URL, nil)
	get(t, client(t), b.url+"/fib/1")
	testwait.Until(t, "nothing is in flight", func() bool { return b.state(t).Applications[0].InFlight == 0 })

	version := setState(controller, "fib", autoscaler.ApplicationStateFallingAsleep)
	report := controller.await(t, "that it follows "+version, func(r autoscaler.TrafficReport) bool {
		return r.RoutesVersion != nil && *r.RoutesVersion == version
	})
	if a, ok := traffic(report, "fib"); !ok || a.InFlight != 0 || a.Waiting != 0 || a.Requests != 1 || a.LastActivity == nil {
		t.Errorf("report = %+v, want a quiet application with one request", report)
	}

	// A request calls the sleep off: it waits, the start call is made, and the pod that still runs
	// answers it.
	controller.mu.Lock()
	controller.onStart = func(autoscaler.ApplicationKey) { setState(controller, "fib", autoscaler.ApplicationStateAwake) }
	controller.mu.Unlock()
	if r, body := get(t, client(t), b.url+"/fib/2"); body != "hello" {
		t.Errorf("answer = %s %s", r.Status, body)
	}
	if n := len(controller.calls()); n != 1 {
		t.Errorf("%d start calls, want 1", n)
	}
}

func TestSleep_IsReportedWhenTheLastStreamEnds(t *testing.T) {
	controller, server := newFakeController(t)
	end := make(chan struct{})
	awake(controller, "fib", "/fib", pod(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-end
	})))
	b := boot(t, server.URL, nil)
	r, err := client(t).Get(b.url + "/fib/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	version := setState(controller, "fib", autoscaler.ApplicationStateFallingAsleep)
	busy := controller.await(t, "that it follows "+version, func(r autoscaler.TrafficReport) bool {
		return r.RoutesVersion != nil && *r.RoutesVersion == version
	})
	if a, _ := traffic(busy, "fib"); a.InFlight != 1 || a.Streaming != 1 {
		t.Errorf("while the stream runs the report says %+v", a)
	}
	close(end)
	controller.await(t, "that it is quiet", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "fib")
		return ok && a.InFlight == 0 && *r.RoutesVersion == version
	})
}

func TestController_AwayIsSurvived(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "fib", "/fib", pod(t, says("from the pod")))
	service := pod(t, says("from the service"))
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		lost := route("lost", "/lost")
		lost.ServiceAddress = &service
		lost.Endpoints = []autoscaler.Endpoint{ready("lost-1", unused)}
		routes[key("lost")] = lost
	})
	b := boot(t, server.URL, nil)
	controller.setDown(true)
	server.CloseClientConnections()
	testwait.Until(t, "the controller is missed", func() bool { return !b.state(t).Controller.Connected })
	if _, body := get(t, client(t), b.url+"/fib/1"); body != "from the pod" {
		t.Errorf("while the controller is away: %s", body)
	}
	if _, body := get(t, client(t), b.url+"/lost/1"); body != "from the service" {
		t.Errorf("with no known pod: %s", body)
	}
	if r, err := http.Get(b.admin + "/readyz"); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("readyz = %v, %v: a balancer that knows routes goes on", r, err)
	}
	controller.setDown(false)
	testwait.Until(t, "the controller is back", func() bool { return b.state(t).Controller.Connected })
	awake(controller, "new", "/new", pod(t, says("new")))
	testwait.Until(t, "the new route", func() bool { _, body := get(t, client(t), b.url+"/new"); return body == "new" })
}

func TestRoutes_RequestsThatFitNoneAreRefused(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "fib", "/fib", pod(t, says("hello")))
	b := boot(t, server.URL, nil)
	for path, want := range map[string]int{
		"/other": 404, "/fibonacci": 404, "/fib": 200, "/fib/": 200, "/fib%2f1": 400, "/fib/a%2fb": 200, "/fib/%00": 400,
		"/x/../fib/1": 200, "/fib/../other": 404, "/fib/%2e%2e/other": 404,
	} {
		r, err := http.NewRequest(http.MethodGet, b.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = path
		answer, err := client(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %s %s, want %d", path, answer.Status, body, want)
		}
		if want != 200 && answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: Content-Type %q", path, answer.Header.Get("Content-Type"))
		}
	}
}

func TestBody_TooLargeIsRefused(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "fib", "/fib", pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})))
	b := boot(t, server.URL, func(s *app.Settings) { s.MaxBodyMiB = 1 })
	big := bytes.Repeat([]byte("x"), 1<<20+1)
	for name, body := range map[string]io.Reader{"declared": bytes.NewReader(big), "streamed": io.MultiReader(bytes.NewReader(big))} {
		r, err := client(t).Post(b.url+"/fib", "text/plain", body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if r.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(text), `"too-large"`) {
			t.Errorf("%s: %s %s", name, r.Status, text)
		}
	}
	r, err := client(t).Post(b.url+"/fib", "text/plain", io.MultiReader(bytes.NewReader(big[:1<<20])))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	if text, _ := io.ReadAll(r.Body); string(text) != strconv.Itoa(1<<20) {
		t.Errorf("a body of the very limit: %s %s", r.Status, text)
	}
}

func TestBody_OfARequestThatWaitsArrivesWhole(t *testing.T) {
	for _, size := range []int{0, 1, 4 << 10, 8<<10 + 1, 64 << 10, 64<<10 + 1, 3 << 20} {
		for _, declared := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d bytes, declared %v", size, declared), func(t *testing.T) {
				controller, server := newFakeController(t)
				sleeper(controller, "echo", "/", pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body) // Go's own server takes no more of it once it answers
					_, _ = w.Write(body)
				})), nil)
				b := boot(t, server.URL, nil)
				sent := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				for range 3 { // the first one waits, the others do not
					var body io.Reader = bytes.NewReader(sent)
					if !declared {
						body = io.MultiReader(body)
					}
					r, err := client(t).Post(b.url, "text/plain", body)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(r.Body)
					_ = r.Body.Close()
					if err != nil || !bytes.Equal(got, sent) {
						t.Errorf("%s: %d bytes came back, want %d; %v", r.Status, len(got), len(sent), err)
					}
				}
			})
		}
	}
}

func TestConnect_PodThatRefusesIsLeftForAnother(t *testing.T) {
	controller, server := newFakeController(t)
	good := pod(t, says("good"))
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route("fib", "/fib")
		r.State = autoscaler.ApplicationStateAwake
		r.Endpoints = []autoscaler.Endpoint{ready("bad", unused), ready("good", good)}
		routes[key("fib")] = r
	})
	b := boot(t, server.URL, nil)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if r, body := get(t, client(t), b.url+"/fib"); body != "good" {
				t.Errorf("%s %s", r.Status, body)
			}
		})
	}
	all.Wait()
	for _, e := range b.state(t).Applications[0].Endpoints {
		if e.Usable != (e.Pod == "good") {
			t.Errorf("endpoint = %+v (%s)", e, *e.Why)
		}
	}
}

func TestBody_UnreadWhenItsRequestIsRefusedDoesNotHideTheAnswer(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route("fib", "/fib")
		r.WakeUpTimeoutSeconds = 1
		routes[key("fib")] = r
	})
	b := boot(t, server.URL, nil)
	for name, size := range map[string]int{"a part is unread": 200 << 10, "most is unread": 8 << 20} {
		r, err := client(t).Post(b.url+"/fib", "text/plain", bytes.NewReader(make([]byte, size)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %s", name, r.Status)
		}
	}
	// A client that stops in the middle of its body must not hold up its answer.
	in, out := io.Pipe()
	defer func() { _ = out.Close() }()
	go func() { _, _ = out.Write([]byte("begin")) }()
	r, err := client(t).Post(b.url+"/fib", "text/plain", in)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a body that stops: %s", r.Status)
	}
}
