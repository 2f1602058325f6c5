package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/control"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/ingest"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

var shop = fleet.Key{Namespace: "default", Deployment: "shop"}

// stage is the controller from its HTTP handler to the count of a Deployment, in virtual time, with a
// cluster that does what it is told.
type stage struct {
	life    context.Context //nolint:containedctx // of the play
	loop    *control.Loop
	handler http.Handler
	pods    time.Duration // that a pod takes to be ready

	mu       sync.Mutex
	replicas int32
	version  uint64
	born     []time.Time // of the pods, in order
	named    time.Time   // since when the CustomAutoscaler names the Deployment
	spec     scaling.Spec
	counts   []int32 // that were asked for
	learned  fleet.Learned
}

// on runs a play on a stage with so many ready pods.
func on(t *testing.T, replicas int32, spec scaling.Spec, play func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{pods: time.Second, replicas: replicas, version: 1, spec: spec, named: time.Now().Add(-time.Hour)}
		for range replicas {
			s.born = append(s.born, time.Now().Add(-time.Hour))
		}
		ctx, cancel := context.WithCancel(t.Context())
		s.life = ctx
		stop := s.begin(t, "e1")
		s.observe()
		play(s)
		stop()
		cancel()
	})
}

// begin starts a controller that leads, of this epoch. It returns how to end it.
func (s *stage) begin(t *testing.T, epoch string) (stop func()) {
	t.Helper()
	instruments := newInstruments(prometheus.NewRegistry(), noop.NewTracerProvider().Tracer(""))
	known := fleet.New(epoch)
	whole := func() string { return "" }
	s.loop = control.New(control.Options{
		Fleet: known, Scaler: s, Recorder: s, Observer: instruments, Log: slog.New(slog.DiscardHandler), Epoch: epoch,
		Missing: whole, Awaited: func() []string { return nil }, Autoscalers: func() []fleet.Autoscaler { return nil },
	})
	pushed, err := ingest.NewMetrics(s.loop, instruments, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.handler, err = httpapi.New(httpapi.Options{
		Fleet: known, Control: s.loop, Traffic: ingest.NewTraffic(s.loop, instruments, epoch), Metrics: pushed, Pushes: pushed,
		Objects: s, Settings: s, Leadership: s, Meter: instruments, Log: slog.New(slog.DiscardHandler), Missing: whole, Ending: make(chan struct{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	life, end := context.WithCancel(s.life)
	var running sync.WaitGroup
	running.Go(func() { s.loop.Run(life) })
	running.Go(func() { s.loop.Lead(life) })
	synctest.Wait()
	return func() { end(); running.Wait() }
}

// Scale is the cluster's.
func (s *stage) Scale(_ context.Context, _ fleet.Key, from fleet.Scale, to int32) (fleet.Scale, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from.Replicas != s.replicas {
		return fleet.Scale{Replicas: s.replicas, Version: s.version}, fleet.ErrMoved
	}
	s.version++
	s.replicas, s.counts = to, append(s.counts, to)
	return fleet.Scale{Replicas: to, Version: s.version}, nil
}

func (s *stage) Event(fleet.Autoscaler, fleet.Event) {}
func (s *stage) Restored(fleet.Key, fleet.Event)     {}
func (s *stage) Status(_ fleet.Autoscaler, targets []fleet.Target) (fleet.StatusChange, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range targets {
		s.learned = one.Learned
	}
	return fleet.StatusChange{}, nil
}

var errNone = errors.New("none on this stage")

func (s *stage) Do(*http.Request) (*http.Response, error)    { return nil, errNone }
func (s *stage) Watch(*http.Request) (*http.Response, error) { return nil, errNone }
func (s *stage) Now() (fleet.BalancerSettings, error)        { return fleet.BalancerSettings{}, errNone }
func (s *stage) Leader() (address string, c <-chan struct{}) { return "", nil }
func (s *stage) Keep(context.Context, fleet.BalancerSettings) (fleet.BalancerSettings, error) {
	return fleet.BalancerSettings{}, errNone
}

// observe has the pods follow the count, and tells the controller how the cluster stands.
func (s *stage) observe() {
	s.mu.Lock()
	now := time.Now()
	s.born = s.born[:min(len(s.born), int(s.replicas))]
	for len(s.born) < int(s.replicas) {
		s.born = append(s.born, now)
	}
	o := fleet.Observation{
		Key: shop, Autoscaler: "shop", Since: s.named, Spec: s.spec, Address: fleet.Address{Prefix: "/shop"}, Learned: s.learned,
		Deployment: fleet.Deployment{Found: true, UID: "u", Version: s.version, Created: now.Add(-24 * time.Hour), Replicas: s.replicas},
	}
	for i, born := range s.born {
		ready := now.Sub(born) >= s.pods
		p := fleet.Pod{Name: fmt.Sprintf("shop-%d", i), Scheduled: true, Started: true, Ready: ready, WasReady: ready, Address: "10.0.0.1:80", CreatedAt: born}
		if ready {
			p.ReadyAt = born.Add(s.pods)
		}
		o.Pods = append(o.Pods, p)
	}
	s.mu.Unlock()
	s.loop.Observe(o)
	synctest.Wait()
}

// asked are the counts that were asked for, and the one now.
func (s *stage) asked() ([]int32, int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.counts), s.replicas
}

// reasons are all that was ever said in a decision.
func (s *stage) reasons() string {
	var b strings.Builder
	for _, d := range s.loop.Decisions(fleet.Filter{}, 1000) {
		fmt.Fprintln(&b, d.Summary)
		for _, r := range d.Reasons {
			fmt.Fprintln(&b, " ", r.Rule, r.Effect, r.Message)
		}
	}
	return b.String()
}

// post sends a body, and returns the answer's.
func (s *stage) post(path string, body any) (int, []byte) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	synctest.Wait()
	return w.Code, w.Body.Bytes()
}

// sidecar pushes what a pod's sidecar has measured.
func (s *stage) sidecar(pod string, metrics map[string]float64) {
	if code, body := s.post("/metrics", map[string]any{"podName": pod, "namespace": shop.Namespace, "metrics": metrics}); code != http.StatusOK {
		panic(string(body))
	}
}

// balancer is a load balancer on the stage. It counts as the contract has it, and follows the routes.
type balancer struct {
	s         *stage
	name      string
	startedAt time.Time
	older     bool // it knows nothing of what came with epochs

	sequence           int64
	epoch              string
	whole              bool
	last               string // of the application, as it was told
	arrivals, requests int64
	busy               float64
	inFlight, streams  int32 // streaming; of inFlight
	tunnels            int32 // of streams
	waiting            int32
	activity           time.Time
	latency            map[int32]int64
	sum                float64
}

func (s *stage) balancer(name string) *balancer {
	return &balancer{s: s, name: name, startedAt: time.Now(), latency: map[int32]int64{}}
}

// answers counts n requests that came, took so long each, and ended.
func (b *balancer) answers(n int64, each time.Duration) {
	b.arrivals += n
	b.requests += n
	b.busy += float64(n) * each.Seconds()
	b.times(n, each)
	b.activity = time.Now()
}

func (b *balancer) times(n int64, each time.Duration) {
	ms := float64(each) / float64(time.Millisecond)
	b.latency[int32(math.Ceil(8*math.Log2(ms)))] += n
	b.sum += float64(n) * ms
}

// report tells what there is, as the real one does: everything at first, then what has changed.
func (b *balancer) report() autoscaler.TrafficReceipt {
	receipt := b.tell()
	if receipt.Resync != nil && *receipt.Resync {
		b.whole = false
		receipt = b.tell()
	}
	return receipt
}

func (b *balancer) tell() (receipt autoscaler.TrafficReceipt) {
	update, _ := b.s.loop.Fleet.Routes("")
	b.sequence++
	later := !b.older && b.epoch != ""
	report := map[string]any{
		"balancer": b.name, "startedAt": b.startedAt, "sequence": b.sequence, "routesVersion": update.Version, "leaving": false, "applications": []any{},
	}
	app := map[string]any{
		"namespace": shop.Namespace, "deployment": shop.Deployment, "inFlight": b.inFlight, "streaming": b.streams, "waiting": b.waiting,
		"waitingBytes": 0, "requests": b.requests, "failures": 0, "rejected": 0,
	}
	if !b.activity.IsZero() {
		app["lastActivity"] = b.activity
	}
	if later {
		report["epoch"], report["delta"] = b.epoch, b.whole
		app["arrivals"], app["busySeconds"], app["streamSeconds"], app["tunnelSeconds"], app["tunnels"] = b.arrivals, b.busy, 0, 0, b.tunnels
	}
	same := fmt.Sprint(app)
	if len(b.latency) > 0 {
		buckets, count := []any{}, int64(0)
		for i, n := range b.latency {
			buckets, count = append(buckets, map[string]any{"index": i, "count": n}), count+n
		}
		app["latency"] = map[string]any{"count": count, "sumMs": b.sum, "buckets": buckets}
	}
	if !later || !b.whole || same != b.last || len(b.latency) > 0 {
		report["applications"] = []any{app}
	}
	code, body := b.s.post("/v1/traffic", report)
	if code != http.StatusOK {
		return receipt
	}
	if err := json.Unmarshal(body, &receipt); err != nil {
		panic(err)
	}
	if receipt.Epoch != nil {
		b.epoch = *receipt.Epoch
	}
	if receipt.Resync == nil || !*receipt.Resync {
		b.whole, b.last = later, same
		clear(b.latency)
		b.sum = 0
	}
	return receipt
}

// run lets time pass: each second something happens, the balancers report, and the pods follow.
func (s *stage) run(seconds int, each func(second int), balancers ...*balancer) {
	for second := range seconds {
		if each != nil {
			each(second)
		}
		for _, b := range balancers {
			b.report()
		}
		s.observe()
		time.Sleep(time.Second)
	}
}
