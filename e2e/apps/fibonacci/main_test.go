package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestRun_ReportsSettingsThatAreNotAllowed(t *testing.T) {
	err := run(t.Context(), []string{"-max-n=94", "-port=x"}, func(string) string { return "" }, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "from 0 to 93") || !strings.Contains(err.Error(), "-port (PORT)") {
		t.Errorf("got %v", err)
	}
}

// TestServe_ContinuesTheCallersTrace lets the application export to a collector that only listens,
// and looks for the caller's trace id in what arrives there when the application ends.
func TestServe_ContinuesTheCallersTrace(t *testing.T) {
	exported := make(chan []byte, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		exported <- body
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL) // the exporter reads the process' own environment
	getenv := func(name string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}[name]
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	ran := make(chan error, 1)
	var logged bytes.Buffer // read only after serve has returned
	go func() { ran <- serve(ctx, listener, config{mostN: 45, drain: time.Minute}, getenv, &logged) }()

	request, err := http.NewRequest(http.MethodGet, "http://"+listener.Addr().String()+"/fib/3", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	end()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	spans := <-exported
	for what, bytesOf := range map[string]string{
		"trace id":    "\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36",
		"parent span": "\x00\xf0\x67\xaa\x0b\xa9\x02\xb7",
		"span name":   "GET /fib/{n}",
		"service":     "fibonacci",
	} {
		if !bytes.Contains(spans, []byte(bytesOf)) {
			t.Errorf("the exported spans have no %s", what)
		}
	}
	if !strings.Contains(logged.String(), `"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"`) {
		t.Errorf("the log has no trace id:\n%s", &logged)
	}
}
