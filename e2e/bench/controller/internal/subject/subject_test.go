package subject

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/process"
)

func TestParse_ReadsPrometheusText(t *testing.T) {
	for _, c := range []struct {
		line, name string
		value      float64
		ok         bool
	}{
		{"go_goroutines 42", "go_goroutines", 42, true},
		{`nemesis_decisions_total{result="applied",trigger="Start Call"} 3`, "nemesis_decisions_total", 3, true},
		{"go_memstats_next_gc_bytes 1.9e+07", "go_memstats_next_gc_bytes", 1.9e7, true},
		{"# HELP go_goroutines Number", "", 0, false},
		{"", "", 0, false},
		{"alone", "", 0, false},
		{"x y", "", 0, false},
	} {
		name, value, ok := parse(c.line)
		if ok != c.ok || ok && (name != c.name || value != c.value) {
			t.Errorf("%q: %q %v %v", c.line, name, value, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`a{b="c"} 1`)
	f.Add(" ")
	f.Fuzz(func(t *testing.T, line string) {
		if name, _, ok := parse(line); ok && (name == "" || strings.Contains(name, "{")) {
			t.Errorf("%q: %q", line, name)
		}
	})
}

func TestMetrics_AddUpOverLabels(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\nb 5\n"))
	}))
	defer server.Close()
	got, err := (&Subject{Address: strings.TrimPrefix(server.URL, "http://")}).Metrics(context.Background())
	if err != nil || got["a"] != 3 || got["b"] != 5 || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestMemory_IsTheLeastThatACollectionFoundInUse(t *testing.T) {
	collections, next := 0, []string{"9e+07", "6e+07", "4e+07", "5e+07"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "go_gc_duration_seconds_count %d\ngo_memstats_next_gc_bytes %s\n", collections, next[collections])
		collections = min(collections+1, len(next)-1)
	}))
	defer server.Close()
	s := &Subject{Process: &process.Process{}, Address: strings.TrimPrefix(server.URL, "http://")}
	if got, err := s.Memory(t.Context()); err != nil || got.Live != 2e7 {
		t.Errorf("%+v, %v", got, err)
	}
}
