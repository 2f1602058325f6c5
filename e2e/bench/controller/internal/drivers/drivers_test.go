package drivers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/tokens"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func TestService_LeavesWhoDoesNotAnswer(t *testing.T) {
	s := NewService("a")
	s.Failed("a")
	if s.Address() != "a" {
		t.Error("the only one was left")
	}
	s.Remove("a")
	s.Add("b")
	s.Failed("b") // is not asked now
	if s.Address() != "a" {
		t.Errorf("asked %s", s.Address())
	}
	s.Failed("a")
	if s.Address() != "b" {
		t.Errorf("asked %s", s.Address())
	}
	s.Remove("b")
	if s.Address() != "a" {
		t.Errorf("asked %s", s.Address())
	}
}

func TestLatencies_Quantiles(t *testing.T) {
	var l Latencies
	if !math.IsNaN(l.Quantile(0.5)) {
		t.Error("none have a quantile")
	}
	for i := 100; i > 0; i-- {
		l.Add(time.Duration(i) * time.Millisecond)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 50, 0.99: 99, 0.991: 100, 1: 100} {
		if got := l.Quantile(q); got != want {
			t.Errorf("%v: %v", q, got)
		}
	}
	if l.Reset(); l.Count() != 0 {
		t.Error("something is left")
	}
}

// controller plays one: it keeps the reports, and knows deltas if it has an epoch.
type controller struct {
	mu      sync.Mutex
	epoch   string
	reports []autoscaler.TrafficReport
}

func (c *controller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.URL.Path == "/v1/traffic":
		var report autoscaler.TrafficReport
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.reports = append(c.reports, report)
		answer := map[string]any{"status": "Traffic received"}
		if c.epoch != "" {
			answer["epoch"] = c.epoch
		}
		_ = json.NewEncoder(w).Encode(answer)
	case strings.HasSuffix(r.URL.Path, "/start"):
		_, _ = w.Write([]byte(`{"state":"Waking","replicas":1,"scaled":true,"message":"0 → 1"}`))
	case r.URL.Path == "/v1/routes":
		_, _ = w.Write([]byte(`{"version":"k.1","complete":true,"applications":[],"removed":[]}`))
	}
}

func serve(t *testing.T, c *controller) string {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestBalancer_ReportsWhatChangedToWhoCanFollow(t *testing.T) {
	for _, c := range []struct {
		epoch string
		want  []int // applications in each report
		delta []bool
	}{
		{"k3", []int{2, 0, 1, 2}, []bool{false, true, true, false}},
		{"", []int{2, 2, 2, 2}, []bool{false, false, false, false}},
	} {
		there := &controller{epoch: c.epoch}
		address := serve(t, there)
		b := &balancer{name: "lb", service: &Service{}, startedAt: time.Now(), apps: map[int]*traffic{}, fresh: map[int]bool{}}
		all := &Balancers{list: []*balancer{b}}
		client := b.service.client(1, &b.reports)
		all.Served([]objects.App{objects.New(1), objects.New(2)}, 3)
		for i := range c.want {
			if i == 2 {
				all.Served([]objects.App{objects.New(1)}, 0)
			}
			if i == 3 {
				if err := b.send(t.Context(), client, "127.0.0.1:1"); err == nil { // it cannot know what came of it
					t.Error("nobody took a report")
				}
			}
			if err := b.send(t.Context(), client, address); err != nil {
				t.Fatal(err)
			}
		}
		for i, r := range there.reports {
			delta := r.Delta != nil && *r.Delta
			if len(r.Applications) != c.want[i] || delta != c.delta[i] {
				t.Errorf("epoch %q, report %d: %d applications, delta %v", c.epoch, i, len(r.Applications), delta)
			}
			for _, a := range r.Applications {
				if (a.Arrivals != nil) != (c.epoch != "" && i > 0) {
					t.Errorf("epoch %q, report %d: fields that are not known yet: %+v", c.epoch, i, a)
				}
			}
		}
		if sum := all.Sum(); sum.Reports != 4 || sum.ReportsOut == 0 {
			t.Errorf("%+v", sum)
		}
	}
}

func TestBalancer_FollowsTheRoutesByOneAnswer(t *testing.T) {
	address := serve(t, &controller{})
	b := &balancer{service: &Service{}}
	err := b.watch(t.Context(), b.service.client(1, &b.routes), address)
	if err != nil || b.version != "k.1" || b.complete.Load() != 1 || b.routes.In.Load() < 100 {
		t.Errorf("%q, %v, %d bytes", b.version, err, b.routes.In.Load())
	}
}

func TestBalancer_FollowsTheRoutesByAStream(t *testing.T) {
	var asked []string
	end := "{"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		_, _ = io.WriteString(w, `{"version":"k.5","complete":true,"applications":[{}],"continued":true}
{"version":"k.5","complete":true,"applications":[{}]}
{"version":"k.6","complete":false,"applications":[]}
{"version":"k.7","complete":false,"continued":true}
`+end)
	}))
	defer server.Close()
	b := &balancer{service: &Service{}, version: "k.1"}
	client, address := b.service.client(1, &b.routes), strings.TrimPrefix(server.URL, "http://")
	if err := b.watch(t.Context(), client, address); err == nil {
		t.Error("half a line is taken for the end")
	}
	if b.version != "k.6" || b.complete.Load() != 1 {
		t.Errorf("%q, %d", b.version, b.complete.Load())
	}
	end = ""
	if err := b.watch(t.Context(), client, address); err != nil {
		t.Error(err)
	}
	if len(asked) != 2 || asked[0] != "stream=true&wait=30s&after=k.1" || asked[1] != "stream=true&wait=30s&after=k.6" {
		t.Errorf("%q", asked)
	}
}

// collected plays a controller that takes pushes: the names of the pods, as they come.
func collected(t *testing.T, batches bool) (address string, names <-chan string) {
	t.Helper()
	got := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		type pod struct{ PodName string }
		var body struct {
			pod
			Items []pod
		}
		if r.URL.Path == "/v1/pod-metrics" && !batches {
			http.NotFound(w, r)
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if body.PodName != "" {
			body.Items = []pod{body.pod}
		}
		for _, p := range body.Items {
			select {
			case got <- p.PodName:
			default:
			}
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), got
}

func TestSidecars_PushEachPodInTurn(t *testing.T) {
	for _, batch := range []int{0, 7} {
		address, got := collected(t, batch > 0)
		pods := make([]objects.Pod, 500) // 100 a second
		for i := range pods {
			pods[i] = objects.Pod{App: objects.New(0), Index: i, Owned: true}
		}
		s := StartSidecars(context.Background(), pods, NewService(address), batch)
		seen := map[string]bool{}
		for range 20 {
			seen[<-got] = true
		}
		if s.TakesBatches(t.Context(), pods[0]) != (batch > 0) {
			t.Errorf("batch %d: whether it takes batches", batch)
		}
		s.Stop()
		if len(seen) != 20 {
			t.Errorf("batch %d: %d pods in 20 pushes", batch, len(seen))
		}
		if _, failed := s.Sent(); failed != 0 {
			t.Errorf("batch %d: %d failed", batch, failed)
		}
	}
}

func TestStarter_CountsWhatWasScaled(t *testing.T) {
	s := NewStarter(&Service{})
	if err := s.Start(t.Context(), serve(t, &controller{}), objects.New(1)); err != nil || s.Latency.Count() != 1 {
		t.Errorf("%v, %d", err, s.Latency.Count())
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"state":"Waking","replicas":1,"scaled":false,"message":"it starts already"}`))
	}))
	defer server.Close()
	if err := s.Start(t.Context(), strings.TrimPrefix(server.URL, "http://"), objects.New(1)); err == nil || s.Latency.Count() != 1 {
		t.Errorf("%v, %d", err, s.Latency.Count())
	}
}

func TestSecured_EachSaysWhoItIsOverTLS(t *testing.T) {
	var mu sync.Mutex
	var who []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := strings.Split(r.Header.Get("Authorization"), ".")
		claims, err := base64.RawURLEncoding.DecodeString(said[min(1, len(said)-1)])
		var c struct {
			Sub   string
			Bound struct{ Pod struct{ Name string } } `json:"kubernetes.io"`
		}
		if err := errors.Join(err, json.Unmarshal(claims, &c)); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		who = append(who, strings.TrimPrefix(c.Sub, "system:serviceaccount:")+" "+c.Bound.Pod.Name)
		_, _ = w.Write([]byte(`{"scaled":true,"replicas":1}`))
	}))
	defer server.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority := x509.NewCertPool()
	authority.AddCert(server.Certificate())
	s := NewService(strings.TrimPrefix(server.URL, "https://"))
	s.Secured = &Secured{Authority: authority, Tokens: tokens.NewBook(tokens.Signer{Issuer: "i", KeyID: "k", Key: key})}
	pods := []objects.Pod{{App: objects.New(7), Index: 3}}
	sidecars := &Sidecars{service: s, client: s.client(1, nil)}
	b := &balancer{name: balancerName(2), service: s}
	err = errors.Join(
		sidecars.Push(t.Context(), pods[0], 1), sidecars.pushBatch(t.Context(), pods), NewStarter(s).Start(t.Context(), s.Address(), pods[0].App),
		b.watch(t.Context(), s.client(1, nil), s.Address()), b.send(t.Context(), s.client(1, nil), s.Address()),
	)
	want := []string{
		"bench-000:default app-00007-7d4b9c5f6b-0003", "nemesis-system:metrics-collector metrics-collector-bench-1", "nemesis-system:load-balancer load-balancer-bench-0",
		"nemesis-system:load-balancer load-balancer-bench-2", "nemesis-system:load-balancer load-balancer-bench-2",
	}
	if err != nil || !slices.Equal(who, want) {
		t.Errorf("%v: %q", err, who)
	}
}
