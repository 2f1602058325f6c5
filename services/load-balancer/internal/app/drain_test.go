package app_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// front stands for a Service: new connections go to the first balancer that is ready.
type front struct {
	mu       sync.RWMutex
	backends []string
}

func (f *front) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return new(net.Dialer).DialContext(ctx, network, f.backends[0])
}

// drop takes the first one out. Nobody is on the way to it any more when it returns.
func (f *front) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backends = f.backends[1:]
}

// A load balancer that ends leaves the Service's front its lame duck's time to send nobody there any
// more. Where the machine is too busy for front and clients to do so in that time, the product was not
// tried: then all is done once more with more time.
func TestDrain_NoRequestFailsUnderLoad(t *testing.T) {
	for lame := 300 * time.Millisecond; ; lame *= 4 {
		faults, tried := drainUnderLoad(t, lame)
		switch {
		case len(faults) == 0:
			return
		case tried || lame > testwait.Limit():
			t.Fatalf("with a lame duck's time of %v: %s", lame, strings.Join(faults, "; "))
		}
		t.Logf("front and clients took longer than a lame duck's time of %v", lame)
	}
}

// drainUnderLoad ends one of two load balancers under load, and returns what failed, and whether all
// had left the one that ends before its time was over.
func drainUnderLoad(t *testing.T, lame time.Duration) (faults []string, tried bool) {
	t.Helper()
	const clients, before, after = 16, 500, 100
	controller, server := newFakeController(t)
	awake(controller, "app", "/app", pod(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})))
	change := func(s *app.Settings) { s.LameDuck = lame }
	first, second := boot(t, server.URL, change), boot(t, server.URL, change)
	f := &front{backends: []string{strings.TrimPrefix(first.url, "http://"), strings.TrimPrefix(second.url, "http://")}}

	var stop atomic.Bool
	var answered atomic.Int64
	var mu sync.Mutex
	fault := func(format string, values ...any) {
		mu.Lock()
		defer mu.Unlock()
		faults = append(faults, fmt.Sprintf(format, values...))
	}
	failed := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(faults) > 0
	}
	var sentAway [clients]atomic.Bool // had an answer that ended its connection
	var load sync.WaitGroup
	for i := range clients {
		c := &http.Client{Transport: &http.Transport{DialContext: f.dial}} // one connection at a time
		load.Go(func() {
			defer c.CloseIdleConnections()
			for !stop.Load() {
				r, err := c.Post("http://front/app", "text/plain", strings.NewReader("hello"))
				if err != nil {
					fault("%v", err)
					return
				}
				body, err := io.ReadAll(r.Body)
				_ = r.Body.Close()
				if err != nil || r.StatusCode != http.StatusOK || string(body) != "hello" {
					fault("%s %q %v", r.Status, body, err)
					return
				}
				if r.Close {
					sentAway[i].Store(true)
				}
				answered.Add(1)
			}
		})
	}
	testwait.Until(t, "there is load", func() bool { return answered.Load() >= before || failed() })
	began := time.Now()
	first.stop()
	testwait.Until(t, "readyz says draining", func() bool {
		r, err := http.Get(first.admin + "/readyz")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusServiceUnavailable
	})
	f.drop() // the cluster has seen it
	testwait.Until(t, "every client was sent away", func() bool {
		for i := range sentAway {
			if !sentAway[i].Load() {
				return failed()
			}
		}
		return true
	})
	tried = time.Since(began) < lame
	if err := <-first.ended; err != nil {
		fault("Run: %v", err)
	}
	first.ended <- nil
	then := answered.Load()
	testwait.Until(t, "the load goes on", func() bool { return answered.Load() > then+after || failed() })
	stop.Store(true)
	load.Wait()
	report := controller.await(t, "that it leaves", func(r autoscaler.TrafficReport) bool { return r.Leaving })
	if a, _ := traffic(report, "app"); a.InFlight != 0 || a.Waiting != 0 || a.Failures != 0 || a.Requests == 0 {
		fault("the last report says %+v", a)
	}
	return faults, tried
}

func TestDrain_WhoWaitsIsStillWokenAndAnswered(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) { routes[key("app")] = route("app", "/app") })
	b := boot(t, server.URL, func(s *app.Settings) { s.DrainTimeout = testwait.Limit() })
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
	testwait.Until(t, "readyz says draining", func() bool {
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
	// Half of it is what those have who are told, and no more than a second.
	b := boot(t, server.URL, func(s *app.Settings) { s.DrainTimeout = 2 * time.Second })
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
