package main

// balancer shows what clients get. Sums, and of applications those ten of which there is most.
func balancer() *builder {
	b := board("nemesis-load-balancer", "Load balancer", "What clients get: requests, waiting, wake-ups, pods; and what carries it: connections, the controller, the log.", "load-balancer")

	section(b, "At a glance",
		figure("Requests a second", "", perSecond, 0, `sum(rate(nemesis_lb_requests_total{@}$rate))`),
		figure("Answered 5xx", "Of all requests that ended.", share, 0.05, `sum(rate(nemesis_lb_requests_total{@,code="5xx"}$rate)) / (sum(rate(nemesis_lb_requests_total{@}$rate)) > 0) or vector(0)`),
		figure("On pods now", "Streams included.", count, 0, `sum(nemesis_lb_in_flight{@})`),
		figure("Waiting now", "For an application to wake up, or for a free slot.", count, 0, `sum(nemesis_lb_waiting{@})`),
		figure("Usable pods", "Pods that requests are sent to, as the load balancer has them that knows most.", count, 0, `max(sum by (instance) (nemesis_lb_endpoints{@,usable="true"}))`),
		figure("Cut off from the controller", "Load balancers that do not reach it: what sleeps is not started.", count, 1, `sum(1 - nemesis_lb_controller_connected{@})`),
	)
	section(b, "Requests",
		lines("Requests by status", "gone: the client left first.", perSecond, query{`sum by (code) (rate(nemesis_lb_requests_total{@}$rate))`, "{{code}}"}),
		lines("Duration", "From a request's arrival to its answer's last byte: streams and waiting included.", seconds, quantiles("nemesis_lb_request_duration_seconds", "", "", "0.50", "0.90", "0.99")...),
		lines("Under way", "", count, query{`sum(nemesis_lb_in_flight{@})`, "on pods"}, query{`sum(nemesis_lb_streaming{@})`, "streaming"}, query{`sum(nemesis_lb_waiting{@})`, "waiting"}),
		lines("Refused, by reason", "Requests that never reached a pod.", perSecond, query{`sum by (reason) (rate(nemesis_lb_rejected_total{@}$rate))`, "{{reason}}"}),
		lines("Broken on the pod's side", "", perSecond, query{`sum by (kind) (rate(nemesis_lb_upstream_failures_total{@}$rate))`, "{{kind}}"}, query{`sum(rate(nemesis_lb_retries_total{@}$rate))`, "sent to another pod"}),
		lines("No traffic", "Requests that do not count (uncountedRequests), by who answered.", perSecond, query{`sum by (answer) (rate(nemesis_lb_uncounted_requests_total{@}$rate))`, "{{answer}}"}),
	)
	section(b, "Waiting and wake-ups",
		lines("Wake-ups", "", perSecond, query{`sum by (outcome) (rate(nemesis_lb_wakeups_total{@}$rate))`, "{{outcome}}"}),
		lines("Duration of wake-ups", "From the arrival that woke an application to the answer's first byte.", seconds, quantiles("nemesis_lb_wakeup_duration_seconds", "", "", "0.50", "0.90")...),
		lines("Start calls", "refused: the controller will not start it, and says why.", perSecond, query{`sum by (result) (rate(nemesis_lb_start_calls_total{@}$rate))`, "{{result}}"}),
		lines("In waiting rooms", "", count, query{`sum by (instance) (nemesis_lb_waiting{@})`, "{{instance}}"}),
		lines("Time in waiting rooms", "Of those who were there at all.", seconds, quantiles("nemesis_lb_waiting_seconds", "", "", "0.50", "0.90", "0.99")...),
		lines("Memory that they hold", "", inBytes, query{`sum by (instance) (nemesis_lb_waiting_bytes{@})`, "{{instance}}"}),
	)
	section(b, "Applications: the ten of which there is most",
		top("Requests", "A second, over the last five minutes.", perSecond, byApplication+`(rate(nemesis_lb_requests_total{@}[5m]))`),
		top("Waiting now", "", count, byApplication+`(nemesis_lb_waiting{@})`),
		top("On pods now", "", count, byApplication+`(nemesis_lb_in_flight{@})`),
		top("Answered 5xx", "A second, over the last five minutes.", perSecond, byApplication+`(rate(nemesis_lb_requests_total{@,code="5xx"}[5m]))`),
		top("Refused", "In the last hour.", count, byApplication+lastHour(`nemesis_lb_rejected_total{@,deployment!=""}`)),
		top("Woken", "In the last hour.", count, byApplication+lastHour(`nemesis_lb_wakeups_total{@}`)),
	)
	section(b, "Pods and slots",
		lines("Pods", "As the load balancer has them that knows most.", count, query{`max by (usable) (sum by (instance, usable) (nemesis_lb_endpoints{@}))`, "usable: {{usable}}"}),
		lines("Readiness checks", "Those that load balancers make themselves.", perSecond, query{`sum by (result) (rate(nemesis_lb_probes_total{@}$rate))`, "{{result}}"}),
		lines("Slots of limited pods", "Lent to other load balancers; expired a second: came to rest because their holder had gone.", count,
			query{`sum(nemesis_lb_slots_lent{@})`, "lent"}, query{`sum(nemesis_lb_slots_lender{@})`, "applications whose slots are lent"}, query{`sum(rate(nemesis_lb_slots_expired_total{@}$rate))`, "expired a second"}),
	)
	section(b, "Connections, controller, peers",
		lines("Client connections", "The limit is of each load balancer.", count, query{`nemesis_lb_connections{@}`, "{{instance}}"}, query{`min(nemesis_lb_connections_max{@})`, "limit"}),
		lines("Connections refused", "Beyond the limit, and for their PROXY header.", perSecond,
			query{`sum by (how) (rate(nemesis_lb_connections_refused_total{@}$rate))`, "limit: {{how}}"}, query{`sum by (reason) (rate(nemesis_lb_proxy_headers_refused_total{@}$rate))`, "PROXY header: {{reason}}"}),
		lines("Faults", "Faults of the load balancer that ended an exchange. Each has a stack in the log.", perSecond, query{`sum by (instance) (rate(nemesis_lb_faults_total{@}$rate))`, "{{instance}}"}),
		lines("Exchanges with the controller", "", perSecond, query{`sum by (operation, result) (rate(nemesis_lb_controller_exchanges_total{@}$rate))`, "{{operation}} {{result}}"}),
		lines("Exchanges with other load balancers", "About slots.", perSecond, query{`sum by (result) (rate(nemesis_lb_peer_exchanges_total{@}$rate))`, "{{result}}"}),
		lines("Callers that are not served", "Of the admin port: unauthenticated, forbidden, or nobody could judge them. Peers: whose tokens were not good.", perSecond,
			query{`sum by (judgement) (rate(nemesis_lb_admin_calls_total{@,judgement!="allowed"}$rate))`, "{{judgement}}"},
			query{`sum by (outcome) (rate(nemesis_lb_peer_tokens_total{@,outcome=~"refused|failed|gone"}$rate))`, "peers: {{outcome}}"}),
		lines("Refused by others", "Exchanges in which the controller, or another load balancer, did not take a load balancer's token (401) or did not let it (403).", perSecond,
			query{`sum by (status) (rate(nemesis_token_refusals_total{@}$rate))`, "{{status}}"}),
		bars("Without a token, or serving callers without one", "Each should be gone once a rollout is through.", count,
			`count by (instance) (nemesis_token_sent{@} == 0 or nemesis_authentication_required{@} == 0)`, "{{instance}}"),
		lines("Let in without a token", "While authentication is optional.", perSecond, query{`sum by (instance) (rate(nemesis_calls_without_token_total{@}$rate))`, "{{instance}}"}),
		bars("Days that certificates are good for", "", count, `min by (file) (nemesis_lb_certificate_expiry_timestamp_seconds{@} - time()) / 86400`, "{{file}}"),
		lines("Certificates that changed", "refused: what is on the disk cannot be used; the one before stays in use.", perSecond, query{`sum by (result) (rate(nemesis_lb_certificate_reloads_total{@}$rate))`, "{{result}}"}),
		bars("Load balancers by version", "", count, `count by (version) (nemesis_build_info{@,service="load-balancer"})`, "{{version}}"),
	)
	section(b, "Log",
		lines("Shipped", "Entries that Elasticsearch has taken, and those that were there already.", perSecond,
			query{`sum(rate(nemesis_lb_log_shipped_total{@}$rate))`, "taken"}, query{`sum(rate(nemesis_lb_log_duplicates_total{@}$rate))`, "there already"}),
		lines("Age of the oldest entry that is not shipped", "", seconds, query{`max by (instance) (nemesis_lb_log_unshipped_age_seconds{@})`, "{{instance}}"}),
		lines("Room of the spool that is used", "By what is not shipped. Full, the oldest entries are lost.", share, query{`nemesis_lb_log_unshipped_bytes{@} / nemesis_lb_log_spool_limit_bytes{@}`, "{{instance}}"}),
		lines("Lost", "By why; dead letters that could not be put aside.", perSecond,
			query{`sum by (reason) (rate(nemesis_lb_log_dropped_total{@}$rate))`, "{{reason}}"}, query{`sum(rate(nemesis_lb_log_dead_letters_lost_total{@}$rate))`, "dead letters"}),
		lines("Refused or sent again", "", perSecond, query{`sum(rate(nemesis_lb_log_dead_letters_total{@}$rate))`, "refused by Elasticsearch"}, query{`sum by (reason) (rate(nemesis_lb_log_retries_total{@}$rate))`, "again: {{reason}}"}),
		lines("Held", "1 for each load balancer and the reason why it ships nothing now, or cannot write to its disk.", count,
			query{`sum by (reason) (nemesis_lb_log_holding{@})`, "{{reason}}"}, query{`sum(nemesis_lb_log_spool_failing{@})`, "disk"}),
		lines("Bulk requests", "", seconds, quantiles("nemesis_lb_log_bulk_duration_seconds", "", "", "0.50", "0.99")...),
		lines("Entries on the disk", "", count, query{`sum by (instance) (nemesis_lb_log_spool_records{@})`, "{{instance}}"}),
		lines("Waiting for the disk", "Of the room in memory.", share, query{`nemesis_lb_log_queue_bytes{@} / nemesis_lb_log_queue_limit_bytes{@}`, "{{instance}}"}),
	)
	section(b, "Encryption", encryption()...)
	section(b, "Process", process("load-balancer")...)
	return b
}
