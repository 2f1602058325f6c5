package upstream

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// podAt boots a dispatcher with one starting pod, and a prober that checks it.
func podAt(t *testing.T, address string, probes ...routing.Probe) *dispatch.Dispatcher {
	t.Helper()
	prober := NewProber(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	t.Cleanup(prober.Close)
	return podOf(prober, routing.Endpoint{Pod: "app-1", Address: address, Probeable: true, Probes: probes})
}

func podOf(prober *Prober, pods ...routing.Endpoint) *dispatch.Dispatcher {
	d := dispatch.New(dispatch.Options{
		RoomRequests: 10, RoomBytes: 1 << 20, Now: time.Now, Intn: func(int) int { return 0 }, Chance: func() float64 { return 0 },
		Prober: prober, Waker: noWaker{}, ReportSoon: func() {},
	})
	d.Apply(routing.Update{Version: "x.1", Complete: true, Routes: []routing.Route{{
		Application: routing.Application{Namespace: "default", Deployment: "app"}, Prefix: "/", WakeUpTimeout: 20 * time.Second, Endpoints: pods,
	}}})
	return d
}

type noWaker struct{}

func (noWaker) Wake(*dispatch.StartRequest) {}

// letIn waits in the room; the pod is given back.
func letIn(d *dispatch.Dispatcher) error {
	v := &dispatch.Visit{}
	waits, err := v.Arrive(d.Applications()[0], dispatch.Arrival{}, time.Now())
	if err == nil && waits {
		err = v.Wait(nil)
	}
	v.End(dispatch.Outcome{Status: 200}, time.Now())
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
		if r.Host != "ready.example" || r.Header.Get("X-Probe") != "yes" || r.URL.String() != "/ready?deep=1" || r.Method != http.MethodGet ||
			r.Header.Get("User-Agent") != "nemesis-load-balancer-probe" {
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
	if err := letIn(d); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("asked %d times, want until the first good answer", n)
	}
}

func TestProber_WithoutChecksAConnectionIsEnough(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if err := letIn(podAt(t, server.Listener.Addr().String())); err != nil {
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
	d := podOf(prober, routing.Endpoint{Pod: "app-1", Address: address, Probeable: true, Probes: []routing.Probe{{Port: port(address), Timeout: time.Second}}})
	<-asked
	<-asked
	d.Apply(routing.Update{Version: "x.2", Complete: true})
	prober.loops.Wait() // hangs, were the pod still checked
	if n := testutil.ToFloat64(prober.checks.WithLabelValues("bad")); n < 1 {
		t.Errorf("%v bad checks are counted", n)
	}
}

func TestProber_CloseEndsChecksAndTakesNoMore(t *testing.T) {
	asked := make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done() // a check that hangs
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	prober := NewProber(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	pod := routing.Endpoint{Pod: "app-1", Address: address, Probeable: true, Probes: []routing.Probe{{Port: port(address), Timeout: time.Hour}}}
	podOf(prober, pod)
	<-asked
	prober.Close()
	podOf(prober, pod)
	prober.loops.Wait()
	if len(asked) > 0 {
		t.Error("a pod was checked after the end")
	}
}

// A ready pod that once refused a connection is used again when it takes one, though the port of its
// checks is closed to this load balancer.
func TestProber_APodThatRefusedIsUsedAgainWhenItConnects(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	prober := NewProber(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	defer prober.Close()
	d := podOf(prober, routing.Endpoint{Pod: "app-1", Address: server.Listener.Addr().String(), Ready: true, Probeable: true, Probes: []routing.Probe{{Port: 1, Timeout: time.Second}}})
	v := &dispatch.Visit{}
	if waits, err := v.Arrive(d.Applications()[0], dispatch.Arrival{}, time.Now()); waits || err != nil {
		t.Fatalf("%v, %v", waits, err)
	}
	waits, err := v.Retry(true, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if waits {
		err = v.Wait(nil)
	}
	v.End(dispatch.Outcome{Status: 200}, time.Now())
	if err != nil || v.Tries != 2 {
		t.Errorf("%v after %d tries", err, v.Tries)
	}
}

func TestCheck_IsGoodOrBadAsTheKubeletWouldSay(t *testing.T) {
	var status atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			_, _ = w.Write(make([]byte, 1<<20))
			return
		}
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	probe := routing.Probe{Port: port(address), Timeout: 5 * time.Second}
	for code, good := range map[int]bool{200: true, 204: true, 302: true, 399: true, 400: false, 404: false, 500: false, 503: false} {
		status.Store(int32(code))
		if _, err := checkAll(t.Context(), address, []routing.Probe{probe}, false, time.Second); (err == nil) != good {
			t.Errorf("%d: %v", code, err)
		}
	}
	status.Store(200)
	closed := routing.Probe{TCP: true, Port: 1, Timeout: time.Second}
	for name, test := range map[string]struct {
		address string
		probes  []routing.Probe
		connect bool
		says    string
	}{
		"none":                  {address, nil, false, ""},
		"a connection":          {address, nil, true, ""},
		"no connection":         {"127.0.0.1:1", nil, true, "refused"},
		"all":                   {address, []routing.Probe{probe, {TCP: true, Port: port(address), Timeout: time.Second}}, true, ""},
		"all but one":           {address, []routing.Probe{probe, closed}, true, "refused"},
		"an answer of any size": {address, []routing.Probe{{Port: port(address), Path: "/large", Timeout: 5 * time.Second}}, false, ""},
		"no address":            {"nowhere", nil, false, "address of the pod"},
		"no path":               {address, []routing.Probe{{Port: port(address), Path: "%zz", Timeout: time.Second}}, false, "path of the check"},
		"HTTPS to who has none": {address, []routing.Probe{{Port: port(address), HTTPS: true, Timeout: time.Second}}, false, "HTTP response to HTTPS"},
	} {
		if _, err := checkAll(t.Context(), test.address, test.probes, test.connect, time.Second); (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
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

func TestDialPatience_GrowsWithTheTimeAStartTakes(t *testing.T) {
	for elapsed, want := range map[time.Duration]time.Duration{0: 100 * time.Millisecond, time.Second: 100 * time.Millisecond, 10 * time.Second: time.Second} {
		if got := dialPatience(elapsed); got != want {
			t.Errorf("after %v it is %v, want %v", elapsed, got, want)
		}
	}
}
