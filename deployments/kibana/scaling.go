package main

const (
	isDecision = `event.action : "decision"`
	applied    = `nemesis.decision.applied : true`
	trigger    = "nemesis.decision.trigger"
	replicas   = "nemesis.replicas"
)

var decisions = search{
	id: "nemesis-decision-list", title: "Decisions, newest first", description: "Open one to read all of its reasons.",
	view: scaling, where: isDecision,
	columns: []string{application, "nemesis.decision.result", trigger, "nemesis.decision.from", "nemesis.decision.to", "nemesis.decision.summary", "nemesis.decision.rules", "trace.id"},
}

// scalingDashboard answers: how many replicas were there, and why?
func scalingDashboard() dashboard {
	made := func() column { return count("decisions", "Decisions") }
	return dashboard{
		page: pages[2], title: "[Nemesis] Scaling", description: "Replicas over time, with the decisions that changed them and those that were held.",
		view: scaling, controls: []control{byApplication, byNamespace},
		rows: []row{
			across(6,
				shows(8, "Decisions", figure(scaling, made()).about(isDecision)),
				shows(8, "Applied", figure(scaling, count("applied", "Applied").where(applied)).about(isDecision)),
				shows(8, "Held", figure(scaling, count("held", "Held").where(`nemesis.decision.result : "held"`)).about(isDecision)).
					because("A clamp, a window or a missing value kept the count as it was."),
				shows(8, "Failed", figure(scaling, count("failed", "Failed").where(`nemesis.decision.result : "failed"`)).about(isDecision)).
					because("Could not be applied, and is tried again."),
				shows(8, "To zero", figure(scaling, count("zero", "To zero").where(applied+" and nemesis.decision.to : 0")).about(isDecision)),
				shows(8, "From zero", figure(scaling, count("awake", "From zero").where(applied+" and nemesis.decision.from : 0")).about(isDecision)),
			),
			across(16, shows(48, "Replicas, and decisions", axes(scaling,
				line(top(10, "application", application, "Application", mostRecords), times(), last("replicas", "Replicas", replicas, "number").where(applied)),
				bars(classes("kind", "Decision", class{"Changed", applied + " and nemesis.replicas > 0"},
					class{"To zero", applied + " and nemesis.replicas : 0"}, class{"Held", `nemesis.decision.result : "held"`}, class{"Failed", `nemesis.decision.result : "failed"`}), times(), made()).onTheRight(),
			).held().about(isDecision)).because("The count that was set last, and on the right axis how many decisions there were.")),
			across(13,
				shows(24, "What asked for it", axes(scaling, bars(top(8, "trigger", trigger, "Trigger", "decisions").andOthers(), times(), made())).about(isDecision)),
				shows(12, "Results", ring(scaling, top(5, "result", "nemesis.decision.result", "Result", "decisions"), made()).about(isDecision)),
				shows(12, "Rules that had a say", axes(scaling, lying(top(10, "rule", "nemesis.decision.rules", "Rule", "decisions"), made())).about(isDecision)),
			),
			across(12, shows(48, "Applications", table(scaling, top(50, "application", application, "Application", "decisions"), made(),
				count("applied", "Applied").where(applied), count("held", "Held").where(`nemesis.decision.result : "held"`), count("failed", "Failed").where(`nemesis.decision.result : "failed"`),
				last("now", "Replicas set last", replicas, "number").where(applied), minimum("least", "Least", replicas).where(applied), maximum("most", "Most", replicas).where(applied),
				last("trigger", "Last trigger", trigger, "string"), latest("Last decision")).about(isDecision))),
			across(14, lists(48, decisions)),
		},
	}
}
