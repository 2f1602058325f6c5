package page

import "slices"

// server is one kind of server, and what its page shows under which names. Where it changed a name, the
// newer one comes first. Names of histograms stand without their _sum and _count.
type server struct {
	name    string
	version string // whose page the names were read from; "" is not run: they are those of its documentation
	sign    string // the sample that tells this server from others that show the same names; "" is any of the names

	running, queued, cache []string  // gauges; of caches it is the share in use
	response, firstToken   []average // how long answers, and their first tokens, took
	requests               []string  // counters of answers
	models                 label     // where the models' names are

	leave  []labels // samples that are no work for a client, besides those of probes
	unless doubt    // requests that run or wait are in no gauge
	ownToo bool     // the request for the page itself runs like any other
}

// average is a sum and the number of what was summed; sum times unit is milliseconds.
type average struct {
	sum, count string
	unit       float64
}

// label is one label of one name.
type label struct{ of, name string }

// doubt is a name of which samples above 0, without those left out, make the gauges say less than there is.
type doubt struct {
	name  string
	leave labels
	why   string
}

// Units, in milliseconds.
const (
	seconds      = 1000
	milliseconds = 1
	microseconds = 0.001
)

func histogram(name string, unit float64) average {
	return average{sum: name + "_sum", count: name + "_count", unit: unit}
}

// of makes a list.
func of[T any](list ...T) []T { return list }

// looks are methods that bring no work to a model.
var looks = of(labels{"method": "GET"}, labels{"method": "HEAD"})

// servers are those that are known. Each value is taken from the first one that shows it, so that a
// server inside another (vLLM in Triton or Ray) comes before it; what any web server may show comes
// last. LitServe (0.2.19) has no page; Infinity's is that of FastAPI's instrumentator.
var servers = []server{
	{
		name: "vLLM", version: "0.32.0",
		running:    of("vllm:num_requests_running"),
		queued:     of("vllm:num_requests_waiting"),
		cache:      of("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"), // the second before 0.11
		response:   of(histogram("vllm:e2e_request_latency_seconds", seconds)),
		firstToken: of(histogram("vllm:time_to_first_token_seconds", seconds)),
		requests:   of("vllm:e2e_request_latency_seconds_count", "vllm:request_success_total"),
		models:     label{"vllm:num_requests_running", "model_name"},
		unless: doubt{
			"vllm:engine_sleep_state",
			labels{"sleep_state": "awake"}, "the model sleeps, and what waits for it meanwhile is in no gauge",
		},
	},
	{
		name:       "SGLang",
		running:    of("sglang:num_running_reqs"),
		queued:     of("sglang:num_queue_reqs"),
		cache:      of("sglang:token_usage"),
		response:   of(histogram("sglang:e2e_request_latency_seconds", seconds)),
		firstToken: of(histogram("sglang:time_to_first_token_seconds", seconds)),
		requests:   of("sglang:e2e_request_latency_seconds_count", "sglang:num_requests_total"),
		models:     label{"sglang:num_running_reqs", "model_name"},
	},
	{
		name:     "TGI",
		running:  of("tgi_batch_current_size"),
		queued:   of("tgi_queue_size"),
		response: of(histogram("tgi_request_duration", seconds)),
		requests: of("tgi_request_duration_count"),
	},
	{
		name:     "TEI",
		queued:   of("te_queue_size"),
		response: of(histogram("te_request_duration", seconds)),
		requests: of("te_request_duration_count"),
	},
	{
		name:       "TensorRT-LLM", // some front ends put a colon behind the prefix
		running:    of("trtllm_num_requests_running", "trtllm:num_requests_running"),
		queued:     of("trtllm_num_requests_waiting", "trtllm:num_requests_waiting"),
		cache:      of("trtllm_kv_cache_utilization", "trtllm:kv_cache_utilization"),
		response:   of(histogram("trtllm_e2e_request_latency_seconds", seconds), histogram("trtllm:e2e_request_latency_seconds", seconds)),
		firstToken: of(histogram("trtllm_time_to_first_token_seconds", seconds), histogram("trtllm:time_to_first_token_seconds", seconds)),
		requests:   of("trtllm_e2e_request_latency_seconds_count", "trtllm:e2e_request_latency_seconds_count"),
		models:     label{"trtllm_num_requests_running", "model_name"},
	},
	{
		name: "llama.cpp", version: "b11549", // it shows no cache any more, and no time that a request took
		running: of("llamacpp:requests_processing"),
		queued:  of("llamacpp:requests_deferred"),
		cache:   of("llamacpp:kv_cache_usage_ratio"), // until 2025
	},
	{
		// Times are those of its proxy: a request that goes through several deployments is one there.
		name: "Ray Serve", version: "2.60.0",
		running:    of("ray_serve_replica_processing_queries"),
		queued:     of("ray_serve_deployment_queued_queries"),
		cache:      of("ray_vllm_kv_cache_usage_perc", "ray_vllm:kv_cache_usage_perc"),
		response:   of(histogram("ray_serve_http_request_latency_ms", milliseconds), histogram("ray_serve_deployment_processing_latency_ms", milliseconds)),
		firstToken: of(histogram("ray_vllm_time_to_first_token_seconds", seconds), histogram("ray_vllm:time_to_first_token_seconds", seconds)),
		requests:   of("ray_serve_http_request_latency_ms_count", "ray_serve_deployment_processing_latency_ms_count"),
		models:     label{"ray_serve_replica_processing_queries", "deployment"},
		leave: of(
			labels{"status_code": "499"},                    // a client that left says nothing of an answer
			labels{"status_code": "503"},                    // too full: refusals are quick, and come when answers are slow
			labels{"status_code": "404", "application": ""}, // nobody's path
		),
	},
	{
		// Its counters grow when a request ends: they do not tell an idle model from one with a long request.
		// And a model that streams counts as done while it still does, so that they are no response times
		// either; which models do is not on the page.
		name: "Triton", version: "2.51.0",
		queued:   of("nv_inference_pending_request_count"),
		requests: of("nv_inference_request_success"),
		models:   label{"nv_inference_request_success", "model"},
	},
	{
		// What runs and waits is not shown (its counters of time grow at a request's end alone). Requests are
		// counted as they come.
		name: "TorchServe", version: "0.12.0",
		response: of(average{"ts_inference_latency_microseconds", "ts_inference_requests_total", microseconds}),
		requests: of("ts_inference_requests_total"),
		models:   label{"ts_inference_requests_total", "model_name"},
	},
	{
		name: "BentoML", version: "1.4.40",
		running:  of("bentoml_service_request_in_progress"),
		response: of(histogram("bentoml_service_request_duration_seconds", seconds)),
		requests: of("bentoml_service_request_duration_seconds_count", "bentoml_service_request_total"),
		models:   label{"bentoml_service_request_in_progress", "service_name"},
		leave:    of(labels{"http_response_code": "429"}), // too full
	},
	{
		name: "MLServer", version: "1.7.1", // its page has a port of its own, 8082
		running:  of("rest_server_requests_in_progress"),
		response: of(histogram("rest_server_request_duration_seconds", seconds)),
		requests: of("model_infer_request_duration_count"), // by REST and by gRPC
		models:   label{"model_infer_request_duration_count", "model"},
		leave:    looks,
		unless:   doubt{"grpc_server_started_total", nil, "requests came by gRPC, of which what runs is in no gauge"},
	},
	{
		name: "KServe", version: "0.21.0",
		response: of(histogram("request_predict_seconds", seconds)),
		requests: of("request_predict_seconds_count"),
		models:   label{"request_predict_seconds_count", "model_name"},
	},
	{
		// What waits is in its list of models, what was answered on the page: both together are one page here.
		name: "Infinity", version: "0.0.78",
		queued: of(infinityQueue),
		models: label{infinityQueue, "model"},
	},
	{
		name: "FastAPI", version: "Infinity 0.0.78", // the instrumentator that most model servers in FastAPI have
		sign:     "http_request_duration_highr_seconds_count",
		running:  of("http_requests_inprogress"),
		response: of(histogram("http_request_duration_seconds", seconds)),
		requests: of("http_request_duration_seconds_count", "http_requests_total"),
		leave: of( // looking up what models there are is no work for one
			labels{"handler": "/models", "method": "GET"}, labels{"handler": "/models", "method": "HEAD"},
			labels{"handler": "/v1/models", "method": "GET"}, labels{"handler": "/v1/models", "method": "HEAD"},
		),
		ownToo: true,
	},
	{
		name:   "HTTP",
		ownToo: true,
		running: of(
			"http_server_active_requests", "http_requests_in_flight", "http_requests_in_progress", "http_requests_inprogress",
		),
		response: of(
			histogram("http_server_request_duration_seconds", seconds), // OpenTelemetry
			histogram("http_request_duration_seconds", seconds),        // most client libraries
			histogram("http_server_requests_seconds", seconds),         // Spring
			histogram("http_server_duration_milliseconds", milliseconds),
			histogram("http_request_duration_milliseconds", milliseconds),
		),
		requests: of(
			"http_server_request_duration_seconds_count", "http_request_duration_seconds_count", "http_server_requests_seconds_count",
			"http_server_duration_milliseconds_count", "http_request_duration_milliseconds_count",
			"http_requests_total",
		),
	},
}

// processStarted is when the process began that answers, as most client libraries show it.
const processStarted = "process_start_time_seconds"

// names are all that is looked for of a server.
func (s *server) names() []string {
	out := s.values()
	for _, name := range []string{s.sign, s.unless.name, s.models.of} {
		if name != "" {
			out = append(out, name)
		}
	}
	return out
}

// values are the names that values come from.
func (s *server) values() []string {
	out := slices.Concat(s.running, s.queued, s.cache, s.requests)
	for _, a := range slices.Concat(s.response, s.firstToken) {
		out = append(out, a.sum, a.count)
	}
	return out
}
