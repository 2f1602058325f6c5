package app_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// logs is a page of the log, when every request so far has come to its end.
func (b *balancer) logs(t *testing.T, params *loadbalancer.ListProxyLogsParams) loadbalancer.ProxyLogPage {
	t.Helper()
	testwait.Until(t, "nothing is in flight", func() bool {
		for _, a := range b.state(t).Applications {
			if a.InFlight > 0 {
				return false
			}
		}
		return true
	})
	answer, err := b.api(t).ListProxyLogsWithResponse(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if answer.JSON200 == nil {
		t.Fatalf("logs: %d %s", answer.StatusCode(), answer.Body)
	}
	return *answer.JSON200
}

// logged waits until so many requests are in the log: a client has its answer before the log has it.
func (b *balancer) logged(t *testing.T, n int) {
	t.Helper()
	limit := 1000
	testwait.Until(t, fmt.Sprintf("%d requests are in the log", n), func() bool {
		return len(b.logs(t, &loadbalancer.ListProxyLogsParams{Limit: &limit}).Items) >= n
	})
}

// counts waits until the metrics have all this: a client has its answer before it is counted.
func (b *balancer) counts(t *testing.T, all ...string) {
	t.Helper()
	for _, want := range all {
		testwait.Until(t, "the metrics have "+want, func() bool {
			_, metrics := get(t, client(t), b.admin+"/metrics")
			return strings.Contains(metrics, want)
		})
	}
}

func TestLogs_HaveEveryRequestWithWhatBecameOfIt(t *testing.T) {
	controller, server := newFakeController(t)
	address := pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/break" {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, "hello")
	}))
	sleeper(controller, "fib", "/fib", address, nil)
	b := boot(t, server.URL, func(s *app.Settings) { s.TrustedProxies = "127.0.0.0/8" })
	began := time.Now()
	r, err := http.NewRequest(http.MethodPost, b.url+"/fib/a%2Fb?secret=1", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", "203.0.113.9, 198.51.100.7, 127.0.0.2")
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	answer, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	for i, path := range []string{"/nowhere", "/fib/break"} { // in this order in the log, too
		b.logged(t, i+1)
		get(t, client(t), b.url+path)
	}
	b.logged(t, 3)
	page := b.logs(t, nil)
	if len(page.Items) != 3 || page.Next != nil {
		t.Fatalf("page = %+v", page)
	}
	broken, nowhere, woke := page.Items[0], page.Items[1], page.Items[2]
	if woke.TargetUrl != "http://"+address+"/a%2Fb" || woke.Status != 200 || woke.ClientIp != "198.51.100.7" || woke.HttpMethod != "POST" ||
		*woke.Path != "/fib/a%2Fb" || *woke.Namespace != "default" || *woke.Deployment != "fib" || *woke.Pod != "fib-1" || *woke.Policy != "its turn" ||
		*woke.Tries != 1 || *woke.RequestBytes != 4 || *woke.ResponseBytes != 5 || *woke.TraceId != "4bf92f3577b34da6a3ce929d0e0e4736" || woke.Error != nil {
		t.Errorf("the one that woke: %+v", woke)
	}
	if woke.Timestamp.Before(began) || *woke.WaitedMs <= 0 || woke.LatencyMs < *woke.WaitedMs {
		t.Errorf("it arrived at %v, waited %v ms of %v", woke.Timestamp, *woke.WaitedMs, woke.LatencyMs)
	}
	if nowhere.Status != 404 || nowhere.TargetUrl != "" || *nowhere.Path != "/nowhere" || nowhere.Deployment != nil || nowhere.Pod != nil || *nowhere.Tries != 0 || nowhere.Error == nil {
		t.Errorf("the one without a route: %+v", nowhere)
	}
	if broken.Status != 502 || broken.TargetUrl != "http://"+address+"/break" || *broken.Pod != "fib-1" || broken.Error == nil {
		t.Errorf("the broken one: %+v", broken)
	}
	for _, item := range page.Items {
		if strings.Contains(fmt.Sprint(item), "secret") {
			t.Errorf("a query is in the log: %+v", item)
		}
	}
}

func TestLogs_OfAClientThatLeftSay499(t *testing.T) {
	reached := make(chan struct{})
	b, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(reached)
		<-r.Context().Done()
	})
	c := dial(t, b)
	fmt.Fprint(c, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n")
	<-reached
	_ = c.Close()
	testwait.Until(t, "it is in the log", func() bool { return len(b.logs(t, nil).Items) == 1 })
	if got := b.logs(t, &loadbalancer.ListProxyLogsParams{Status: new("4xx")}).Items; len(got) != 1 || got[0].Status != 499 {
		t.Errorf("log = %+v", got)
	}
}

func TestLogs_AreFilteredAndPaged(t *testing.T) {
	b, _ := serve(t, says("hello").ServeHTTP)
	c := client(t)
	for i := range 10 {
		get(t, c, fmt.Sprintf("%s/app/%d", b.url, i))
	}
	get(t, c, b.url+"/other")
	b.logged(t, 11)
	limit := 4
	var seen []string
	params := &loadbalancer.ListProxyLogsParams{Deployment: new("app"), Limit: &limit}
	for {
		page := b.logs(t, params)
		for _, item := range page.Items {
			seen = append(seen, strings.TrimPrefix(*item.Path, "/app/"))
		}
		if params.After = page.Next; params.After == nil {
			break
		}
		get(t, c, b.url+"/app/later")
	}
	b.logged(t, 13)
	if got := strings.Join(seen, " "); got != "9 8 7 6 5 4 3 2 1 0" {
		t.Errorf("the pages have %s", got)
	}
	for query, want := range map[string]int{
		"status=404": 1, "status=5xx": 0, "status=2xx&text=/app/3": 1, "http_method=PUT": 0, "client_ip=127.0.0.1&limit=1000": 13, "namespace=none": 0,
		"until=2020-01-01T00:00:00Z": 0, "since=2020-01-01T00:00:00Z&limit=1000": 13,
	} {
		_, body := get(t, c, b.admin+"/proxy/logs?"+query)
		if got := strings.Count(body, `"id":`); got != want {
			t.Errorf("%s: %d, want %d: %s", query, got, want, body)
		}
	}
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=1001": "limit", "status=999": "status", "status=abc": "status", "client_ip=1.2.3": "client_ip", "client_ip=x": "client_ip",
		"after=other.1": "after", "since=yesterday": "since", "http_method=get": "http_method", "namespace=UPPER": "namespace",
		"limit=1&limit=2": "limit", "since=2026-01-02T03:04:60Z": "since",
	} {
		r, err := http.NewRequest(http.MethodGet, b.admin+"/proxy/logs?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := problemOf(t, r, http.StatusBadRequest, "invalid")
		if (*p.Errors)[0].Field != field {
			t.Errorf("%s: %+v", query, *p.Errors)
		}
	}
}

func TestLogs_TheOldestGoByAgeAndAreCounted(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, says("hello")))
	b := boot(t, server.URL, func(s *app.Settings) { s.LogSpoolMiB = 1 })
	c := client(t)
	const n = 1200 // of more than a KiB each
	long := strings.Repeat("x", 1000)
	for range n {
		get(t, c, b.url+"/app/"+long)
	}
	limit := 1000
	find := func() (found int) {
		for params := (&loadbalancer.ListProxyLogsParams{Limit: &limit}); ; {
			page := b.logs(t, params)
			found += len(page.Items)
			if params.After = page.Next; params.After == nil {
				return found
			}
		}
	}
	var found int
	testwait.Until(t, "every request is in the log or was counted as too old", func() bool {
		found = find()
		_, metrics := get(t, c, b.admin+"/metrics")
		return strings.Contains(metrics, fmt.Sprintf("nemesis_lb_log_spool_aged_total %d\n", n-found))
	})
	if found == 0 || found == n {
		t.Errorf("%d of %d in the log", found, n)
	}
	b.counts(t, fmt.Sprintf("nemesis_lb_log_spool_records %d\n", found), "nemesis_lb_log_spool_bytes ", `nemesis_lb_log_dropped_total{reason="queue-full"} 0`+"\n")
}

func TestLogs_OutliveARestart(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, says("hello")))
	dir := t.TempDir()
	var first loadbalancer.ProxyLogPage
	for start := range 2 {
		b := boot(t, server.URL, func(s *app.Settings) { s.LogSpoolDir = dir })
		get(t, client(t), fmt.Sprintf("%s/app/%d", b.url, start))
		b.logged(t, start+1)
		page := b.logs(t, nil)
		if len(page.Items) != start+1 || *page.Items[0].Path != fmt.Sprintf("/app/%d", start) {
			t.Fatalf("start %d: %+v", start, page.Items)
		}
		if start == 0 {
			first = page
			b.stop()
			if err := <-b.ended; err != nil {
				t.Fatal(err)
			}
			b.ended <- nil
		} else if page.Items[1].Id != first.Items[0].Id || page.Items[0].Id == first.Items[0].Id {
			t.Errorf("ids %s, %s; before %s", page.Items[0].Id, page.Items[1].Id, first.Items[0].Id)
		}
	}
}

// A log that cannot be opened keeps no client out: the balancer serves, says so, and counts what is lost.
func TestNew_ServesWithALogThatCannotBeOpened(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, says("hello")))
	var taken app.Settings
	boot(t, server.URL, func(s *app.Settings) { taken = *s })
	b := boot(t, server.URL, func(s *app.Settings) { s.LogSpoolDir = taken.LogSpoolDir })
	if _, got := get(t, client(t), b.url+"/app"); got != "hello" {
		t.Errorf("answered %q", got)
	}
	if _, metrics := get(t, client(t), b.admin+"/metrics"); !strings.Contains(metrics, "nemesis_lb_log_spool_failing 1\n") {
		t.Error("the metrics do not say that the log fails")
	}
	if _, page := get(t, client(t), b.admin+"/proxy/logs"); !strings.Contains(page, "cannot be opened") {
		t.Errorf("a search is answered %s", page)
	}
	b.stop()
	if err := <-b.ended; err != nil {
		t.Error(err)
	}
	b.ended <- nil
}

func TestLogs_HaveTheShareThatIsAskedForAndAllThatFailed(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, says("hello")))
	b := boot(t, server.URL, func(s *app.Settings) { s.LogSample = "1,default/app=0" })
	c := client(t)
	for range 5 {
		get(t, c, b.url+"/app")
	}
	get(t, c, b.url+"/nowhere")
	b.logged(t, 1)
	if items := b.logs(t, nil).Items; len(items) != 1 || items[0].Status != 404 {
		t.Errorf("log = %+v", items)
	}
}
