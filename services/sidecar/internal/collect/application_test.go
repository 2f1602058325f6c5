package collect

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/page"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// shown is a reading of an application, with its answers, their times in all, and its gauges' one value.
func shown(sum, count, answers float64) page.Reading {
	return page.Reading{
		Gauges: map[pod.Kind]float64{pod.CacheUsage: 0.5},
		Means:  map[pod.Kind]page.Mean{pod.ResponseTime: {From: "time", Sum: sum, Count: count}},
		Counts: map[pod.Kind]page.Count{pod.RequestRate: {From: "answers", Value: answers}},
	}
}

func filled(before, now page.Reading) pod.Measurement {
	m := pod.New(time.Now())
	fill(m, before, now, 5*time.Second, true)
	return m
}

func expect(t *testing.T, m pod.Measurement, want map[pod.Kind]float64) {
	t.Helper()
	for kind, v := range want {
		if got := value(t, m, kind); got != v {
			t.Errorf("%s is %v, want %v", kind, got, v)
		}
	}
}

func TestFill_GrowthBecomesMeansAndRates(t *testing.T) {
	m := filled(shown(1000, 10, 10), shown(1600, 15, 15))
	expect(t, m, map[pod.Kind]float64{pod.ResponseTime: 120, pod.RequestRate: 1, pod.CacheUsage: 0.5})

	quiet := filled(shown(1000, 10, 10), shown(1000, 10, 10))
	missing(t, quiet, pod.ResponseTime, "no request was answered")
	expect(t, quiet, map[pod.Kind]float64{pod.RequestRate: 0})

	began := page.Reading{}
	expect(t, filled(began, shown(60, 2, 5)), map[pod.Kind]float64{pod.ResponseTime: 30, pod.RequestRate: 1})

	first := pod.New(time.Now())
	fill(first, page.Reading{}, shown(1, 1, 1), 0, false)
	for _, kind := range []pod.Kind{pod.ResponseTime, pod.RequestRate} {
		missing(t, first, kind, "two readings")
	}
}

func TestFill_RequestsCountedAsTheyComeMakeNoAnswerQuick(t *testing.T) {
	missing(t, filled(shown(1000, 10, 10), shown(1000, 14, 14)), pod.ResponseTime, "no request was answered")
}

func TestFill_WhatCountsAnewHasGrownByNobodyKnowsWhat(t *testing.T) {
	began := func(r page.Reading, at float64) page.Reading {
		r.Started = at
		return r
	}
	for what, now := range map[string]page.Reading{
		"fewer than before": shown(60, 2, 2),
		"another process":   began(shown(2000, 20, 20), 7),
	} {
		m := filled(shown(1000, 10, 10), now)
		t.Log(what)
		missing(t, m, pod.ResponseTime, "count anew")
		missing(t, m, pod.RequestRate, "count anew")
		expect(t, m, map[pod.Kind]float64{pod.CacheUsage: 0.5})
	}
	expect(t, filled(began(shown(1000, 10, 10), 7), began(shown(1600, 15, 15), 7)), map[pod.Kind]float64{pod.RequestRate: 1})
}

func TestFill_TwoNamesAreNotCompared(t *testing.T) {
	now := shown(2000, 20, 20)
	now.Counts[pod.RequestRate] = page.Count{From: "others", Value: 20}
	now.Means[pod.ResponseTime] = page.Mean{From: "another", Sum: 2000, Count: 20}
	lost := page.Reading{Withheld: map[pod.Kind]string{pod.RequestRate: "it cannot be read", pod.ResponseTime: "nor can this"}}
	for _, m := range []pod.Measurement{filled(shown(1000, 10, 10), now), filled(lost, now)} {
		missing(t, m, pod.ResponseTime, "same place")
		missing(t, m, pod.RequestRate, "same place")
	}
	m := filled(shown(1000, 10, 10), lost)
	missing(t, m, pod.RequestRate, "it cannot be read")
}

func TestWorkers_AnOlderProcessThatAnswersAgainIsOneOfSeveral(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		began []float64
		want  bool
	}{
		"one":                     {[]float64{5, 5, 5, 5, 5, 5}, false},
		"one that is replaced":    {[]float64{5, 5, 6, 6, 7, 7}, false},
		"one, its clock set once": {[]float64{5, 5, 4, 4.5, 5, 5}, true}, // twice below what was seen
		"one look back":           {[]float64{5, 5, 6, 5, 6, 6}, false},
		"two in turn":             {[]float64{5, 6, 5, 6, 5, 6}, true},
		"three":                   {[]float64{7, 6, 5, 7}, true},
		"none that says":          {[]float64{0, 0, 0, 0}, false},
	} {
		var w workers
		got := false
		for i, began := range c.began {
			got = w.inTurns(began, now.Add(time.Duration(i)*5*time.Second))
		}
		if got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	var w workers
	for _, began := range []float64{5, 6, 5, 5} {
		w.inTurns(began, now)
	}
	if !w.inTurns(6, now.Add(turnsFor)) || w.inTurns(6, now.Add(turnsFor+time.Second)) {
		t.Error("it is not over after a while")
	}
}

// pages serves one text after the other, and the last one again and again.
func pages(t *testing.T, texts ...string) *application {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(texts[0]))
		texts = texts[min(1, len(texts)-1):]
	}))
	t.Cleanup(server.Close)
	return &application{page: page.New(server.URL), log: slog.New(slog.DiscardHandler)}
}

func TestCollect_SaysWhatTheApplicationsPageDoesNotShow(t *testing.T) {
	for text, why := range map[string]string{
		"llamacpp:requests_deferred 3\n": "(llama.cpp, known from b11549) does not show it",
		"tgi_queue_size 3\n":             "(TGI) does not show it",
		"mine 3\n":                       "of no server that is known",
		"tgi_queue_size 3\ntgi_request_duration_sum x\ntgi_request_duration_count 1\n": "tgi_request_duration_sum cannot be read",
	} {
		m := (&Collector{app: pages(t, text)}).Collect(t.Context())
		if got, ok := m.Value(pod.Queued); ok && got != 3 {
			t.Errorf("queued is %v", got)
		}
		missing(t, m, pod.ResponseTime, why)
	}
}

func TestCollect_SaysWhoseThePageIsOnce(t *testing.T) {
	var log bytes.Buffer
	vllm := `vllm:num_requests_running{model_name="m"} 1` + "\n"
	app := pages(t, vllm, vllm, vllm+"vllm:num_requests_waiting x\n")
	app.log = slog.New(slog.NewTextHandler(&log, nil))
	c := &Collector{app: app}
	var m pod.Measurement
	for range 4 {
		m = c.Collect(t.Context())
	}
	if a := m.Application; a.Server != "vLLM" || a.Version == "" || len(a.Models) != 1 || len(a.Unread) != 1 {
		t.Errorf("%+v", a)
	}
	if text := log.String(); strings.Count(text, "server=vLLM") != 1 || strings.Count(text, "num_requests_waiting cannot be read") != 1 {
		t.Errorf("logged:\n%s", text)
	}
}

func TestCollect_OneOfSeveralProcessesIsNotTheApplication(t *testing.T) {
	old, young := "process_start_time_seconds 5\ntgi_queue_size 1\n", "process_start_time_seconds 6\ntgi_queue_size 2\n"
	c := &Collector{app: pages(t, old, young, old, young, old)}
	var m pod.Measurement
	for range 5 {
		m = c.Collect(t.Context())
	}
	missing(t, m, pod.Queued, "PROMETHEUS_MULTIPROC_DIR")
}

// Gauges of requests, and the counter of answers to a client, as each server's page shows them.
var inPages = map[string]struct {
	busy   string // a gauge of requests under way
	answer string // the counters that one more answer makes grow by 1
	probe  string // those of one more probe
}{
	"vllm-0.32.0-busy":  {`vllm:num_requests_(running|waiting)`, `vllm:e2e_request_latency_seconds_(count|sum)`, `http_request[a-z_]*(count|total|sum)`},
	"llamacpp-b11549":   {`llamacpp:requests_[a-z]+`, ``, `llamacpp:prompt_tokens_total`},
	"rayserve-2.60.0":   {`ray_serve_(deployment_queued|replica_processing)_queries`, `ray_serve_http_request_latency_ms_(count|sum)[^ ]*method="POST"[^ ]*status_code="200"`, `ray_serve_http[^ ]*route="/-/[^ ]*`},
	"triton-2.51.0":     {`nv_inference_pending_request_count`, `nv_inference_request_success[^ ]*model="m"`, ``},
	"torchserve-0.12.0": {``, `ts_inference_(requests_total|latency_microseconds)`, `Requests2XX`},
	"bentoml-1.4.40":    {`bentoml_service_request_in_progress`, `bentoml_service_request_duration_seconds_(count|sum)[^ ]*endpoint="/predict"[^ ]*_code="200"`, `bentoml[^ ]*(count|sum|total)[^ ]*endpoint="/[a-z]+z"[^ ]*`},
	"mlserver-1.7.1":    {`rest_server_requests_in_progress`, `(model_infer_request_duration_count|rest_server_request_duration_seconds_(count|sum)[^ ]*/infer")`, `rest_server[^ ]*method="GET"[^ ]*`},
	"kserve-0.21.0":     {``, `request_predict_seconds_(count|sum)`, ``},
	"infinity-0.0.78":   {``, `http_request_duration_seconds_(count|sum)[^ ]*embeddings`, `http_request[^ ]*handler="/(health|metrics|models)"[^ ]*`},
}

// with is the text with the values of these samples made other ones.
func with(t *testing.T, text, samples, change string) string {
	t.Helper()
	if samples == "" {
		return text
	}
	pattern := regexp.MustCompile(`(?m)^(` + samples + `.*) (\S+)$`)
	if !pattern.MatchString(text) {
		t.Fatalf("there are no samples %s", samples)
	}
	return pattern.ReplaceAllString(text, "${1} "+change)
}

// Each real page: idle it says that nothing runs, and no probe changes that; an answer is one.
func TestCollect_EachServerIdleProbedAndBusy(t *testing.T) {
	for file, its := range inPages {
		raw, err := os.ReadFile(filepath.Join("page", "testdata", file+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		idle := with(t, string(raw), its.busy, "0")
		idle = with(t, idle, its.answer, "40")
		answered := with(t, idle, its.answer, "41")
		probed := with(t, idle, its.probe, "900000")
		read := func(text string) page.Reading {
			r, err := pages(t, text).page.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		quiet := filled(read(idle), read(probed))
		for _, k := range []pod.Kind{pod.InFlight, pod.Queued, pod.RequestRate} {
			if v, ok := quiet.Value(k); ok && v != 0 {
				t.Errorf("%s, idle: %s is %v", file, k, v)
			}
		}
		if v, ok := quiet.Value(pod.ResponseTime); ok {
			t.Errorf("%s, idle: the response time is %v", file, v)
		}
		if its.answer != "" {
			if v, ok := filled(read(idle), read(answered)).Value(pod.RequestRate); !ok || v != 0.2 {
				t.Errorf("%s: one answer in 5 s is a rate of %v", file, v)
			}
		}
		if its.busy != "" {
			m := filled(read(idle), read(string(raw)))
			running, _ := m.Value(pod.InFlight)
			queued, _ := m.Value(pod.Queued)
			if running+queued == 0 {
				t.Errorf("%s, busy: nothing runs and nothing waits", file)
			}
		}
	}
}
