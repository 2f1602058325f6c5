package main

const traceID = "trace.id"

var failedRequests = search{
	id: "nemesis-failed-requests", title: "Failed requests, newest first", description: "The trace id leads to the trace.",
	view: access, where: failed,
	columns: []string{application, status, "error.type", "http.request.method", "url.path", "nemesis.target", latency, "error.message", traceID},
}

// failures answers: what fails, where, since when; and which trace shows it?
func failures() dashboard {
	errors := func() column { return count("errors", "Failed requests") }
	byErrors := func(size int, id, field, label string) column { return top(size, id, field, label, "errors") }
	kind := func(where string) column { return errors().where(where) }
	return dashboard{
		page: pages[4], title: "[Nemesis] Errors", description: "What fails, where and since when, down to the trace of one request.",
		view: access, controls: []control{byApplication, byNamespace, byStatus, byHost},
		rows: []row{
			across(6,
				shows(8, "Failed requests", figure(access, errors()).about(failed)).because("Answered with 5xx, or cut off."),
				shows(8, "Of all", figure(access, failureShare())),
				shows(8, "Refused by Nemesis", figure(access, kind("nemesis.refusal : *"))).because("No pod came in time, the room was full, no route, and the like: see the column Error."),
				shows(8, "5xx of applications", figure(access, kind(status+" >= 500 and not nemesis.refusal : *"))),
				shows(8, "Cut off", figure(access, kind(`error.type : "cut-off"`))).because("The answer is not whole."),
				shows(8, "Clients that left", figure(access, kind(`error.type : "client-gone"`))).because("They ended it before there was an answer; none of the failures."),
			),
			across(13,
				shows(24, "Failed requests, by status", axes(access, bars(byErrors(8, "status", status, "Status").numeric().andOthers(), times(), errors())).about(failed)),
				shows(24, "Failed requests, by error", axes(access, bars(byErrors(10, "error", "error.type", "Error").andOthers(), times(), errors())).about(failed)),
			),
			across(12,
				shows(26, "Where", table(access, byErrors(20, "application", application, "Application"), byErrors(10, "status", status, "Status").numeric(), byErrors(5, "error", "error.type", "Error"),
					errors(), latest("Last")).about(failed+" or nemesis.refusal : *")).because("Only requests that tell an error."),
				shows(22, "Pods", table(access, byErrors(30, "pod", pod, "Pod"), errors(), average("tries", "Tries", "nemesis.tries").as("number", 2), last("status", "Last status", status, "number"), latest("Last")).about(failed)),
			),
			across(12,
				shows(26, "Traces of failed requests", table(access, top(50, "trace", traceID, "Trace", "last"), latest("Time"), last("application", "Application", application, "string"),
					last("status", "Status", status, "number"), last("path", "Path", "url.path", "string"), last("error", "Error", "error.type", "string"), maximum("took", "Latency", latency)).about(failed)).because("The newest; a click on the id opens the trace."),
				shows(22, "Paths", table(access, byErrors(30, "path", "url.path", "Path"), errors(), percentile("p95", "Latency, 95 %", latency, 95), distinct("clients", "Clients", "client.address")).about(failed)),
			),
			across(14, lists(48, failedRequests)),
		},
	}
}
