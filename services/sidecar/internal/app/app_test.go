package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/sidecar"
	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/testauthority"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/app"
)

// recorder is a controller that takes measurements behind the contract's own validation, unless it is
// told to be away.
type recorder struct {
	autoscaler.StrictServerInterface // nothing else is called
	away                             atomic.Bool
	mu                               sync.Mutex
	taken                            []common.PodMetrics
	batches                          int
	news                             chan struct{}
	issues                           *testauthority.Authority // nil: it issues no certificate
}

func (r *recorder) SubmitPodMetrics(_ context.Context, o autoscaler.SubmitPodMetricsRequestObject) (autoscaler.SubmitPodMetricsResponseObject, error) {
	r.mu.Lock()
	r.taken = append(r.taken, *o.Body)
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
	return autoscaler.SubmitPodMetrics200JSONResponse{Status: autoscaler.MetricsReceived}, nil
}

func (r *recorder) SubmitPodMetricsBatch(ctx context.Context, o autoscaler.SubmitPodMetricsBatchRequestObject) (autoscaler.SubmitPodMetricsBatchResponseObject, error) {
	for _, item := range o.Body.Items {
		if _, err := r.SubmitPodMetrics(ctx, autoscaler.SubmitPodMetricsRequestObject{Body: &item}); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	r.batches++
	r.mu.Unlock()
	return autoscaler.SubmitPodMetricsBatch200JSONResponse{Accepted: int32(len(o.Body.Items))}, nil
}

func (r *recorder) GetIdentityKeys(context.Context, autoscaler.GetIdentityKeysRequestObject) (autoscaler.GetIdentityKeysResponseObject, error) {
	return autoscaler.GetIdentityKeys200JSONResponse{Issuer: "none", Keys: []map[string]any{}}, nil
}

// IssueCertificate is what a collector asks for until it has one.
func (r *recorder) IssueCertificate(_ context.Context, o autoscaler.IssueCertificateRequestObject) (autoscaler.IssueCertificateResponseObject, error) {
	if r.issues == nil {
		return nil, errors.New("none is issued")
	}
	key, err := authority.ReadRequest([]byte(o.Body.Request))
	if err != nil {
		return nil, err
	}
	chain, err := r.issues.Sign(key)
	return autoscaler.IssueCertificate200JSONResponse{Certificate: string(chain), Authority: string(r.issues.Bundle())}, err
}

func (r *recorder) all() []common.PodMetrics {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]common.PodMetrics(nil), r.taken...)
}

// wait returns what was taken once that is as it should be.
func (r *recorder) wait(t *testing.T, what string, ok func([]common.PodMetrics) bool) []common.PodMetrics {
	t.Helper()
	deadline := time.After(testwait.Limit())
	for {
		if taken := r.all(); ok(taken) {
			return taken
		}
		select {
		case <-r.news:
		case <-deadline:
			t.Fatalf("not in time: %s; taken so far: %d", what, len(r.all()))
		}
	}
}

func controller(t *testing.T) (*recorder, string) {
	t.Helper()
	spec, err := autoscaler.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{news: make(chan struct{}, 1), issues: testauthority.New(t)}
	handler := contract.Validate(spec)(autoscaler.Handler(autoscaler.NewStrictHandler(r, nil)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if r.away.Load() {
			fault.Write(w, q, fault.New(fault.Internal, "away"))
			return
		}
		handler.ServeHTTP(w, q)
	}))
	t.Cleanup(server.Close)
	return r, server.URL
}

// proc writes a /proc of a pod that has used so many ticks of CPU time.
func proc(t *testing.T, root string, ticks int) {
	t.Helper()
	for path, content := range map[string]string{
		"1/comm": "pause\n", "1/stat": "1 (pause) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0", "1/status": "RssAnon:\t128 kB\n",
		"7/stat": fmt.Sprintf("7 (web) S 0 1 1 0 -1 0 0 0 0 0 %d 0 0 0 20 0 1 0 9 0 0", ticks), "7/status": "RssAnon:\t10112 kB\n",
	} {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil { // never half written
			t.Fatal(err)
		}
	}
}

type running struct {
	url string
	api *sidecar.ClientWithResponses
}

func boot(t *testing.T, args ...string) *running {
	t.Helper()
	s, err := app.Load(append([]string{
		"-listen", "127.0.0.1:0", "-pod-name", "web-x", "-pod-namespace", "default", "-cgroup-root", t.TempDir(), "-interval", "1s",
	}, args...), nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), s, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	r := &running{}
	if a.Addr() == nil {
		return r
	}
	r.url = "http://" + a.Addr().String()
	if r.api, err = sidecar.NewClientWithResponses(r.url); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	answer, err := http.Get(r.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestRun_MeasuresThePodAndTheControllerHears(t *testing.T) {
	r, url := controller(t)
	folder, data := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "cache"), make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var answered atomic.Int64
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := answered.Add(10)
		_, _ = fmt.Fprintf(w, "http_request_duration_seconds_sum{path=\"/\"} %v\nhttp_request_duration_seconds_count{path=\"/\"} %d\n", float64(n)*0.02, n)
	}))
	t.Cleanup(page.Close)
	proc(t, folder, 1000)
	boot(t, "-controller-url", url, "-proc-root", folder, "-disk-paths", data, "-app-metrics-url", page.URL)

	first := r.wait(t, "the first measurement", func(m []common.PodMetrics) bool { return len(m) > 0 })[0]
	if first.PodName != "web-x" || first.Namespace != "default" || first.Metrics.CpuUsage != nil || first.Metrics.ResponseTime != nil {
		t.Errorf("the first: %+v", first)
	}
	if m := first.Metrics.MemoryUsage; m == nil || *m != 10 {
		t.Errorf("memory is %v MiB", m)
	}
	if d := first.Metrics.DiskUsage; d == nil || *d < 2 || *d > 2.1 {
		t.Errorf("disk is %v MiB", d)
	}
	proc(t, folder, 1050)
	burnt := func(m common.PodMetrics) bool { return m.Metrics.CpuUsage != nil && *m.Metrics.CpuUsage > 0 }
	for _, m := range r.wait(t, "CPU", func(m []common.PodMetrics) bool { return burnt(m[len(m)-1]) }) {
		// Half a second of CPU time, within half a second at least.
		if burnt(m) && *m.Metrics.CpuUsage > 1000 {
			t.Errorf("CPU is %v millicores", *m.Metrics.CpuUsage)
		}
		if rt := m.Metrics.ResponseTime; rt != nil && (*rt < 19.9 || *rt > 20.1) {
			t.Errorf("response time is %v ms", *rt)
		}
	}
}

func TestRun_KeepsTheNewestThatTheControllerDoesNotTakeAndSendsItOnCommand(t *testing.T) {
	r, url := controller(t)
	r.away.Store(true)
	folder := t.TempDir()
	proc(t, folder, 10)
	s := boot(t, "-controller-url", url, "-proc-root", folder, "-back-off-longest", "1h", "-interval", "15s")

	away, err := s.api.SendNowWithResponse(t.Context())
	if err != nil || away.StatusCode() != http.StatusBadGateway || !strings.Contains(*away.ApplicationproblemJSON502.Detail, "measurements that wait: 1") {
		t.Fatalf("%d %s, error %v", away.StatusCode(), away.Body, err)
	}
	began := time.Now()
	collected, err := s.api.CollectNowWithResponse(t.Context())
	if err != nil || collected.JSON200 == nil || collected.JSON200.Waiting != 1 || collected.JSON200.Dropped < 1 || collected.JSON200.LastError == nil ||
		collected.JSON200.AgeSeconds > time.Since(began).Seconds() {
		t.Fatalf("%d %s, error %v", collected.StatusCode(), collected.Body, err)
	}
	r.away.Store(false)
	sent, err := s.api.SendNowWithResponse(t.Context())
	if err != nil || sent.JSON200 == nil || sent.JSON200.Waiting != 0 || sent.JSON200.Sent < 1 || sent.JSON200.LastError != nil {
		t.Fatalf("%d %s, error %v", sent.StatusCode(), sent.Body, err)
	}
	if got := len(r.all()); int64(got) != sent.JSON200.Sent {
		t.Errorf("the controller took %d, the sidecar says %d", got, sent.JSON200.Sent)
	}
}

func TestRun_ServesTheKubeletAndPrometheusAndRefusesTheRest(t *testing.T) {
	_, url := controller(t)
	folder := t.TempDir()
	proc(t, folder, 10)
	s := boot(t, "-controller-url", url, "-proc-root", folder)
	if _, err := s.api.CollectNowWithResponse(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/healthz": {200, `"ok"`}, "/readyz": {200, `"ok"`},
		"/metrics": {200, `nemesis_sidecar_measured{metric="memoryUsage"} 10`}, "/v1/nothing": {404, "no operation"},
		"/v1/metrics/send": {405, "method"},
	} {
		if status, body := s.get(t, path); status != want.status || !strings.Contains(body, want.text) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestRun_APodThatCannotBeMeasuredIsNoReasonToEnd(t *testing.T) {
	_, url := controller(t)
	s := boot(t, "-controller-url", url, "-proc-root", t.TempDir())
	answer, err := s.api.CollectNowWithResponse(t.Context())
	if err != nil || answer.StatusCode() != http.StatusServiceUnavailable {
		t.Fatalf("%d %s, error %v", answer.StatusCode(), answer.Body, err)
	}
	if status, body := s.get(t, "/healthz"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
}

func TestLoad_NamesEveryFault(t *testing.T) {
	_, err := app.Load([]string{
		"-controller-url", "ftp://x", "-app-metrics-url", "localhost", "-pod-name", "A", "-disk-paths", "data", "-interval", "1m", "-usage-from", "guess",
	}, []string{"POD_NAMESPACE=Not_One"}, io.Discard)
	if err == nil {
		t.Fatal("no fault")
	}
	for _, key := range []string{"controller-url", "app-metrics-url", "pod-name", "pod-namespace", "disk-paths", "interval", "usage-from"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named: %v", key, err)
		}
	}
}

func TestLoad_TakesAFewPagesOfTheApplication(t *testing.T) {
	for value, ok := range map[string]bool{
		"": true, "http://localhost:1/metrics": true, "http://localhost:1/metrics , http://localhost:2/models,": true,
		"http://localhost:1/metrics,localhost": false, strings.Repeat("http://x/,", 4): true, strings.Repeat("http://x/,", 5): false,
	} {
		_, err := app.Load([]string{"-app-metrics-url", value}, []string{"POD_NAME=web-x", "POD_NAMESPACE=shop"}, io.Discard)
		if (err == nil) != ok {
			t.Errorf("%q: error %v", value, err)
		}
	}
}

func TestLoad_KnowsThePodByTheDownwardAPI(t *testing.T) {
	s, err := app.Load(nil, []string{"POD_NAME=web-x", "POD_NAMESPACE=shop", "POD_UID=1-2", "NEMESIS_APP_METRICS_URL=", "NEMESIS_DISK_PATHS="}, io.Discard)
	if err != nil || s.PodName != "web-x" || s.PodNamespace != "shop" || s.PodUID != "1-2" || s.Interval != 5*time.Second {
		t.Errorf("%+v, error %v", s, err)
	}
}
