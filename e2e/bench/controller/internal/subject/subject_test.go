package subject

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/process"
)

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

func TestBuckets_AreCountsUpToEachBound(t *testing.T) {
	page := "h_bucket{le=\"0.1\"} 2\nh_bucket{x=\"a\",le=\"0.5\"} 3\nh_bucket{x=\"b\",le=\"0.5\"} 4\nh_bucket{le=\"+Inf\"} 9\nh_sum 1\nh_count 9\nother_bucket{le=\"0.1\"} 7\nh_bucket{le=\"\"} 1\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) }))
	defer server.Close()
	got, err := (&Subject{Address: strings.TrimPrefix(server.URL, "http://")}).Buckets(context.Background(), "h")
	if err != nil || len(got) != 3 || got[0.1] != 2 || got[0.5] != 7 || got[math.Inf(1)] != 9 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestQuantile_IsOfWhatCameBetween(t *testing.T) {
	inf := math.Inf(1)
	before := map[float64]float64{1: 100, 2: 100, 4: 100, inf: 100}
	after := map[float64]float64{1: 110, 2: 150, 4: 199, inf: 200}
	for q, want := range map[float64]float64{0.05: 0.5, 0.5: 2, 0.3: 1.5, 0.99: 4, 1: 4} {
		if got := Quantile(q, before, after); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	for what, got := range map[string]float64{
		"nothing came": Quantile(0.5, before, before), "nothing is there": Quantile(0.5, nil, nil),
	} {
		if !math.IsNaN(got) {
			t.Errorf("%s: %v", what, got)
		}
	}
	if got := Quantile(0.5, nil, map[float64]float64{1: 4, inf: 4}); got != 0.5 {
		t.Errorf("of all: %v", got)
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
