package main

// clients answers: who asks, and for what?
func clients() dashboard {
	byLoad := func(size int, id, field, label string) column { return top(size, id, field, label, "requests") }
	const client, path = "client.address", "url.path"
	return dashboard{
		page: pages[3], title: "[Nemesis] Clients and paths", description: "Who asks most, and for what.",
		view: access, controls: []control{byApplication, byNamespace, byStatus, byHost},
		rows: []row{
			across(6,
				shows(12, "Clients", figure(access, distinct("clients", "Clients", client))).because("Different addresses; above some thousand, an estimate."),
				shows(12, "Paths", figure(access, distinct("paths", "Paths", path))).because("Different paths; above some thousand, an estimate."),
				shows(12, "Hosts", figure(access, distinct("hosts", "Hosts", "url.domain"))),
				shows(12, "Bytes received", figure(access, sum("bytes", "Bytes received", "http.request.body.bytes"))),
			),
			across(13,
				shows(30, "Requests per second, by client", axes(access, areas(top(10, "client", client, "Client", "rate").andOthers(), times(), perSecond()))),
				shows(18, "Methods", ring(access, byLoad(8, "method", "http.request.method", "Method"), requests())),
			),
			across(14,
				shows(24, "Clients", table(access, byLoad(100, "client", client, "Client"), requests(), failureShare(),
					share("refused", "4xx", count("", "").where(status+" >= 400 and "+status+" < 500"), count("", "")),
					percentile("p95", "Latency, 95 %", latency, 95), sum("bytes", "Bytes sent", sent), latest("Last request"))),
				shows(24, "Paths", table(access, byLoad(100, "path", path, "Path"), requests(), failureShare(),
					median("p50", "Latency, median", latency), percentile("p95", "95 %", latency, 95), sum("bytes", "Bytes sent", sent))),
			),
			across(14,
				shows(16, "Paths that take longest", axes(access, lying(top(10, "path", path, "Path", "time"), sum("time", "Time spent", latency)))).
					because("By the time that all of their requests took together."),
				shows(16, "Hosts", table(access, byLoad(50, "host", "url.domain", "Host"), requests(), failureShare(), distinct("clients", "Clients", client))),
				shows(16, "Programs", table(access, byLoad(50, "agent", "user_agent.original", "User agent"), requests(), failureShare(), distinct("clients", "Clients", client))),
			),
		},
	}
}
