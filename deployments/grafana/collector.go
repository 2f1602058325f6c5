package main

// collectors shows the metrics-collectors. There is one on each node, so it names only the worst.
func collectors() *builder {
	b := board("nemesis-collectors", "Metrics collectors", "Whether what sidecars measure reaches the controller where a collector gathers it on each node.", "metrics-collector")
	section(b, "Pushes",
		figure("Collectors", "", count, 0, `count(nemesis_build_info{@,service="metrics-collector"})`),
		figure("Cut off", "From which the controller has taken nothing for a minute.", count, 1, `sum(nemesis_collector_controller_away_seconds{@} > bool 60)`),
		figure("Pods waiting", "Whose last push waits for the next batch.", count, 0, `sum(nemesis_collector_waiting{@})`),
		figure("Connections", "Of sidecars and others.", count, 0, `sum(nemesis_collector_connections_open{@})`),
		figure("Pushes a second", "That were taken.", perSecond, 0, `sum(rate(nemesis_collector_pushes_total{@,result="accepted"}$rate))`),
		figure("Batches a second", "", perSecond, 0, `sum(rate(nemesis_collector_batches_total{@}$rate))`),
		lines("Pushes", "crowded-out: more pods push than are kept; expired: the controller did not take them in time; superseded: a newer one came first.", perSecond, query{`sum by (result) (rate(nemesis_collector_pushes_total{@}$rate))`, "{{result}}"}),
		lines("Batches", "", perSecond, query{`sum by (result) (rate(nemesis_collector_batches_total{@}$rate))`, "{{result}}"}),
		lines("Tokens of sidecars", "refused: not good; failed: the issuer's keys are not known.", perSecond, query{`sum by (outcome) (rate(nemesis_collector_tokens_total{@}$rate))`, "{{outcome}}"}),
		lines("Refused by the controller", "Exchanges in which it did not take a collector's token (401) or did not let it (403).", perSecond, query{`sum by (status) (rate(nemesis_token_refusals_total{@}$rate))`, "{{status}}"}),
		lines("Longest silence of the controller", "", seconds, query{`max(nemesis_collector_controller_away_seconds{@})`, "the longest"}),
	)
	section(b, "Collectors: the ten of which there is most",
		bars("Cut off for", "", seconds, `topk(`+most+`, nemesis_collector_controller_away_seconds{@} > 0)`, "{{instance}}"),
		bars("Pods waiting", "", count, `topk(`+most+`, nemesis_collector_waiting{@} > 0)`, "{{instance}}"),
		bars("Memory", "Resident.", inBytes, `topk(`+most+`, process_resident_memory_bytes{@} * on (job, instance) group_left () nemesis_build_info{@,service="metrics-collector"})`, "{{instance}}"),
	)
	return b
}
