package upstream

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// podAt boots a dispatcher with one starting pod, and a prober that checks it.
func podAt(t *testing.T, address string, probes ...routing.Probe) *dispatch.Dispatcher {
	t.Helper()
	prober := NewProber(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	t.Cleanup(prober.Close)
	return podOf(prober, address, probes...)
}

func podOf(prober *Prober, address string, probes ...routing.Probe) *dispatch.Dispatcher {
	d := dispatch.New(dispatch.Options{
		RoomRequests: 10, RoomBytes: 1 << 20, Now: time.Now, Intn: func(int) int { return 0 }, Chance: func() float64 { return 0 },
		Prober: prober, Waker: noWaker{}, ReportSoon: func() {},
	})
	d.Apply(routing.Update{Version: "x.1", Complete: true, Routes: []routing.Route{{
		Application: routing.Application{Namespace: "default", Deployment: "app"}, Prefix: "/", WakeUpTimeout: 20 * time.Second,
		Endpoints: []routing.Endpoint{{Pod: "app-1", Address: address, Probeable: true, Probes: probes}},
	}}})
	return d
}

type noWaker struct{}

func (noWaker) Wake(*dispatch.StartRequest) {}

// letIn waits in the room; nil when a pod was found.
func letIn(ctx context.Context, d *dispatch.Dispatcher) error {
	v := &dispatch.Visit{}
	waits, err := v.Arrive(d.Applications()[0], dispatch.Arrival{Trace: ctx}, time.Now())
	if err == nil && waits {
		err = v.Wait(ctx.Done())
	}
	return err
}

func port(address string) int {
	_, p, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(p)
	return n
}

func TestProber_LetsInAtTheFirstGoodCheckOfAll(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "ready.example" || r.Header.Get("X-Probe") != "yes" || r.URL.String() != "/ready?deep=1" {
			t.Errorf("asked for %s of %s with %v", r.URL, r.Host, r.Header)
		}
		if asked.Add(1) < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "/login", http.StatusFound) // the kubelet calls a redirect good too
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	d := podAt(t, address,
		routing.Probe{TCP: true, Port: port(address), Timeout: time.Second},
		routing.Probe{
			Port: port(address), HTTPS: true, Path: "/ready?deep=1", Timeout: time.Second,
			Headers: []routing.Header{{Name: "Host", Value: "ready.example"}, {Name: "X-Probe", Value: "yes"}},
		})
	if err := letIn(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("asked %d times, want until the first good answer", n)
	}
}

func TestProber_WithoutChecksAConnectionIsEnough(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if err := letIn(t.Context(), podAt(t, server.Listener.Addr().String())); err != nil {
		t.Fatal(err)
	}
}

func TestProber_StopsWhenThePodIsGone(t *testing.T) {
	asked := make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	prober := NewProber(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	d := podOf(prober, address, routing.Probe{Port: port(address), Timeout: time.Second})
	<-asked
	<-asked
	d.Apply(routing.Update{Version: "x.2", Complete: true})
	prober.loops.Wait() // hangs, were the pod still checked
}

func TestInterval_GrowsWithTheTimeAStartTakes(t *testing.T) {
	for elapsed, want := range map[time.Duration]time.Duration{
		0: 20 * time.Millisecond, time.Second: 20 * time.Millisecond, 10 * time.Second: 100 * time.Millisecond, time.Hour: 250 * time.Millisecond,
	} {
		if got := interval(elapsed); got != want {
			t.Errorf("after %v every %v, want %v", elapsed, got, want)
		}
	}
}
