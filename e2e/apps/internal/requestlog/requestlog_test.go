package requestlog_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/requestlog"
	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/tracing"
)

func TestHandler_OneLineWithTheCallersTrace(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	var unconfigured *tracing.Exporter
	handler := unconfigured.Handler(requestlog.Handler(log, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("short"))
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flush through the log: %v", err)
		}
	}), "/healthz"))

	request := httptest.NewRequest(http.MethodGet, "/pot", nil)
	request.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	handler.ServeHTTP(httptest.NewRecorder(), request)
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", nil))

	var line struct {
		Method, Path  string
		Status, Bytes int
		TraceID       string `json:"trace_id"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil { // a second line would be an error too
		t.Fatalf("%v in %s", err, &out)
	}
	if line.Method != http.MethodGet || line.Path != "/pot" || line.Status != 418 || line.Bytes != 5 || line.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("got %s", &out)
	}
}
