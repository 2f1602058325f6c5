package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testauthority"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// mostResident is the memory that a sidecar may have beside an application, in bytes.
const mostResident = 8 << 20

// page is what a model server with some labels shows.
func page() string {
	var b strings.Builder
	for i := range 400 {
		fmt.Fprintf(&b, "vllm:e2e_request_latency_seconds_bucket{engine=\"0\",le=\"%d\",model_name=\"m\"} %d\n", i, i)
	}
	return b.String() + "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 1\nvllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 0\n"
}

// The program as it is shipped, which measures, reads a page and pushes over TLS with a token, stays small.
func TestProgram_IsSmallBesideAnApplication(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("its memory is read in /proc")
	}
	folder := t.TempDir()
	program := filepath.Join(folder, "sidecar")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	authority, pushed := testauthority.New(t), make(chan struct{})
	controller := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"Metrics received"}`)
		select {
		case pushed <- struct{}{}:
		case <-r.Context().Done():
		}
	}))
	controller.TLS = &tls.Config{Certificates: []tls.Certificate{*authority.Issue()}, MinVersion: tls.VersionTLS13}
	controller.StartTLS()
	defer controller.Close()
	text := page()
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	defer application.Close()
	ca, token := filepath.Join(folder, "ca.crt"), filepath.Join(folder, "token")
	authority.Write(ca, authority.Bundle())
	if err := os.WriteFile(token, bytes.Repeat([]byte("t"), 1200), 0o600); err != nil {
		t.Fatal(err)
	}
	sidecar := exec.CommandContext(t.Context(), program, "-controller-url", controller.URL, "-ca-file", ca, "-token-file", token,
		"-app-metrics-url", application.URL, "-interval", "1s", "-dead-band", "0")
	sidecar.Env = []string{"POD_NAME=web-x", "POD_NAMESPACE=shop", "GOMEMLIMIT=24MiB", "GOMAXPROCS=1"}
	if err := sidecar.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sidecar.Process.Kill()
		_ = sidecar.Wait()
	}()
	for range 5 {
		testwait.Receive(t, "a push", pushed)
	}
	got := resident(t, sidecar.Process.Pid)
	t.Logf("resident: %d KiB", got>>10)
	if got > mostResident {
		t.Errorf("%d KiB are resident, more than %d", got>>10, mostResident>>10)
	}
}

// resident is the memory of a process that is there, its program's pages included.
func resident(t *testing.T, pid int) (size int64) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(raw), "VmRSS:")
	if _, err := fmt.Sscanf(rest, "%d kB", &size); !ok || err != nil {
		t.Fatalf("no VmRSS in %s (%v)", raw, err)
	}
	t.Logf("%s", raw[strings.Index(string(raw), "VmHWM"):strings.Index(string(raw), "VmData")])
	return size << 10
}
