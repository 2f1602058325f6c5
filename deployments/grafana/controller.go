package main

// controller shows whether what is decided is decided in time, and what is in the way. Nothing in it has a
// series for each application: there may be ten thousand.
func controller() *builder {
	b := board("nemesis-controller", "Controller", "Whether applications are started and scaled in time, and what is in the way: decisions, queues, statuses, the API server, who leads.", "autoscaler-controller")

	section(b, "At a glance",
		figure("Shards without a leader", "Their applications are neither started nor scaled. Without shards there is one shard.", count, 1, `sum(1 - max by (shard) (nemesis_shard_leader{@}))`),
		figure("Load balancers heard", "Of those whose report is fresh, as the leader has it; of several shards' leaders the one that hears fewest.", count, 0, `min(nemesis_balancers{@,report="fresh"} and on (job, instance) nemesis_leader{@} == 1)`),
		figure("Load balancers silent", "They are not gone and do not report: nothing is scaled down meanwhile.", count, 1, `max(nemesis_balancers{@,report="stale"})`),
		figure("Cannot be scaled", "Applications whose last scaling failed. The condition AbleToScale of their CustomAutoscaler says why.", count, 1, `sum(nemesis_scale_backoffs{@})`),
		figure("Decisions, p99", "From the oldest news of an application to the decision on it.", seconds, 1, `histogram_quantile(0.99, sum by (le) (rate(nemesis_decision_delay_seconds_bucket{@}$rate)))`),
		figure("Oldest news without a status", "News of a CustomAutoscaler that no status says yet.", seconds, 120, `max(nemesis_status_oldest_seconds{@})`),
	)
	section(b, "Applications and decisions",
		lines("Applications by state", "As the leaders have them; with replicas that only follow, the larger number.", count, query{`max by (state) (nemesis_applications{@})`, "{{state}}"}),
		lines("Decisions by result", "applied: scaled; held: another count was wished for, and something kept it; failed: it could not be applied.", perSecond, query{`sum by (result) (rate(nemesis_decisions_total{@}$rate))`, "{{result}}"}, query{`sum(rate(nemesis_scale_errors_total{@}$rate))`, "errors"}),
		lines("Decisions by what asked for them", "", perSecond, query{`sum by (trigger) (rate(nemesis_decisions_total{@}$rate))`, "{{trigger}}"}),
		lines("Decision delay", "From the oldest news of an application to the decision on it. Half a second is what is promised.", seconds, quantiles("nemesis_decision_delay_seconds", "", "", "0.50", "0.99")...),
		lines("Applying", "Decisions that are being applied, and those that wait for a place.", count,
			query{`sum(nemesis_applies_in_flight{@})`, "under way"}, query{`sum(nemesis_applies_waiting{@})`, "waiting"}, query{`sum(nemesis_scale_backoffs{@})`, "backing off"}),
		lines("Until a scaling has settled, p90", "From a scaling to its pods being alive (up), gone (down), or all gone (zero).", seconds, quantiles("nemesis_settle_duration_seconds", "direction", "{{direction}}", "0.90")...),
	)
	section(b, "Start calls",
		lines("Start calls", "", perSecond, query{`sum by (result) (rate(nemesis_start_call_duration_seconds_count{@}$rate))`, "{{result}}"}),
		lines("Duration", "From arrival to answer, the patch of /scale included.", seconds, quantiles("nemesis_start_call_duration_seconds", "", "", "0.50", "0.99")...),
		lines("Of the controller itself, p99", "Of start calls that scaled: neither the application's turn nor the API server's /scale.", seconds, quantiles("nemesis_start_call_own_seconds", "", "", "0.99")...),
		lines("Waiting for the application's turn, p99", "Another call or a decision had it.", seconds, quantiles("nemesis_start_call_turn_seconds", "", "", "0.99")...),
	)
	section(b, "Queues",
		lines("Depth", "Keys that wait.", count, query{`sum by (queue, shard) (nemesis_queue_depth{@})`, "{{queue}} {{shard}}"}),
		lines("Age, p99", "How long a key had waited when it was taken up.", seconds, quantiles("nemesis_queue_wait_seconds", "queue", "{{queue}}", "0.99")...),
		lines("Longest piece of work under way", "", seconds, query{`max by (queue) (nemesis_queue_longest_work_seconds{@})`, "{{queue}}"}),
		lines("Added", "At once, and for a later moment: a time that comes, or a retry.", perSecond,
			query{`sum by (queue) (rate(nemesis_queue_adds_total{@}$rate))`, "{{queue}}"}, query{`sum by (queue) (rate(nemesis_queue_delayed_adds_total{@}$rate))`, "{{queue}}, later"}),
		lines("Work on a key, p99", "Applying is done beside the queue.", seconds, quantiles("nemesis_queue_work_seconds", "queue", "{{queue}}", "0.99")...),
		lines("Work under way", "Sum of the time that keys are being worked on now.", seconds, query{`sum by (queue) (nemesis_queue_unfinished_work_seconds{@})`, "{{queue}}"}),
	)
	section(b, "Statuses and events",
		lines("Statuses", "Those that were looked at, by what became of them.", perSecond, query{`sum by (result) (rate(nemesis_status_writes_total{@}$rate))`, "{{result}}"}),
		lines("Waiting to be written", "", count, query{`sum(nemesis_status_waiting{@})`, "statuses"}, query{`sum(nemesis_events_waiting{@})`, "events"}),
		lines("Events", "Written, counted on one that stands, and dropped by why.", perSecond,
			query{`sum by (result) (rate(nemesis_events_total{@}$rate))`, "{{result}}"}, query{`sum by (reason, importance) (rate(nemesis_events_dropped_total{@}$rate))`, "dropped: {{reason}}, {{importance}}"}),
	)
	section(b, "API server",
		lines("Calls", "", perSecond, query{`sum by (method, code) (rate(nemesis_api_requests_total{@}$rate))`, "{{method}} {{code}}"}),
		lines("Duration, p99", "A watch counts until it is established.", seconds, quantiles("nemesis_api_request_duration_seconds", "verb", "{{verb}}", "0.99")...),
		lines("Waiting for the client's own limit, p99; retries", "The retries are those that the API server asked for.", seconds,
			append(quantiles("nemesis_api_rate_limiter_duration_seconds", "", "limit", "0.99"), query{`sum(rate(nemesis_api_request_retries_total{@}$rate))`, "retries a second"})...),
	)
	section(b, "What comes in",
		lines("Measurements of pods", "By who measured, and what became of them.", perSecond, query{`sum by (source, result) (rate(nemesis_pod_measurements_total{@}$rate))`, "{{source}} {{result}}"}),
		lines("Traffic reports of load balancers", "", perSecond, query{`sum by (result) (rate(nemesis_traffic_reports_total{@}$rate))`, "{{result}}"}),
		lines("Age of the oldest report", "", seconds, query{`max by (instance) (nemesis_traffic_report_age_seconds{@})`, "{{instance}}"}),
		lines("Connections, long polls and watches", "", count, query{`sum by (of) (nemesis_connections_open{@})`, "{{of}}"},
			query{`sum(nemesis_long_polls_open{@})`, "long polls"}, query{`sum(nemesis_watches_open{@})`, "watches of CustomAutoscalers"},
			query{`sum(nemesis_event_streams_open{@})`, "streams of events"}),
		lines("Refused or cut short", "Bodies by why; connections beyond max-connections; pushes whose connection was not kept.", perSecond,
			query{`sum by (reason) (rate(nemesis_bodies_refused_total{@}$rate))`, "body: {{reason}}"}, query{`sum(rate(nemesis_connections_refused_total{@}$rate))`, "connection"},
			query{`sum(rate(nemesis_connections_not_kept_total{@}$rate))`, "not kept"}),
		lines("Watches ended", "Watches of CustomAutoscalers that ended or were refused, by how.", perSecond, query{`sum by (end) (rate(nemesis_watches_ended_total{@}$rate))`, "{{end}}"}),
		lines("Claims refused", "Targets of CustomAutoscalers whose host and prefix somebody else has, which each replica counts; the log says who.", count, query{`max by (by) (nemesis_claims_refused{@})`, "{{by}}"}),
		lines("Served without the leader", "Requests that a follower served itself because the leader did not answer.", perSecond, query{`sum(rate(nemesis_relay_errors_total{@}$rate))`, "relays"}),
	)
	section(b, "History, and what sleeping saves",
		lines("Pods", "On average over the rate's time: those of all applications, and those that sleeping spared against one pod of each that is always there, and against maxReplicas that are.", count,
			query{`sum(rate(nemesis_pod_seconds_total{@}$rate))`, "there"}, query{`sum by (against) (rate(nemesis_pod_seconds_saved_total{@}$rate))`, "spared, against {{against}}"}),
		lines("Memory of the histories", "At most 24 KB an application.", inBytes, query{`sum by (instance) (nemesis_history_bytes{@})`, "{{instance}}"}),
		lines("Kept and read", "ConfigMaps with histories, by what became of writing or reading them.", perSecond,
			query{`sum by (result) (rate(nemesis_history_writes_total{@}$rate))`, "written: {{result}}"}, query{`sum by (result) (rate(nemesis_history_reads_total{@}$rate))`, "read: {{result}}"}),
		lines("Not kept whole", "Applications of whose history not all had room the last time.", count, query{`sum(nemesis_history_cut{@})`, "applications"}),
	)
	section(b, "What people are told",
		lines("Look at these", "Applications whose start does not end, and those whose count somebody sets back again and again.", count,
			query{`sum(nemesis_starts_overdue{@})`, "starts overdue"}, query{`sum(nemesis_contested{@})`, "contested"}),
		lines("Notices", "By format and whether they were taken, and those that were not told, by why.", perSecond,
			query{`sum by (format, result) (rate(nemesis_notices_sent_total{@}$rate))`, "{{format}} {{result}}"}, query{`sum by (reason) (rate(nemesis_notices_dropped_total{@}$rate))`, "dropped: {{reason}}"}),
		lines("Notices that wait", "And the Secrets that name who is told; each replica follows them all.", count,
			query{`sum(nemesis_notices_waiting{@})`, "waiting"}, query{`max by (state) (nemesis_notification_secrets{@})`, "Secrets: {{state}}"}),
	)
	section(b, "Who calls",
		lines("Refused", "For who made the call, by operation and why.", perSecond, query{`sum by (operation, code) (rate(nemesis_calls_refused_total{@}$rate))`, "{{operation}} {{code}}"}),
		lines("Tokens of services", "Known ones were verified before.", perSecond, query{`sum by (outcome) (rate(nemesis_service_tokens_total{@}$rate))`, "{{outcome}}"}),
		lines("Questions about people", "To the API server; an answer counts for ten seconds.", perSecond, query{`sum by (answer) (rate(nemesis_access_questions_total{@}$rate))`, "{{answer}}"}),
		lines("Changes", "Of settings and of CustomAutoscalers, through the controller; the log's lines `audit` say by whom.", perSecond, query{`sum by (operation, result) (rate(nemesis_changes_total{@}$rate))`, "{{operation}} {{result}}"}),
		lines("Tokens are required", "0: whoever sends none may do everything.", count, query{`nemesis_authentication_required{@}`, "{{instance}}"}),
		lines("Let in without a token", "Where tokens are not required.", perSecond, query{`sum by (instance) (rate(nemesis_calls_without_token_total{@}$rate))`, "{{instance}}"}),
		lines("Changes not handed over", "Times that the leader did not take them; it is told again.", perSecond, query{`sum by (instance) (rate(nemesis_changes_not_handed_over_total{@}$rate))`, "{{instance}}"}),
		lines("Refusals that have no line", "In the log, for the same caller had many.", perSecond, query{`sum by (instance) (rate(nemesis_refusals_unnamed_total{@}$rate))`, "{{instance}}"}),
		lines("Authorities that somebody altered", "ConfigMaps nemesis-ca, which are written anew.", perSecond, query{`sum by (instance) (rate(nemesis_authority_altered_total{@}$rate))`, "{{instance}}"}),
	)
	section(b, "Encryption", encryption()...)
	section(b, "What the API server asks",
		lines("Questions", "inject: whether a pod gets the sidecar; review: what is to be said of a CustomAutoscaler.", perSecond, query{`sum by (webhook, result) (rate(nemesis_admission_reviews_total{@}$rate))`, "{{webhook}} {{result}}"}),
		lines("Duration, p99", "Whoever makes a pod or a CustomAutoscaler waits for it.", seconds, quantiles("nemesis_admission_review_duration_seconds", "webhook", "{{webhook}}", "0.99")...),
		lines("Ready", "0: the API server does not find or trust the replica, and pods are made without the sidecar.", count, query{`nemesis_webhook_ready{@}`, "{{instance}}"}),
		lines("Certificate ends in", "", seconds, query{`nemesis_webhook_certificate_expiry_timestamp_seconds{@} - time()`, "{{instance}}"}),
	)
	section(b, "Who leads",
		lines("Shards led", "", count, query{`nemesis_shards_led{@}`, "{{instance}}"}),
		lines("Terms of leadership", "Each step is a new leader of a shard.", count, query{`sum by (instance) (nemesis_leader_terms_total{@})`, "{{instance}}"}),
		lines("Lives", "Epochs that there are, a shard and replica each; decisions and routes name them. A step is a restart.", count, query{`count by (instance) (nemesis_controller_epoch_info{@})`, "{{instance}}"}),
		lines("Settings and layout", "Replicas that cannot read the load balancers' settings, and those that wait for replicas with another number of shards.", count,
			query{`sum(1 - nemesis_balancer_settings_followed{@})`, "settings not read"}, query{`sum(nemesis_other_layout_in_force{@})`, "other layout"}),
		bars("Replicas by version", "", count, `count by (version) (nemesis_build_info{@,service="autoscaler-controller"})`, "{{version}}"),
		bars("Epochs", "The life of each shard, as decisions and routes name it.", count, `max by (instance, shard, epoch) (nemesis_controller_epoch_info{@})`, "{{instance}} {{shard}} {{epoch}}"),
	)
	section(b, "Process", process("autoscaler-controller")...)
	return b
}
