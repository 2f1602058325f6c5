package page

import (
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

// answers is the count of answers, under which name.
func answers(from string, n float64) map[pod.Kind]Count {
	return map[pod.Kind]Count{pod.RequestRate: {from, n}}
}

func response(from string, sum, count float64) means {
	return means{pod.ResponseTime: {from + "_sum", sum, count}}
}

func models(server, version string, models ...string) pod.Application {
	return pod.Application{Server: server, Version: version, Models: models}
}

// closely compares readings; sums of floats are never equal.
var closely = cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a)) })

// want makes what is not there empty.
func want(r Reading) Reading {
	if r.Gauges == nil {
		r.Gauges = gauges{}
	}
	if r.Means == nil {
		r.Means = means{}
	}
	if r.Counts == nil {
		r.Counts = map[pod.Kind]Count{}
	}
	if r.Withheld == nil {
		r.Withheld = map[pod.Kind]string{}
	}
	if r.Server.Models == nil {
		r.Server.Models = []string{}
	}
	return r
}

// pages are what each server's page in testdata says. A file that carries a version is an excerpt of what
// that server printed; the others are written after its documentation.
var pages = map[string]Reading{
	"vllm-0.32.0-idle": {
		Gauges: gauges{pod.InFlight: 0, pod.Queued: 0, pod.CacheUsage: 0},
		Means: means{
			pod.ResponseTime:     {"vllm:e2e_request_latency_seconds_sum", 0, 0},
			pod.TimeToFirstToken: {"vllm:time_to_first_token_seconds_sum", 0, 0},
		},
		Counts:  answers("vllm:e2e_request_latency_seconds_count", 0),
		Started: 1.79580600194e+09, Server: models("vLLM", "0.32.0", "tiny"),
	},
	"vllm-0.32.0-busy": {
		Gauges: gauges{pod.InFlight: 2, pod.Queued: 3, pod.CacheUsage: 0.0004883408619216212},
		Means: means{
			pod.ResponseTime:     {"vllm:e2e_request_latency_seconds_sum", 496.7920780181885, 9},
			pod.TimeToFirstToken: {"vllm:time_to_first_token_seconds_sum", 573.6293792724609, 11},
		},
		Counts:  answers("vllm:e2e_request_latency_seconds_count", 9),
		Started: 1.79580600194e+09, Server: models("vLLM", "0.32.0", "tiny"),
	},
	"vllm-two-engines": {
		Gauges: gauges{pod.InFlight: 4, pod.Queued: 7, pod.CacheUsage: 0.375},
		Means: means{
			pod.ResponseTime:     {"vllm:e2e_request_latency_seconds_sum", 96000, 48},
			pod.TimeToFirstToken: {"vllm:time_to_first_token_seconds_sum", 2500, 50},
		},
		Counts: answers("vllm:e2e_request_latency_seconds_count", 48), Server: models("vLLM", "0.32.0", "m"),
	},
	"sglang": {
		Gauges: gauges{pod.InFlight: 2, pod.Queued: 5, pod.CacheUsage: 0.28},
		Means: means{
			pod.ResponseTime:     {"sglang:e2e_request_latency_seconds_sum", 60000, 20},
			pod.TimeToFirstToken: {"sglang:time_to_first_token_seconds_sum", 4000, 20},
		},
		Counts: answers("sglang:e2e_request_latency_seconds_count", 20), Server: models("SGLang", "", "m"),
	},
	"tgi": {
		Gauges: gauges{pod.InFlight: 8, pod.Queued: 4}, Means: response("tgi_request_duration", 25000, 10),
		Counts: answers("tgi_request_duration_count", 10), Server: models("TGI", ""),
	},
	"tei": {
		Gauges: gauges{pod.Queued: 3}, Means: response("te_request_duration", 200, 4),
		Counts: answers("te_request_duration_count", 4), Server: models("TEI", ""),
	},
	"trtllm": {
		Gauges: gauges{pod.InFlight: 16, pod.Queued: 9, pod.CacheUsage: 0.75}, Means: response("trtllm_e2e_request_latency_seconds", 2000, 4),
		Counts: answers("trtllm_e2e_request_latency_seconds_count", 4), Server: models("TensorRT-LLM", "", "m"),
	},
	"llamacpp-b11549": { // it says nothing of its cache, nor how long a request took
		Gauges: gauges{pod.InFlight: 2, pod.Queued: 3}, Server: models("llama.cpp", "b11549"),
	},
	"rayserve-2.60.0": { // without its health checks and list of routes, a path of nobody's, two clients that left, and three that it was too full for
		Gauges: gauges{pod.InFlight: 2, pod.Queued: 2}, Means: response("ray_serve_http_request_latency_ms", 4822.5, 11),
		Counts: answers("ray_serve_http_request_latency_ms_count", 11), Server: models("Ray Serve", "2.60.0", "A"),
	},
	"triton-2.51.0": { // a time that streams and whole answers share is none
		Gauges: gauges{pod.Queued: 4},
		Counts: answers("nv_inference_request_success", 12), Server: models("Triton", "2.51.0", "g", "m"),
	},
	"torchserve-0.12.0": {
		Means:  means{pod.ResponseTime: {"ts_inference_latency_microseconds", 11542.891976, 16}},
		Counts: answers("ts_inference_requests_total", 16), Server: models("TorchServe", "0.12.0", "m"),
	},
	"bentoml-1.4.40": { // without 40 probes and four that it was too full for
		Gauges: gauges{pod.InFlight: 2}, Means: response("bentoml_service_request_duration_seconds", 13495.738312, 10),
		Counts: answers("bentoml_service_request_duration_seconds_count", 10), Server: models("BentoML", "1.4.40", "Svc"),
	},
	"mlserver-1.7.1": { // without 110 probes
		Gauges: gauges{pod.InFlight: 6}, Means: response("rest_server_request_duration_seconds", 18535.757214, 11),
		Counts: answers("model_infer_request_duration_count", 11), Started: 1.7958057805e+09, Server: models("MLServer", "1.7.1", "m"),
	},
	"mlserver-1.7.1-parallel": {
		Gauges: gauges{pod.InFlight: 6}, Counts: answers("model_infer_request_duration_count", 0), Server: models("MLServer", "1.7.1", "m"),
	},
	"kserve-0.21.0": {
		Means:  response("request_predict_seconds", 8857.297382, 8),
		Counts: answers("request_predict_seconds_count", 8), Started: 1.79580560659e+09, Server: models("KServe", "0.21.0", "m"),
	},
	"infinity-0.0.78": { // without 34 looks at its health and its page and 17 at what models there are
		Means:  response("http_request_duration_seconds", 3377.290241, 12),
		Counts: answers("http_request_duration_seconds_count", 12), Started: 1.7958065396e+09, Server: models("FastAPI", "Infinity 0.0.78"),
	},
	"http": {
		Gauges: gauges{pod.InFlight: 1}, Means: response("http_request_duration_seconds", 2000, 10),
		Counts: answers("http_request_duration_seconds_count", 10), Server: models("HTTP", ""),
	},
}

func TestRead_UnderstandsEachServersPage(t *testing.T) {
	server := httptest.NewServer(http.FileServer(http.Dir("testdata")))
	defer server.Close()
	for file, expected := range pages {
		got, err := New(server.URL + "/" + file + ".txt").Read(t.Context())
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if diff := cmp.Diff(want(expected), want(got), closely); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestServers_EachHasAPageInTheTests(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != len(pages) {
		t.Errorf("%d files for %d pages, error %v", len(files), len(pages), err)
	}
	seen := map[string]bool{"Infinity0.0.78": true} // in models_test.go
	for _, p := range pages {
		seen[p.Server.Server+p.Server.Version] = true
	}
	for _, s := range servers {
		if !seen[s.name+s.version] {
			t.Errorf("%s %s: there is no page of it", s.name, s.version)
		}
	}
}

func TestServers_AVersionIsClaimedOnlyWhereItsPageIsInTheTests(t *testing.T) {
	for _, s := range servers {
		version := s.version[strings.LastIndex(s.version, " ")+1:]
		files, err := filepath.Glob("testdata/*-" + version + "*.txt")
		if err != nil || version != "" && len(files) == 0 {
			t.Errorf("%s %s: there is no page of that version, error %v", s.name, s.version, err)
		}
	}
}

// readText reads a page as if it had been served.
func readText(tb testing.TB, text string) Reading {
	tb.Helper()
	families := newFamilies()
	if err := families.add(strings.NewReader(text)); err != nil {
		tb.Fatal(err)
	}
	return read(parse(families))
}

func testdata(tb testing.TB, file string) string {
	tb.Helper()
	raw, err := os.ReadFile("testdata/" + file + ".txt")
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

func TestRead_OfASleepingModelNobodyKnowsWhatWaits(t *testing.T) {
	awake := testdata(t, "vllm-0.32.0-idle")
	asleep := strings.NewReplacer(
		`sleep_state="awake"} 1.0`, `sleep_state="awake"} 0.0`,
		`sleep_state="weights_offloaded"} 0.0`, `sleep_state="weights_offloaded"} 1.0`,
	).Replace(awake)
	r := readText(t, asleep)
	for _, k := range []pod.Kind{pod.InFlight, pod.Queued} {
		if _, ok := r.Gauges[k]; ok || !strings.Contains(r.Withheld[k], "sleeps") {
			t.Errorf("%s: %v, withheld because %q", k, r.Gauges, r.Withheld[k])
		}
	}
	if _, ok := r.Gauges[pod.CacheUsage]; !ok {
		t.Error("its cache is not read")
	}
}

func TestRead_WhatRunsByAnotherProtocolIsNotNothing(t *testing.T) {
	text := testdata(t, "mlserver-1.7.1")
	r := readText(t, text+`grpc_server_started_total{grpc_method="ModelInfer"} 3`+"\n")
	if _, ok := r.Gauges[pod.InFlight]; ok || !strings.Contains(r.Withheld[pod.InFlight], "gRPC") {
		t.Errorf("%v, withheld because %q", r.Gauges, r.Withheld[pod.InFlight])
	}
	r = readText(t, text+`grpc_server_started_total{grpc_method="ModelInfer"} 0`+"\n")
	if v := r.Gauges[pod.InFlight]; v != 6 {
		t.Errorf("%v run", v)
	}
}

func TestRead_ACounterWithoutRequestsStandsAtZero(t *testing.T) {
	for text, from := range map[string]string{
		"# TYPE request_predict_seconds histogram\n": "request_predict_seconds_count",
		"# TYPE http_requests_total counter\n":       "http_requests_total",
		"# TYPE http_requests counter\n":             "http_requests_total", // OpenMetrics
	} {
		r := readText(t, text)
		if diff := cmp.Diff(answers(from, 0), r.Counts); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	if r := readText(t, "# TYPE http_requests_in_flight gauge\n# TYPE vllm:kv_cache_usage_perc gauge\n"); len(r.Gauges) != 0 {
		t.Errorf("a gauge that is not there is taken for %v", r.Gauges)
	}
}

func TestRead_TheRequestForThePageItselfIsNoWork(t *testing.T) {
	for text, running := range map[string]float64{
		"http_requests_in_flight 3\n":                                     2,
		"http_requests_in_flight 1\n":                                     0,
		"http_requests_in_flight 0\n":                                     0, // it is on another port
		`http_requests_in_flight{handler="/metrics"} 1` + "\n":            0,
		`http_requests_in_flight{path="/a"} 1` + "\n":                     1,
		`http_requests_in_progress{method="GET"} 1` + "\n":                0,
		`bentoml_service_request_in_progress{endpoint="/p"} 1` + "\n":     1,
		`bentoml_service_request_in_progress{endpoint="/livez"} 1` + "\n": 0,
	} {
		r := readText(t, text)
		if got, ok := r.Gauges[pod.InFlight]; !ok || got != running {
			t.Errorf("%q: %v (%t), want %v", text, got, ok, running)
		}
	}
}

func TestIsProbe(t *testing.T) {
	for target, probe := range map[string]bool{
		"/metrics": true, "metrics/": true, "/healthz?verbose": true, "/v2/models/{model_name}/ready": true, "/v2/models/m/ready": true,
		"/v2/models/m/versions/3/ready": true, "/-/healthz": true, "/v2/health/ready": true,
		"/": false, "": false, "/v2/models/m/infer": false, "/v2/models/a/b/ready": false, "/predict": false, "/metrics/of/mine": false, "/already": false,
	} {
		if isProbe(target) != probe {
			t.Errorf("%q: %t", target, !probe)
		}
	}
}

func TestRead_NamesAFewModels(t *testing.T) {
	var text strings.Builder
	for i := range 20 {
		text.WriteString(`nv_inference_request_success{model="` + string(rune('a'+i)) + `",version="1"} 1` + "\n")
		text.WriteString(`nv_inference_request_success{model="` + string(rune('a'+i)) + `",version="2"} 1` + "\n")
	}
	r := readText(t, text.String())
	if r.Counts[pod.RequestRate].Value != 40 || len(r.Server.Models) != maxModels || r.Server.MoreModels != 4 {
		t.Errorf("%+v of %+v", r.Counts, r.Server)
	}
}

func TestRead_SaysWhyThereIsNone(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"/503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"/redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		},
		"/cut-off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("tgi_queue_size 1"))
		},
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
