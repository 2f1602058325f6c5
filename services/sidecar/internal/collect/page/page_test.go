package page

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

type (
	gauges = map[pod.Kind]float64
	means  = map[pod.Kind]Mean
)

func TestRead_UnderstandsEachServersPage(t *testing.T) {
	pages := httptest.NewServer(http.FileServer(http.Dir("testdata")))
	defer pages.Close()
	for file, want := range map[string]Reading{
		"vllm": {
			gauges{pod.InFlight: 4, pod.Queued: 7, pod.CacheUsage: 0.375},
			means{pod.ResponseTime: {96000, 48}, pod.TimeToFirstToken: {2500, 50}}, gauges{pod.RequestRate: 48}, gauges{},
		},
		"sglang": {
			gauges{pod.InFlight: 2, pod.Queued: 5, pod.CacheUsage: 0.28},
			means{pod.ResponseTime: {60000, 20}, pod.TimeToFirstToken: {4000, 20}}, gauges{pod.RequestRate: 20}, gauges{},
		},
		"tgi":      {gauges{pod.InFlight: 8, pod.Queued: 4}, means{pod.ResponseTime: {25000, 10}}, gauges{pod.RequestRate: 10}, gauges{}},
		"trtllm":   {gauges{pod.InFlight: 16, pod.Queued: 9, pod.CacheUsage: 0.75}, means{pod.ResponseTime: {2000, 4}}, gauges{pod.RequestRate: 4}, gauges{}},
		"llamacpp": {gauges{pod.InFlight: 1, pod.Queued: 6}, means{}, gauges{}, gauges{}},
		"ray":      {gauges{pod.InFlight: 6, pod.Queued: 3}, means{pod.ResponseTime: {200, 5}}, gauges{pod.RequestRate: 5}, gauges{}},
		"triton": {
			gauges{}, means{pod.ResponseTime: {6000, 120}}, gauges{pod.RequestRate: 120}, gauges{pod.Queued: 300, pod.InFlight: 6000},
		},
		"torchserve": {gauges{}, means{pod.ResponseTime: {600, 30}}, gauges{pod.RequestRate: 30}, gauges{pod.Queued: 90, pod.InFlight: 600}},
		"http":       {gauges{pod.InFlight: 1}, means{pod.ResponseTime: {2000, 10}}, gauges{pod.RequestRate: 10}, gauges{}},
	} {
		got, err := New(pages.URL + "/" + file + ".txt").Read(t.Context())
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-6 })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestServers_EachHasAPageInTheTests(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != len(servers) {
		t.Errorf("%d pages for %d servers, error %v", len(files), len(servers), err)
	}
}

func TestParse_WithoutTypesTheFiguresAreTheSame(t *testing.T) {
	raw, err := os.ReadFile("testdata/vllm.txt")
	if err != nil {
		t.Fatal(err)
	}
	with, err := parse(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	without, err := parse(strings.NewReader(strings.ReplaceAll(string(raw), "# TYPE", "# NOTE")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reading(with), reading(without)); diff != "" {
		t.Errorf("(-with +without):\n%s", diff)
	}
}

func TestParse_ALargePageCostsOnlyWhatMatters(t *testing.T) {
	var page strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&page, "vllm:e2e_request_latency_seconds_bucket{le=\"%d\"} 1\n", i)
	}
	page.WriteString("other{x=\"" + strings.Repeat("y", 3*maxLine) + "\"} 1\n")
	page.WriteString("vllm:num_requests_waiting{x=\"" + strings.Repeat("y", 3*maxLine) + "\"} 1\n")
	page.WriteString("vllm:num_requests_running 4") // and no end of line
	kept, err := sieve(strings.NewReader(page.String()))
	if err != nil || string(kept) != "vllm:num_requests_running 4\n" {
		t.Errorf("%d bytes kept, error %v", len(kept), err)
	}
}

// endless is a page without an end.
type endless struct {
	line string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.line[e.at%len(e.line)]
		e.at++
	}
	return len(p), nil
}

func TestParse_RefusesWhatIsTooLong(t *testing.T) {
	for line, want := range map[string]error{"x 1\n": errPageTooLong, "vllm:num_requests_running 1\n": errKeptTooLong, "x": errPageTooLong} {
		if _, err := parse(&endless{line: line}); err != want { //nolint:errorlint // it is that very one
			t.Errorf("%q: error is %v, want %v", line, err, want)
		}
	}
}

func TestRead_SaysWhyThereIsNone(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"/503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"/redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		},
		"/broken": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("tgi_queue_size{ 1\n")) },
	}
	mux := http.NewServeMux()
	for path, answer := range answers {
		mux.HandleFunc(path, answer)
	}
	server := httptest.NewServer(mux)
	defer server.Close()
	for path := range answers {
		if r, err := New(server.URL + path).Read(t.Context()); err == nil {
			t.Errorf("%s: %+v", path, r)
		}
	}
	if r, err := New("http://127.0.0.1:1/metrics").Read(t.Context()); err == nil {
		t.Errorf("nobody there: %+v", r)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Add("tgi_queue_size NaN\n# TYPE tgi_request_duration summary\ntgi_request_duration_sum +Inf\ntgi_queue_size -Inf")
	f.Fuzz(func(t *testing.T, page string) {
		samples, err := parse(strings.NewReader(page))
		if err != nil {
			return
		}
		for name, s := range samples {
			if !known[name] || s.n < 1 || math.IsNaN(s.total) {
				t.Errorf("%s: %+v", name, s)
			}
		}
		_ = reading(samples)
	})
}
