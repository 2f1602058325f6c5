package app_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/app/batching"
)

// collector runs one before the controller at url, until the test ends or stop is called.
func collector(t *testing.T, url string, args ...string) (address string, stop func()) {
	t.Helper()
	s, err := batching.Load(append([]string{
		"-listen", "127.0.0.1:0", "-name", "collector-x", "-controller-url", url, "-every", "100ms", "-authentication", "optional", "-clear-text",
	}, args...), nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c, err := batching.New(t.Context(), s, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		end()
		if err := testwait.Receive(t, "the collector ends", ended); err != nil {
			t.Errorf("the collector ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return "http://" + c.Addr().String(), stop
}

func TestCollector_WhatSidecarsPushComesToTheControllerInBatches(t *testing.T) {
	r, url := controller(t)
	address, _ := collector(t, url)
	folder := t.TempDir()
	proc(t, folder, 100)
	for _, name := range []string{"web-a", "web-b"} {
		boot(t, "-controller-url", address, "-proc-root", folder, "-pod-name", name, "-dead-band", "0")
	}
	taken := r.wait(t, "both pods were measured twice", func(taken []common.PodMetrics) bool {
		return count(taken, "web-a") >= 2 && count(taken, "web-b") >= 2
	})
	for _, p := range taken {
		if p.Namespace != "default" || p.Metrics.MemoryUsage == nil || p.AgeSeconds == nil || p.ValidSeconds == nil {
			t.Errorf("%+v", p)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.batches == 0 {
		t.Error("they came one by one")
	}
}

func count(taken []common.PodMetrics, pod string) (n int) {
	for _, p := range taken {
		if p.PodName == pod {
			n++
		}
	}
	return n
}

// It tries again and again: a busy machine sees the first number late.
var someFailed = regexp.MustCompile(`nemesis_collector_batches_total{result="failed"} [1-9]`)

func TestCollector_KeepsTheNewestWhileTheControllerIsAwayAndSendsItAtItsEnd(t *testing.T) {
	r, url := controller(t)
	r.away.Store(true)
	address, stop := collector(t, url)
	push := func(queued string) {
		t.Helper()
		answer, err := http.Post(address+"/metrics", "application/json", strings.NewReader(`{"podName":"p","namespace":"n","metrics":{"queued":`+queued+`}}`))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("status %d", answer.StatusCode)
		}
	}
	push("1")
	testwait.Until(t, "a batch failed", func() bool {
		return someFailed.MatchString(page(t, address+"/metrics"))
	})
	push("2")
	r.away.Store(false)
	stop()
	taken := r.all()
	if len(taken) == 0 || *taken[len(taken)-1].Metrics.Queued != 2 {
		t.Errorf("%+v", taken)
	}
	if slices.ContainsFunc(taken[:len(taken)-1], func(p common.PodMetrics) bool { return *p.Metrics.Queued == 2 }) {
		t.Errorf("sent twice: %+v", taken)
	}
}

func page(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestCollector_ShowsItsHealthAndFigures(t *testing.T) {
	_, url := controller(t)
	address, _ := collector(t, url)
	for path, want := range map[string]string{
		"/healthz": `"ok"`, "/readyz": `"ok"`, "/metrics": `nemesis_collector_pushes_total{result="accepted"} 0`,
	} {
		if body := page(t, address+path); !strings.Contains(body, want) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestLoadCollector_NamesEveryFault(t *testing.T) {
	_, err := batching.Load([]string{"-listen", "x", "-controller-url", "ftp://x", "-every", "1h", "-keep", "1"}, nil, io.Discard)
	for _, key := range []string{"listen", "controller-url", "every", "keep"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named: %v", key, err)
		}
	}
	s, err := batching.Load(nil, []string{"POD_NAME=collector-y"}, io.Discard)
	if err != nil || s.Name != "collector-y" || s.Listen != ":8080" {
		t.Errorf("%+v, %v", s, err)
	}
}

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// gatekeeper is a controller that notes whose pushes come, and takes those of one token alone.
func gatekeeper(t *testing.T, token string) (came chan string, address string) {
	t.Helper()
	came = make(chan string, 1000)
	_, behind := controller(t)
	to, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case came <- r.Header.Get("Authorization"):
		default:
		}
		if r.Header.Get("Authorization") != "Bearer "+token {
			fault.Write(w, r, fault.New(fault.Unauthenticated, "the token expired at noon"))
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return came, server.URL
}

func TestRun_SidecarAndCollectorSayWhoTheyAre(t *testing.T) {
	came, controller := gatekeeper(t, "good")
	folder := t.TempDir()
	proc(t, folder, 10)
	boot(t, "-controller-url", controller, "-proc-root", folder, "-token-file", tokenFile(t, "good\n"))
	if who := testwait.Receive(t, "a push", came); who != "Bearer good" {
		t.Errorf("the sidecar came as %q", who)
	}
	came, controller = gatekeeper(t, "good")
	address, _ := collector(t, controller, "-token-file", tokenFile(t, "good"))
	boot(t, "-controller-url", address, "-proc-root", folder)
	if who := testwait.Receive(t, "a batch", came); who != "Bearer good" {
		t.Errorf("the collector came as %q", who)
	}
}

// Who is not let in says so to those who look, and asks with pauses: the application is served all the while.
func TestRun_WhoIsRefusedSaysItAndGoesOn(t *testing.T) {
	_, controller := gatekeeper(t, "good")
	folder, file := t.TempDir(), tokenFile(t, "bad")
	proc(t, folder, 10)
	s := boot(t, "-controller-url", controller, "-proc-root", folder, "-token-file", file, "-back-off-longest", "1s")
	address, _ := collector(t, controller, "-token-file", file)
	boot(t, "-controller-url", address, "-proc-root", folder)
	for name, url := range map[string]string{"the sidecar": s.url, "the collector": address} {
		const why = "the autoscaler-controller refuses this service"
		testwait.Until(t, name+" says it", func() bool {
			text := page(t, url+"/readyz")
			return strings.Contains(text, `"status":"ok"`) && strings.Contains(text, why) && strings.Contains(text, "401, the token expired at noon")
		})
		if figures := page(t, url+"/metrics"); !refusedOnce.MatchString(figures) || !strings.Contains(figures, "nemesis_token_sent 1") {
			t.Errorf("%s counts nothing of it", name)
		}
	}
	if err := os.WriteFile(file, []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{"the sidecar": s.url, "the collector": address} {
		testwait.Until(t, name+" is let in with a new token", func() bool { return !strings.Contains(page(t, url+"/readyz"), "refuses this service") })
	}
}

var refusedOnce = regexp.MustCompile(`nemesis_token_refusals_total{status="401"} [1-9]`)

func TestRun_ATokenThatIsMissingIsSaid(t *testing.T) {
	_, controller := controller(t)
	folder := t.TempDir()
	proc(t, folder, 10)
	s := boot(t, "-controller-url", controller, "-proc-root", folder, "-token-file", "/nowhere/token")
	address, _ := collector(t, controller, "-token-file", "/nowhere/token")
	for _, url := range []string{s.url, address} {
		testwait.Until(t, "it is said", func() bool {
			return strings.Contains(page(t, url+"/readyz"), "token-file: there is no file /nowhere/token")
		})
		if !strings.Contains(page(t, url+"/metrics"), "nemesis_token_sent 0") {
			t.Error("it counts as sent")
		}
	}
}
