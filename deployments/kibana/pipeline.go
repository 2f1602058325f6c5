package main

const (
	dataset = "data_stream.dataset"
	// byBalancer leaves out the decisions: balancers pass them on, but they are the controller's.
	byBalancer = `service.name : "load-balancer"`
)

// spoolHealth says where the rest of it stands: documents cannot tell of those that never came.
const spoolHealth = `**What is missing is not here.** Records that were lost or still wait on a load balancer's disk are told by its own metrics, in Prometheus:
` + "`nemesis_lb_log_dropped_total`" + ` (lost, by why), ` + "`nemesis_lb_log_holding`" + ` (why nothing is shipped), ` + "`nemesis_lb_log_retries_total`" + `, ` + "`nemesis_lb_log_dead_letters_total`" + `
and the ` + "`nemesis_lb_log_spool_…`" + ` family. Compare the records below with ` + "`nemesis_lb_log_shipped_total`" + `.`

// pipeline answers: does every load balancer still write, and how much of the traffic is it?
func pipeline() dashboard {
	records := func() column { return count("records", "Records") }
	rate := "nemesis.sample_rate"
	return dashboard{
		page: pages[5], title: "[Nemesis] Log pipeline", description: "Whether every load balancer still writes, and which share of the requests is kept.",
		view: both, controls: []control{byHost, byApplication},
		rows: []row{
			across(6,
				shows(8, "Records", figure(both, records())),
				shows(8, "Load balancers that wrote", figure(both, distinct("hosts", "Load balancers", "host.name")).about(byBalancer)),
				shows(8, "Newest record", figure(both, latest("Newest record"))),
				shows(8, "Lowest sample rate", figure(access, minimum("rate", "Lowest sample rate", rate).as("percent", 1))).because("100 % where every request is kept."),
				says(16, spoolHealth),
			),
			across(13,
				shows(24, "Records per second, by load balancer", axes(both, bars(top(20, "host", "host.name", "Load balancer", "rate").andOthers(), times(), count("rate", "Records per second").rate())).about(byBalancer)).
					because("One that ends while the others go on has stopped shipping, or has ended."),
				shows(24, "Records per second, by stream", axes(both, areas(top(5, "stream", dataset, "Stream", "rate").andOthers(), times(), count("rate", "Records per second").rate()))),
			),
			across(12,
				shows(24, "Load balancers", table(both, top(50, "host", "host.name", "Load balancer", "records"), records(),
					count("requests", "Of requests").where(dataset+` : "nemesis.access"`), count("wakes", "Of wake-ups").where(dataset+` : "nemesis.scaling"`),
					last("version", "Version", "service.version", "string"), latest("Newest record")).about(byBalancer)).
					because("The time of its newest record is how far each has come; all of them are near to each other when none is behind."),
				shows(24, "Sampling", table(access, top(50, "application", application, "Application", "records"), top(10, "rate", rate, "Sample rate", "records").numeric(), records(),
					quotient("all", "Requests there were, about", count("", ""), average("", "", rate)).as("number", 0))).
					because("What failed or waited for a wake-up is always kept, and so stands at 1."),
			),
		},
	}
}
