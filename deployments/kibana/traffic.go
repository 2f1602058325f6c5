package main

// failed is what a request is that was answered with 5xx or not to the end; clients' own faults
// (4xx, gone before the answer) are none of the application.
const failed = `http.response.status_code >= 500 or error.type : "cut-off"`

// The fields that many panels show.
const (
	application = "nemesis.application"
	pod         = "kubernetes.pod.name"
	latency     = "nemesis.latency.ms"
	upstream    = "nemesis.upstream.ms"
	waiting     = "nemesis.wait.ms"
	status      = "http.response.status_code"
	sent        = "http.response.body.bytes"
)

func requests() column { return count("requests", "Requests") }

func perSecond() column { return count("rate", "Requests per second").rate() }

func failureShare() column {
	return share("failed", "Failed", count("", "").where(failed), count("", ""))
}

func statusClasses() column {
	return classes("class", "Status",
		class{"2xx", status + " >= 200 and " + status + " < 300"}, class{"3xx", status + " >= 300 and " + status + " < 400"},
		class{"4xx", status + " >= 400 and " + status + " < 500"}, class{"5xx", status + " >= 500"})
}

// traffic answers: how much, how well, how fast; of which application, pod and policy?
func traffic() dashboard {
	byLoad := func(size int, id, field, label string) column { return top(size, id, field, label, "requests") }
	return dashboard{
		page: pages[0], title: "[Nemesis] Traffic", description: "How much is asked, how much of it fails, and how fast it is answered.",
		view: access, controls: []control{byApplication, byNamespace, byStatus, byHost},
		rows: []row{
			across(6,
				shows(8, "Requests", figure(access, requests())),
				shows(8, "Failed", figure(access, failureShare())).because("Answered with 5xx, or cut off."),
				shows(8, "Latency, median", figure(access, median("p50", "Latency, median", latency))),
				shows(8, "Latency, 95th percentile", figure(access, percentile("p95", "Latency, 95th percentile", latency, 95))),
				shows(8, "Latency, 99th percentile", figure(access, percentile("p99", "Latency, 99th percentile", latency, 99))),
				shows(8, "Bytes sent", figure(access, sum("bytes", "Bytes sent", sent))),
			),
			across(13,
				shows(24, "Requests per second, by status", axes(access, bars(statusClasses(), times(), perSecond()))),
				shows(24, "Requests per second, by application", axes(access, areas(top(10, "application", application, "Application", "rate").andOthers(), times(), perSecond()))),
			),
			across(13,
				shows(24, "Latency", axes(access, line(times(),
					percentile("p50", "50 %", latency, 50), percentile("p95", "95 %", latency, 95), percentile("p99", "99 %", latency, 99)))).
					because("From the request's arrival to the answer's end, waiting for a wake-up included."),
				shows(24, "Failed", axes(access, line(top(5, "application", application, "Application", mostRecords), times(), failureShare()))).
					because("The share of requests that were answered with 5xx or cut off."),
			),
			across(13,
				shows(24, "Latency, how often", heat(access, times(), ranges("latency", latency, "Latency in ms", 0, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000), requests())).
					because("Two bands, one fast and one slow, are what a percentile hides."),
				shows(24, "Time on the pod, 95th percentile, by pod", axes(access, line(top(10, "pod", pod, "Pod", mostRecords), times(),
					percentile("p95", "95 %", upstream, 95)))),
			),
			across(12, shows(48, "Applications", table(access, byLoad(50, "application", application, "Application"), requests(), failureShare(),
				median("p50", "Median", latency), percentile("p95", "95 %", latency, 95), percentile("p99", "99 %", latency, 99),
				percentile("first", "First byte, 95 %", "nemesis.time_to_first_byte.ms", 95), maximum("wait", "Longest wait", waiting), sum("bytes", "Bytes sent", sent)))),
			across(12,
				shows(26, "Pods", table(access, byLoad(50, "pod", pod, "Pod"), requests(), failureShare(),
					median("p50", "On the pod, median", upstream), percentile("p95", "95 %", upstream, 95), latest("Last request"))),
				shows(22, "Why this pod", table(access, byLoad(10, "policy", "nemesis.policy", "Reason"), requests(), failureShare(),
					percentile("p95", "On the pod, 95 %", upstream, 95), average("tries", "Tries", "nemesis.tries").as("number", 2))).
					because("What the balancing policy said for its choice."),
			),
			across(12,
				shows(24, "Language models", table(access, byLoad(20, "model", "gen_ai.response.model", "Model"), requests(),
					sum("in", "Tokens in", "gen_ai.usage.input_tokens"), sum("out", "Tokens out", "gen_ai.usage.output_tokens"),
					percentile("first", "First byte, 95 %", "nemesis.time_to_first_byte.ms", 95))).
					because("Of the answers that tell their model."),
				shows(24, "Tokens per second", axes(access, areas(times(),
					sum("in", "In", "gen_ai.usage.input_tokens").rate(), sum("out", "Out", "gen_ai.usage.output_tokens").rate()))),
			),
		},
	}
}
