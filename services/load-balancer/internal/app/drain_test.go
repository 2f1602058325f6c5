package app_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// front stands for a Service: new connections go to the first balancer that is ready.
type front struct {
	mu       sync.Mutex
	backends []string
}

func (f *front) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	f.mu.Lock()
	address := f.backends[0]
	f.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, network, address)
}

func (f *front) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backends = f.backends[1:]
}

func TestDrain_NoRequestFailsUnderLoad(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})))
	lame := func(s *app.Settings) { s.LameDuck = 300 * time.Millisecond }
	first, second := boot(t, server.URL, lame), boot(t, server.URL, lame)
	f := &front{backends: []string{strings.TrimPrefix(first.url, "http://"), strings.TrimPrefix(second.url, "http://")}}
	c := &http.Client{Transport: &http.Transport{DialContext: f.dial, MaxIdleConnsPerHost: 32}}

	var stop atomic.Bool
	var answered atomic.Int64
	half, load := make(chan struct{}), sync.WaitGroup{}
	var once sync.Once
	for range 16 {
		load.Go(func() {
			for !stop.Load() {
				r, err := c.Post("http://front/app", "text/plain", strings.NewReader("hello"))
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(r.Body)
				_ = r.Body.Close()
				if err != nil || r.StatusCode != http.StatusOK || string(body) != "hello" {
					t.Errorf("%s %q %v", r.Status, body, err)
					return
				}
				if answered.Add(1) == 500 {
					once.Do(func() { close(half) })
				}
			}
		})
	}
	<-half
	first.stop()
	eventually(t, "readyz says draining", func() bool {
		r, err := http.Get(first.admin + "/readyz")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusServiceUnavailable
	})
	f.drop() // the cluster has seen it
	if err := <-first.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	first.ended <- nil
	before := answered.Load()
	eventually(t, "the load goes on", func() bool { return answered.Load() > before+100 })
	stop.Store(true)
	load.Wait()
	report := controller.await(t, "that it leaves", func(r autoscaler.TrafficReport) bool { return r.Leaving })
	if a, _ := traffic(report, "app"); a.InFlight != 0 || a.Waiting != 0 || a.Failures != 0 || a.Requests == 0 {
		t.Errorf("the last report says %+v", a)
	}
}

func TestDrain_WhoWaitsIsStillWokenAndAnswered(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) { routes[key("app")] = route("app", "/app") })
	b := boot(t, server.URL, nil)
	answer := make(chan string, 1)
	go func() {
		_, body := get(t, client(t), b.url+"/app")
		answer <- body
	}()
	controller.await(t, "that one waits", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "app")
		return ok && a.Waiting == 1
	})
	b.stop()
	eventually(t, "readyz says draining", func() bool {
		r, err := http.Get(b.admin + "/readyz")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusServiceUnavailable
	})
	awake(controller, "app", "/app", pod(t, says("hello")))
	if body := <-answer; body != "hello" {
		t.Errorf("answer = %q", body)
	}
}

func TestDrain_WhoWaitsInVainIsToldBeforeTheEnd(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) { routes[key("app")] = route("app", "/app") })
	b := boot(t, server.URL, func(s *app.Settings) { s.DrainTimeout = time.Second })
	status := make(chan int, 1)
	go func() {
		r, _ := get(t, client(t), b.url+"/app")
		status <- r.StatusCode
	}()
	controller.await(t, "that one waits", func(r autoscaler.TrafficReport) bool {
		a, ok := traffic(r, "app")
		return ok && a.Waiting == 1
	})
	b.stop()
	if got := <-status; got != http.StatusServiceUnavailable {
		t.Errorf("status = %d, want 503", got)
	}
}
