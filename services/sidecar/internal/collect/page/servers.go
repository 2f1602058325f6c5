package page

import "github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"

// server is one kind of server: under which names it shows what we want to know. Where it changed a
// name, the newer one comes first. Names of histograms stand without their _sum and _count.
type server struct {
	name   string
	gauges map[pod.Kind][]string
	means  map[pod.Kind][]mean
	counts []string // counters of answers
	busy   map[pod.Kind][]busy
	// countsPage: the request for the page is in progress like any other.
	countsPage bool
}

// mean is a sum and the number of what was summed; sum times unit is milliseconds.
type mean struct {
	sum, count string
	unit       float64
}

// busy is a counter of time spent by all requests together: its growth per time is the mean number of
// requests that spent it (Little's law). The counter times unit is milliseconds.
type busy struct {
	counter string
	unit    float64
}

// Units, in milliseconds.
const (
	seconds      = 1000
	milliseconds = 1
	microseconds = 0.001
)

func histogram(name string, unit float64) mean {
	return mean{sum: name + "_sum", count: name + "_count", unit: unit}
}

// servers are those that are known. Each value is taken from the first one that shows it, so that a
// server inside another (vLLM in Triton or Ray) comes before it; what any web server may show comes
// last.
var servers = []server{
	{
		name: "vLLM",
		gauges: map[pod.Kind][]string{
			pod.Queued:     {"vllm:num_requests_waiting"},
			pod.InFlight:   {"vllm:num_requests_running"},
			pod.CacheUsage: {"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"},
		},
		means: map[pod.Kind][]mean{
			pod.ResponseTime:     {histogram("vllm:e2e_request_latency_seconds", seconds)},
			pod.TimeToFirstToken: {histogram("vllm:time_to_first_token_seconds", seconds)},
		},
		counts: []string{"vllm:e2e_request_latency_seconds_count", "vllm:request_success_total"},
	},
	{
		name: "SGLang",
		gauges: map[pod.Kind][]string{
			pod.Queued:     {"sglang:num_queue_reqs"},
			pod.InFlight:   {"sglang:num_running_reqs"},
			pod.CacheUsage: {"sglang:token_usage"},
		},
		means: map[pod.Kind][]mean{
			pod.ResponseTime:     {histogram("sglang:e2e_request_latency_seconds", seconds)},
			pod.TimeToFirstToken: {histogram("sglang:time_to_first_token_seconds", seconds)},
		},
		counts: []string{"sglang:e2e_request_latency_seconds_count", "sglang:num_requests_total"},
	},
	{
		name: "TGI",
		gauges: map[pod.Kind][]string{
			pod.Queued:   {"tgi_queue_size"},
			pod.InFlight: {"tgi_batch_current_size"},
		},
		means:  map[pod.Kind][]mean{pod.ResponseTime: {histogram("tgi_request_duration", seconds)}},
		counts: []string{"tgi_request_duration_count"},
	},
	{
		name: "TensorRT-LLM", // some front ends put a colon behind the prefix
		gauges: map[pod.Kind][]string{
			pod.Queued:     {"trtllm_num_requests_waiting", "trtllm:num_requests_waiting"},
			pod.InFlight:   {"trtllm_num_requests_running", "trtllm:num_requests_running"},
			pod.CacheUsage: {"trtllm_kv_cache_utilization", "trtllm:kv_cache_utilization"},
		},
		means: map[pod.Kind][]mean{
			pod.ResponseTime: {
				histogram("trtllm_e2e_request_latency_seconds", seconds), histogram("trtllm:e2e_request_latency_seconds", seconds),
			},
			pod.TimeToFirstToken: {
				histogram("trtllm_time_to_first_token_seconds", seconds), histogram("trtllm:time_to_first_token_seconds", seconds),
			},
		},
		counts: []string{"trtllm_e2e_request_latency_seconds_count", "trtllm:e2e_request_latency_seconds_count"},
	},
	{
		name: "llama.cpp",
		gauges: map[pod.Kind][]string{
			pod.Queued:     {"llamacpp:requests_deferred"},
			pod.InFlight:   {"llamacpp:requests_processing"},
			pod.CacheUsage: {"llamacpp:kv_cache_usage_ratio"},
		},
	},
	{
		name: "Ray Serve",
		gauges: map[pod.Kind][]string{
			pod.Queued:   {"ray_serve_deployment_queued_queries"},
			pod.InFlight: {"ray_serve_replica_processing_queries"},
		},
		means:  map[pod.Kind][]mean{pod.ResponseTime: {histogram("ray_serve_deployment_processing_latency_ms", milliseconds)}},
		counts: []string{"ray_serve_deployment_processing_latency_ms_count"},
	},
	{
		name:   "Triton",
		gauges: map[pod.Kind][]string{pod.Queued: {"nv_inference_pending_request_count"}},
		means: map[pod.Kind][]mean{
			pod.ResponseTime: {{"nv_inference_request_duration_us", "nv_inference_request_success", microseconds}},
		},
		counts: []string{"nv_inference_request_success"},
		busy: map[pod.Kind][]busy{
			pod.Queued:   {{"nv_inference_queue_duration_us", microseconds}},
			pod.InFlight: {{"nv_inference_request_duration_us", microseconds}},
		},
	},
	{
		name: "TorchServe",
		means: map[pod.Kind][]mean{
			pod.ResponseTime: {{"ts_inference_latency_microseconds", "ts_inference_requests_total", microseconds}},
		},
		counts: []string{"ts_inference_requests_total"},
		busy: map[pod.Kind][]busy{
			pod.Queued:   {{"ts_queue_latency_microseconds", microseconds}},
			pod.InFlight: {{"ts_inference_latency_microseconds", microseconds}},
		},
	},
	{
		name:       "HTTP",
		countsPage: true,
		gauges: map[pod.Kind][]string{
			pod.InFlight: {"http_server_active_requests", "http_requests_in_flight", "http_requests_in_progress", "http_requests_inprogress"},
		},
		means: map[pod.Kind][]mean{
			pod.ResponseTime: {
				histogram("http_server_request_duration_seconds", seconds), // OpenTelemetry
				histogram("http_request_duration_seconds", seconds),        // most client libraries
				histogram("http_server_requests_seconds", seconds),         // Spring
				histogram("http_server_duration_milliseconds", milliseconds),
				histogram("http_request_duration_milliseconds", milliseconds),
			},
		},
		counts: []string{
			"http_server_request_duration_seconds_count", "http_request_duration_seconds_count", "http_server_requests_seconds_count",
			"http_server_duration_milliseconds_count", "http_request_duration_milliseconds_count",
			"http_requests_total",
		},
	},
}

// known are the names of all samples that are looked for.
var known = func() map[string]bool {
	names := map[string]bool{}
	for _, s := range servers {
		for _, list := range s.gauges {
			for _, name := range list {
				names[name] = true
			}
		}
		for _, list := range s.means {
			for _, m := range list {
				names[m.sum], names[m.count] = true, true
			}
		}
		for _, name := range s.counts {
			names[name] = true
		}
		for _, list := range s.busy {
			for _, b := range list {
				names[b.counter] = true
			}
		}
	}
	return names
}()
