package main

const (
	isWakeUp    = `event.action : "wakeup"`
	startCalled = "nemesis.wakeup.start_called.ms"
	started     = "nemesis.wakeup.start_answered.ms"
	firstProbe  = "nemesis.wakeup.first_good_probe.ms"
	firstByte   = "nemesis.wakeup.first_byte.ms"
	outcome     = "nemesis.wakeup.outcome"
	waited      = `nemesis.wakeup.id : *`
)

var wakeUps = search{
	id: "nemesis-wake-up-list", title: "Wake-ups, newest first", description: "The id is the trace of the request that began it.",
	view: scaling, where: isWakeUp,
	columns: []string{application, outcome, "nemesis.wakeup.waited", startCalled, started, firstProbe, firstByte, pod, "nemesis.wakeup.id"},
}

// wakeUpsDashboard answers: how often do applications wake, how long does each part of it take, and
// what do clients feel of it?
func wakeUpsDashboard() dashboard {
	wakes := func() column { return count("wakes", "Wake-ups") }
	return dashboard{
		page: pages[1], title: "[Nemesis] Wake-ups", description: "How often applications wake, where the time goes, and what clients feel of it.",
		view: scaling, controls: []control{byApplication, byNamespace, byHost},
		rows: []row{
			across(6,
				shows(8, "Wake-ups", figure(scaling, wakes()).about(isWakeUp)),
				shows(8, "Answered", figure(scaling, share("answered", "Answered", count("", "").where(outcome+` : "answered"`), count("", ""))).about(isWakeUp)),
				shows(8, "First byte, median", figure(scaling, median("p50", "First byte, median", firstByte)).about(isWakeUp)),
				shows(8, "First byte, 95th percentile", figure(scaling, percentile("p95", "First byte, 95th percentile", firstByte, 95)).about(isWakeUp)),
				shows(8, "Requests that waited", figure(scaling, sum("waited", "Requests that waited", "nemesis.wakeup.waited")).about(isWakeUp)),
				shows(8, "Longest wait of a request", figure(access, maximum("longest", "Longest wait", waiting)).about(waited)),
			),
			across(13,
				shows(24, "Wake-ups, by outcome", axes(scaling, bars(top(3, "outcome", outcome, "Outcome", "wakes").andOthers(), times(), wakes())).about(isWakeUp)),
				shows(24, "Wake-ups, by application", axes(scaling, bars(top(10, "application", application, "Application", "wakes").andOthers(), times(), wakes())).about(isWakeUp)),
			),
			across(13,
				shows(24, "How far after the arrival, median", axes(scaling, line(times(), median("called", "Start was called", startCalled), median("answered", "Start was answered", started),
					median("probe", "First good probe", firstProbe), median("byte", "First byte", firstByte))).about(isWakeUp)).
					because("Each from the arrival of the first request: the gap between two lines is what one phase takes."),
				shows(24, "First byte, slowest by application", axes(scaling, lying(top(10, "application", application, "Application", "max"),
					maximum("max", "Slowest", firstByte), median("p50", "Median", firstByte))).about(isWakeUp)),
			),
			across(12, shows(48, "Phases, by application", table(scaling, top(50, "application", application, "Application", "wakes"), wakes(),
				count("failures", "Failed").where(outcome+` : "failed"`),
				median("called", "Start called, median", startCalled), median("answered", "Start answered, median", started),
				median("probe", "First good probe, median", firstProbe), percentile("probe95", "95 %", firstProbe, 95),
				median("byte", "First byte, median", firstByte), percentile("byte95", "95 %", firstByte, 95),
				sum("waited", "Requests that waited", "nemesis.wakeup.waited"), latest("Last")).about(isWakeUp)).
				because("From the arrival of the first request.")),
			across(13,
				shows(24, "Time in the waiting room", axes(access, line(times(), percentile("p50", "50 %", waiting, 50), percentile("p95", "95 %", waiting, 95),
					maximum("max", "Longest", waiting))).about(waited)).because("Of each request that waited for a wake-up."),
				shows(24, "Requests that waited, by how long", axes(access, bars(ranges("wait", waiting, "Wait in ms", 0, 500, 1000, 2500, 5000, 10000, 30000, 60000), requests())).about(waited)),
			),
			across(14, lists(48, wakeUps)),
		},
	}
}
