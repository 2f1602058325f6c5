package app_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// sleeper adds a sleeping application that, when started, has a pod at address.
func sleeper(c *fakeController, name, prefix, address string, change func(*autoscaler.Route)) {
	c.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route(name, prefix)
		if change != nil {
			change(&r)
		}
		routes[key(name)] = r
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onStart = func(k autoscaler.ApplicationKey) {
		c.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
			r := routes[k]
			r.State, r.Endpoints = autoscaler.ApplicationStateWaking, []autoscaler.Endpoint{starting(name+"-1", address)}
			routes[k] = r
		})
	}
}

func TestWake_FirstRequestStartsTheApplicationAndIsAnswered(t *testing.T) {
	controller, server := newFakeController(t)
	sleeper(controller, "fib", "/fibonacci", pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.URL.RequestURI(), r.Header.Get("Traceparent")[:35])
	})), nil)
	b := boot(t, server.URL, nil)

	r, _ := http.NewRequest(http.MethodGet, b.url+"/fibonacci/10?x=%2f", nil)
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	answer, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 256)
	n, _ := answer.Body.Read(body)
	_ = answer.Body.Close()
	if got, want := string(body[:n]), "/10?x=%2f 00-4bf92f3577b34da6a3ce929d0e0e4736"; got != want {
		t.Errorf("the pod saw %q, want %q", got, want)
	}
	if got := answer.Header.Get("Server-Timing"); !strings.HasPrefix(got, "wait;dur=") {
		t.Errorf("Server-Timing = %q, want the time that the request waited", got)
	}

	calls := controller.calls()
	if len(calls) != 1 {
		t.Fatalf("%d start calls, want 1", len(calls))
	}
	if c := calls[0]; c.request.Waiting != 1 || !strings.HasPrefix(c.traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-") {
		t.Errorf("start call = %+v, want one request of the client's trace", c)
	}
	report := controller.await(t, "that the wake-up was answered", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "fib")
		return ok && a.WakeUps != nil && (*a.WakeUps)[len(*a.WakeUps)-1].Outcome == autoscaler.WakeUpOutcomeAnswered
	})
	a, _ := traffic(report, "fib")
	w := (*a.WakeUps)[len(*a.WakeUps)-1]
	if w.Id != "4bf92f3577b34da6a3ce929d0e0e4736" || w.Pod == nil || *w.Pod != "fib-1" {
		t.Errorf("wake-up = %+v", w)
	}
	// (When the start call was answered is not told of one that had ended by then: here the route can be faster.)
	for i, at := range []bool{w.StartCalledAt != nil, w.FirstProbeAt != nil, w.FirstByteAt != nil} {
		if !at {
			t.Errorf("phase %d of the wake-up is missing: %+v", i, w)
		}
	}
}

func TestWake_WithoutATraceEachWakeUpHasAnIDOfItsOwn(t *testing.T) {
	controller, server := newFakeController(t)
	sleeper(controller, "fib", "/fib", pod(t, says("hello")), nil)
	b := boot(t, server.URL, nil)
	seen := map[string]bool{strings.Repeat("0", 32): true}
	for range 2 {
		get(t, client(t), b.url+"/fib/")
		var id string
		controller.await(t, "that another wake-up was answered", func(r autoscaler.TrafficReport) bool {
			a, ok := traffic(r, "fib")
			if !ok || a.WakeUps == nil {
				return false
			}
			w := (*a.WakeUps)[len(*a.WakeUps)-1]
			id = w.Id
			return w.Outcome == autoscaler.WakeUpOutcomeAnswered && !seen[id]
		})
		seen[id] = true
		testwait.Until(t, "nothing is in flight", func() bool { return b.state(t).Applications[0].InFlight == 0 })
		version := controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
			r := routes[key("fib")]
			r.State, r.Endpoints = autoscaler.ApplicationStateAsleep, nil
			routes[key("fib")] = r
		})
		controller.awaitFollowed(t, version)
	}
}

func TestWake_TwoHundredAtOnceAreAllAnswered(t *testing.T) {
	for name, concurrency := range map[string]int32{"no limit": 0, "four at a time": 4} {
		t.Run(name, func(t *testing.T) {
			controller, server := newFakeController(t)
			var mu sync.Mutex
			now, most := 0, 0
			sleeper(controller, "fib", "/fib", pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				fmt.Fprint(w, r.URL.Path)
				mu.Lock()
				now--
				mu.Unlock()
			})), func(r *autoscaler.Route) { r.ContainerConcurrency = concurrency })
			b := boot(t, server.URL, nil)
			c := client(t)
			var all sync.WaitGroup
			for i := range 200 {
				all.Go(func() {
					path := fmt.Sprintf("/%d", i)
					r, err := c.Get(b.url + "/fib" + path)
					if err != nil {
						t.Error(err)
						return
					}
					defer func() { _ = r.Body.Close() }()
					if r.StatusCode != http.StatusOK {
						t.Errorf("%s: %s", path, r.Status)
					}
				})
			}
			all.Wait()
			if concurrency > 0 && most > int(concurrency) {
				t.Errorf("%d requests at once on the pod, want at most %d", most, concurrency)
			}
		})
	}
}

func TestWake_SeveralApplicationsAtOnce(t *testing.T) {
	controller, server := newFakeController(t)
	addresses := map[autoscaler.ApplicationKey]string{}
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		for _, name := range []string{"a", "b", "c"} {
			routes[key(name)] = route(name, "/"+name)
			addresses[key(name)] = pod(t, says("I am "+name))
		}
	})
	controller.onStart = func(k autoscaler.ApplicationKey) {
		controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
			r := routes[k]
			r.Endpoints = []autoscaler.Endpoint{starting(k.Deployment+"-1", addresses[k])}
			routes[k] = r
		})
	}
	b := boot(t, server.URL, nil)
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		all.Go(func() {
			r, err := http.Get(b.url + "/" + name + "/x")
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = r.Body.Close() }()
			if r.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", name, r.Status)
			}
		})
	}
	all.Wait()
}

func TestWake_FailsWithAClearAnswerAndIsTriedAgain(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route("fib", "/fib")
		expected := 7.5
		r.WakeUpTimeoutSeconds, r.ExpectedStartSeconds = 1, &expected
		routes[key("fib")] = r
	})
	b := boot(t, server.URL, nil)
	left := 8 // seconds of the start, of which a request waits one
	for range 2 {
		r, body := get(t, client(t), b.url+"/fib/1")
		after, _ := strconv.Atoi(r.Header.Get("Retry-After"))
		if r.StatusCode != http.StatusServiceUnavailable || after < 1 || after >= left || !strings.Contains(body, `"wake-up-timeout"`) {
			t.Errorf("answer = %s, Retry-After %q, %s; want less than %d", r.Status, r.Header.Get("Retry-After"), body, left)
		}
		left = max(after, 2)
	}
	if n := len(controller.calls()); n < 2 {
		t.Errorf("%d start calls, want one for each request at least", n)
	}
	controller.await(t, "that the wake-up failed", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "fib")
		return ok && a.WakeUps != nil && (*a.WakeUps)[0].Outcome == autoscaler.WakeUpOutcomeFailed
	})
}

func TestWake_InVainSaysWhyTheControllerWouldNotStart(t *testing.T) {
	controller, server := newFakeController(t)
	controller.refusal = "the Deployment demo/fib does not exist"
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route("fib", "/fib")
		r.WakeUpTimeoutSeconds = 600 // which nobody waits for
		routes[key("fib")] = r
	})
	b := boot(t, server.URL, func(s *app.Settings) { s.NamesInRefusals = true })
	r, body := get(t, client(t), b.url+"/fib/1")
	if r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, controller.refusal) || !strings.Contains(body, `"start-blocked"`) || r.Header.Get("Retry-After") != "30" {
		t.Errorf("answer = %s, Retry-After %s, %s", r.Status, r.Header.Get("Retry-After"), body)
	}
}

func TestWake_InVainSaysWhatTheRouteSaysBlocksIt(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route("fib", "/fib")
		r.WakeUpTimeoutSeconds = 600
		r.Blocked = &autoscaler.Blocked{Reason: "ImagePullBackOff", Message: "fib-1: server: no such image", Since: time.Now()}
		routes[key("fib")] = r
	})
	b := boot(t, server.URL, func(s *app.Settings) { s.NamesInRefusals = true })
	r, body := get(t, client(t), b.url+"/fib/1")
	if r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "ImagePullBackOff: fib-1: server: no such image") || r.Header.Get("Retry-After") != "30" {
		t.Errorf("answer = %s, Retry-After %s, %s", r.Status, r.Header.Get("Retry-After"), body)
	}
}

func TestWake_FullWaitingRoomRefuses(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) { routes[key("fib")] = route("fib", "/fib") })
	b := boot(t, server.URL, func(s *app.Settings) { s.WaitingRoomRequests = 1 })
	c := client(t)
	first := make(chan string, 1)
	go func() {
		_, body := get(t, c, b.url+"/fib/first")
		first <- body
	}()
	controller.await(t, "that one waits", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "fib")
		return ok && a.Waiting == 1
	})
	r, body := get(t, c, b.url+"/fib/second")
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || !strings.Contains(body, `"waiting-room-full"`) {
		t.Errorf("answer = %s, Retry-After %q, %s", r.Status, r.Header.Get("Retry-After"), body)
	}
	sleeper(controller, "fib", "/fib", "", func(r *autoscaler.Route) {
		r.Endpoints = []autoscaler.Endpoint{ready("fib-1", pod(t, says("hello")))}
	})
	if body := <-first; body != "hello" {
		t.Errorf("the first one got %q", body)
	}
}
