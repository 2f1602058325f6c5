package command

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

func entry(id string, ago time.Duration, status int32) loadbalancer.ProxyLog {
	return loadbalancer.ProxyLog{
		Id: id, Timestamp: now.Add(-ago), Status: status, HttpMethod: "GET", Path: new("/cart/" + id), Namespace: new("shop"), Deployment: new("cart"), Pod: new("cart-1"),
		LatencyMs: 12.3, WaitedMs: new(4100.0), ClientIp: "10.0.0.1", Tries: new(int32(1)), RequestBytes: new(int64(0)), ResponseBytes: new(int64(2048)),
		TraceId: new("4bf9"), Policy: new("fewest in flight"),
	}
}

func TestLogs_OfAllLoadBalancersEachOnceTheNewestLast(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{awake()}
	a := w.balancer(t, entry("five", time.Second, 200), entry("three", 3*time.Second, 503), entry("one", 5*time.Second, 200))
	w.balancer(t, entry("four", 2*time.Second, 404), entry("three", 3*time.Second, 503))
	golden(t, "logs.txt", w.run(t, "logs", "cart-scaler").ok(t))
	golden(t, "logs-wide.txt", w.run(t, "logs", "-o", "wide", "--tail", "2").ok(t))
	if got := w.run(t, "logs", "--status", "5XX", "--method", "post", "--client", "10.0.0.1", "--path", "/cart", "--since", "10m", "--until", "2026-01-02T03:04:05Z"); got.code != done {
		t.Errorf("%+v", got)
	}
	if p := a.asked[0]; *p.Deployment != "cart" || *p.Namespace != "shop" || *p.Limit != 100 {
		t.Errorf("asked %+v", p)
	}
	p := a.asked[len(a.asked)-1]
	if *p.Status != "5xx" || *p.HttpMethod != "POST" || *p.ClientIp != "10.0.0.1" || *p.Text != "/cart" || !p.Since.Equal(now.Add(-10*time.Minute)) || !p.Until.Equal(now) {
		t.Errorf("asked %+v", p)
	}
	w.run(t, "logs", "--tail", "1001").fails(t, misused, "--tail 1001 is not allowed: from 1 to 1000")
	w.run(t, "logs", "--since", "-5m").fails(t, misused, "--since -5m is not allowed")
	w.run(t, "logs", "--follow", "--interval", "1ms").fails(t, misused, "--interval 1ms is not allowed")
}

func TestLogs_Nothing(t *testing.T) {
	w := newWorld(t)
	w.balancer(t)
	if got := w.run(t, "logs").ok(t); got != "No such requests are in the log.\n" {
		t.Errorf("%q", got)
	}
	if got := w.run(t, "logs", "-o", "json").ok(t); got != "[]\n" {
		t.Errorf("%q", got)
	}
}

// growing has records come as it is written to.
type growing struct {
	b    *balancer
	stop func()
	text string
	n    int
}

func (g *growing) Write(p []byte) (int, error) {
	g.text += string(p)
	g.b.mu.Lock()
	defer g.b.mu.Unlock()
	switch g.n++; {
	case g.n == 1: // more than a page at once
		for i := range 5 {
			g.b.log = append([]loadbalancer.ProxyLog{entry(fmt.Sprintf("new-%d", i), -time.Duration(i)*time.Second, 200)}, g.b.log...)
		}
	case strings.Contains(g.text, "new-4"):
		g.stop()
	}
	return len(p), nil
}

func TestLogs_FollowShowsEachOnce(t *testing.T) {
	w := newWorld(t)
	b := w.balancer(t, entry("two", time.Second, 200), entry("one", 2*time.Second, 200))
	ctx, stop := context.WithCancel(t.Context())
	g := &growing{b: b, stop: stop}
	code := Main(ctx, []string{"nemesis", "--controller", w.controller.URL, "--balancer", b.server.URL, "--token", "t", "logs", "-A", "--follow", "--tail", "1", "--interval", "100ms"},
		Streams{Out: g, Err: g, Env: func(string) string { return "" }, Now: func() time.Time { return now }})
	if code != done || strings.Contains(g.text, "/cart/one") {
		t.Errorf("exit code %d: %s", code, g.text)
	}
	last := -1
	for _, id := range []string{"two", "new-0", "new-1", "new-2", "new-3", "new-4"} {
		at := strings.Index(g.text, "/cart/"+id)
		if at <= last || strings.Count(g.text, "/cart/"+id) != 1 {
			t.Errorf("%s: %s", id, g.text)
		}
		last = at
	}
}

// following runs logs --follow until the last load balancer was looked at so many times.
func following(t *testing.T, w *world, times int, args ...string) ran {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w.balancers[len(w.balancers)-1].looked = func(n int) {
		if n == times {
			stop()
		}
	}
	line := []string{"nemesis", "--controller", w.controller.URL, "--token", "t", "logs", "-A", "--follow", "--interval", "100ms"}
	for _, b := range w.balancers {
		line = append(line, "--balancer", b.server.URL)
	}
	var out, errs strings.Builder
	code := Main(ctx, append(line, args...), Streams{Out: &out, Err: &errs, Env: func(string) string { return "" }, Now: func() time.Time { return now }})
	return ran{out.String(), errs.String(), code}
}

func TestLogs_FollowLeavesAloneWhatWasTooOldToBeShown(t *testing.T) {
	w := newWorld(t)
	w.balancer(t, entry("four", time.Second, 200), entry("two", 3*time.Second, 200))
	b := w.balancer(t, entry("three", 2*time.Second, 200), entry("one", 4*time.Second, 200))
	text := following(t, w, 4, "--tail", "2").ok(t)
	if strings.Count(text, "\n") != 2 || strings.Index(text, "/cart/three") > strings.Index(text, "/cart/four") {
		t.Errorf("%s", text)
	}
	if limit := *b.asked[1].Limit; limit != followPage {
		t.Errorf("%d records are read at a time, however many come", limit)
	}
}

func TestRemembered_TheLastOnesHoweverMany(t *testing.T) {
	var m remembered
	name := func(i int) string { return fmt.Sprint("record-", i) }
	for i := range 10 * followMemory {
		m.add(name(i))
		if back := max(i-followMemory/2, 0); !m.has(name(i)) || !m.has(name(back)) || m.has(name(i+1)) {
			t.Fatalf("after %d: %v %v %v", i, m.has(name(i)), m.has(name(back)), m.has(name(i+1)))
		}
		if n := len(m.newer) + len(m.older); n > followMemory {
			t.Fatalf("%d are remembered", n)
		}
	}
}
