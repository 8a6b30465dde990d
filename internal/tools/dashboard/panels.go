package main

// row is a row of the dashboard.
type row struct {
	title string
	// stats is true for single values; else charts are over time.
	stats bool
	// across is how many charts stand side by side at most.
	across int
	charts []chart
}

type chart struct {
	title, note string
	// unit is one of Grafana's; "" is a plain number.
	unit    string
	queries []query
	// badFrom is from where on a single value is red, goodFrom until where.
	badFrom, goodFrom *float64
}

type query struct{ expr, legend string }

// rows are all of them, those first that are looked at first.
func rows() []row {
	return []row{overview(), jobs(), latency(), results(), logs(), captures(), trouble(), admission(), program()}
}

func one(expr string) []query { return []query{{expr: expr}} }

// over is a rate as Grafana has it.
func over(metric string) string { return "rate(" + metric + "[$__rate_interval])" }

func sumBy(labels, metric string) string {
	return "sum by (" + labels + ") (" + over(metric) + ")"
}

func sum(metric string) string { return "sum(" + over(metric) + ")" }

// quantiles are the median and the slowest of the buckets of a histogram.
func quantiles(histogram string) []query {
	of := ", sum by (le) (" + over(histogram+"_bucket") + "))"
	return []query{{"histogram_quantile(0.5" + of, "median"}, {"histogram_quantile(0.99" + of, "99%"}}
}

// ofManagers is a metric of the libraries, which others have too, of managers alone.
func ofManagers(expr string) string {
	return expr + " * on (instance) group_left () max by (instance) (job_handler_build_info)"
}

func overview() row {
	return row{title: "Overview", stats: true, across: 8, charts: []chart{
		{title: "Managers", queries: one("count(job_handler_build_info)"), goodFrom: new(1.0)},
		{title: "Leaders", queries: one(`sum(leader_election_master_status{name="job-handler"})`), goodFrom: new(1.0)},
		{
			title: "Stamping works", note: "1 if a Job comes back from the API server with the stamp.",
			queries: one("max(job_handler_self_test_stamping_works)"), goodFrom: new(1.0),
		},
		{
			title: "Certificate", note: "How long the webhook's certificate is valid.", unit: "s", goodFrom: new(7 * 86400.0),
			queries: one("min(job_handler_webhook_certificate_expiry_timestamp_seconds) - time()"),
		},
		{title: "Backlog", note: "Finished Jobs that are not stored yet.", queries: one("sum(job_handler_backlog_jobs)"), badFrom: new(100.0)},
		{title: "Oldest of it", unit: "s", queries: one("max(job_handler_backlog_oldest_seconds)"), badFrom: new(1800.0)},
		{
			title: "Jobs stored", note: "In the time that is shown.",
			queries: one("sum(increase(job_handler_jobs_stored_total[$__range]))"),
		},
		{
			title: "Results lost", note: "In the time that is shown. It should be 0.", badFrom: new(0.5),
			queries: one("sum(increase(job_handler_results_lost_total[$__range]))"),
		},
	}}
}

func jobs() row {
	return row{title: "Jobs", across: 3, charts: []chart{
		{title: "Stored by outcome", unit: "ops", queries: []query{{sumBy("outcome", "job_handler_jobs_stored_total"), "{{outcome}}"}}},
		{
			title: "Stored by capture", note: "Whether their logs are all there.", unit: "ops",
			queries: []query{{sumBy("capture", "job_handler_jobs_stored_total"), "{{capture}}"}},
		},
		{
			title: "Backlog", note: "Finished Jobs that are not stored yet, and what waits in the queue.",
			queries: []query{
				{"sum(job_handler_backlog_jobs)", "unstored"},
				{`sum(` + ofManagers(`workqueue_depth{name="job"}`) + `)`, "queued"},
			},
		},
	}}
}

func latency() row {
	return row{title: "From a Job's end", across: 3, charts: []chart{
		{title: "Until it is stored", note: "The end is told in whole seconds.", unit: "s", queries: quantiles("job_handler_finish_to_stored_seconds")},
		{title: "Until it is deleted", note: "By the manager, not by a TTL.", unit: "s", queries: quantiles("job_handler_finish_to_deleted_seconds")},
		{title: "Oldest that is not stored", unit: "s", queries: []query{{"max(job_handler_backlog_oldest_seconds)", "oldest"}}},
	}}
}

func results() row {
	return row{title: "Results", across: 3, charts: []chart{
		{title: "Size", note: "Of the results of a Job, parts included.", unit: "bytes", queries: quantiles("job_handler_results_size_bytes")},
		{
			title: "In namespaces", note: "The ten with the most, and what a namespace may have.", unit: "bytes",
			queries: []query{
				{"topk(10, max by (namespace) (job_handler_results_bytes))", "{{namespace}}"},
				{"max(job_handler_results_budget_bytes) > 0", "budget"},
			},
		},
		{
			title: "In all namespaces", unit: "bytes", queries: []query{{"max(job_handler_results_all_bytes)", "results"}},
		},
		{
			title: "Deleted", note: "By retention.", unit: "ops",
			queries: []query{
				{sumBy("reason", "job_handler_retention_deleted_total"), "{{reason}}"},
				{sum("job_handler_retention_refused_total"), "refused"},
			},
		},
		{
			title: "Objects", note: "At the last look at all of them.",
			queries: []query{{"max by (class) (job_handler_retention_objects)", "{{class}}"}},
		},
		{
			title: "Last look", note: "How long ago all results were looked at.", unit: "s",
			queries: []query{{"time() - max(job_handler_retention_last_pass_timestamp_seconds)", "ago"}},
		},
	}}
}

func logs() row {
	return row{title: "Logs", across: 3, charts: []chart{
		{
			title: "Bytes", unit: "Bps", queries: []query{
				{sum("job_handler_read_bytes_total"), "read"},
				{sum("job_handler_log_kept_bytes_total"), "kept"},
				{sum("job_handler_log_left_out_bytes_total"), "left out"},
			},
		},
		{
			title: "Streams", queries: []query{
				{"sum(job_handler_read_streams)", "read"},
				{"sum(job_handler_follow_streams)", "followed"},
				{"sum by (resource) (job_handler_read_waiting)", "waiting for {{resource}}"},
				{"sum(job_handler_follow_waiting)", "waiting to be followed"},
			},
		},
		{
			title: "Followed, and replaced", unit: "ops", queries: []query{
				{sum("job_handler_follow_reconnects_total"), "reconnects"},
				{sum("job_handler_follow_fallbacks_total"), "not followed in time"},
				{sum("job_handler_redactions_total"), "credentials replaced"},
			},
		},
	}}
}

func captures() row {
	return row{title: "Captures of deleted pods", across: 3, charts: []chart{
		{
			title: "In memory", queries: []query{{"sum(job_handler_capture_pods)", "pods"}},
		},
		{
			title: "Memory", unit: "bytes", queries: []query{{"sum(job_handler_capture_memory_bytes)", "logs"}},
		},
		{
			title: "Stored beside Jobs, and lost", unit: "ops", queries: []query{
				{sum("job_handler_capture_spilled_pods_total"), "pods stored"},
				{sumBy("cause", "job_handler_capture_spill_failures_total") + " > 0", "failed: {{cause}}"},
				{sum("job_handler_capture_cuts_total"), "logs cut"},
				{sum("job_handler_capture_dropped_pods_total"), "pods dropped"},
			},
		},
	}}
}

func trouble() row {
	return row{title: "Trouble", across: 3, charts: []chart{
		{title: "Tried again", unit: "ops", queries: []query{{sumBy("class", "job_handler_retries_total"), "{{class}}"}}},
		{title: "Refused", unit: "ops", queries: []query{{sumBy("cause", "job_handler_refusals_total"), "{{cause}}"}}},
		{
			title: "Protection", queries: []query{
				{"sum(job_handler_protect_held_deletions)", "deletions held"},
				{"sum by (reason) (increase(job_handler_protect_releases_total[$__rate_interval]))", "let go: {{reason}}"},
			},
		},
		{
			title: "Results", queries: []query{
				{"sum(increase(job_handler_results_lost_total[$__rate_interval]))", "lost"},
				{"sum(increase(job_handler_results_missing_total[$__rate_interval]))", "missing, stored again"},
				{"sum(increase(job_handler_results_shrunk_total[$__rate_interval]))", "shortened for the budget"},
			},
		},
		{
			title: "Requests to the API server", unit: "reqps",
			queries: []query{{"sum by (code) (" + ofManagers(over("rest_client_requests_total")) + ")", "{{code}}"}},
		},
	}}
}

func admission() row {
	return row{title: "Admission", across: 3, charts: []chart{
		{
			title: "Requests", unit: "reqps",
			queries: []query{{sumBy("kind, result", "job_handler_webhook_requests_total"), "{{kind}} {{result}}"}},
		},
		{
			title: "Time to answer", unit: "s", queries: []query{{
				"histogram_quantile(0.99, sum by (le) (" + ofManagers(over("controller_runtime_webhook_latency_seconds_bucket")) + "))", "99%",
			}},
		},
		{
			title: "Answered with warnings", unit: "reqps",
			queries: []query{{sumBy("kind", "job_handler_webhook_warned_requests_total"), "{{kind}}"}},
		},
		{title: "Self-tests", unit: "ops", queries: []query{{sumBy("result", "job_handler_self_test_runs_total"), "{{result}}"}}},
		{
			title: "Trust", note: "1 where the API server can trust the webhook.",
			queries: []query{
				{"min by (kind) (job_handler_webhook_ca_bundle_matches)", "{{kind}}"},
				{"min(job_handler_webhook_certificate_issued)", "issued"},
			},
		},
		{
			title: "Certificate", note: "How long it is valid.", unit: "s",
			queries: []query{{"min(job_handler_webhook_certificate_expiry_timestamp_seconds) - time()", "valid"}},
		},
	}}
}

func program() row {
	return row{title: "Managers", across: 3, charts: []chart{
		{title: "Memory", unit: "bytes", queries: []query{{ofManagers("process_resident_memory_bytes"), "{{instance}}"}}},
		{title: "CPU", note: "Cores in use.", queries: []query{{ofManagers(over("process_cpu_seconds_total")), "{{instance}}"}}},
		{
			title: "Leader", queries: []query{{`max by (instance) (leader_election_master_status{name="job-handler"})`, "{{instance}}"}},
		},
	}}
}
