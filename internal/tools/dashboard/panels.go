package main

// rows are all of them, those first that are looked at first.
func rows() []row {
	return []row{overview(), jobs(), latency(), trouble(), results(), logs(), captures(), admission(), processes()}
}

func one(expr string) []query { return []query{{expr: expr}} }

// over is a rate a second as Grafana has it.
func over(metric string) string { return "rate(" + metric + "[$__rate_interval])" }

// sumBy is a rate a minute, for what happens a few times an hour.
func sumBy(labels, metric string) string {
	return "60 * sum by (" + labels + ") (" + over(metric) + ")"
}

// sum is a rate a minute.
func sum(metric string) string { return "60 * sum(" + over(metric) + ")" }

// orNone is 0 where there is no answer at all.
func orNone(expr string) string { return expr + " or vector(0)" }

// quantiles are the median and the slowest of the buckets of a histogram.
func quantiles(histogram string) []query {
	of := ", sum by (le) (" + over(histogram+"_bucket") + "))"
	return []query{{"histogram_quantile(0.5" + of, "median"}, {"histogram_quantile(0.99" + of, "99%"}}
}

// ofManagers is a metric of the libraries, which others have too, of managers alone.
func ofManagers(expr string) string {
	return expr + " * on (instance) group_left () max by (instance) (job_handler_build_info)"
}

// process is how a manager is called: the operator of Prometheus knows its pod.
const process = "{{pod}} {{instance}}"

// What alerts and this have in common.
const (
	backlog         = "sum(job_handler_backlog_jobs)"
	oldest          = "max(job_handler_backlog_oldest_seconds)"
	certificateDays = "(min(job_handler_webhook_certificate_expiry_timestamp_seconds) - time()) / 86400"

	backlogLimit, oldestLimit, lastLookLimit, daysLimit = 100.0, 1800.0, 6 * 3600.0, 7.0
)

func overview() row {
	return row{title: "Overview", stats: true, across: 8, charts: []chart{
		{
			title: "Managers", note: "Replicas that Prometheus reaches.",
			queries: one(orNone("count(job_handler_build_info)")), goodFrom: new(1.0),
		},
		{
			title: "Leaders", note: "Replicas that handle Jobs. It should be 1.",
			queries: one(orNone(`sum(leader_election_master_status{name="job-handler"})`)), goodFrom: new(1.0), tooMuch: new(2.0),
		},
		{
			title: "Stamping works", note: "Whether a Job comes back from the API server with the stamp. Unknown without webhook or self-test.",
			queries: one("max(job_handler_self_test_stamping_works)"), goodFrom: new(1.0), yes: true,
		},
		{
			title: "Certificate valid", note: "For how long the webhook's certificate is valid.", unit: inDays, goodFrom: new(daysLimit),
			least: -1e9, whole: true, queries: one(certificateDays),
		},
		{title: "Unstored Jobs", note: "Finished Jobs that are not stored yet.", queries: one(backlog), badFrom: new(backlogLimit)},
		{
			title: "Oldest unstored", note: "For how long the oldest of them has been finished.", unit: "s",
			queries: one(oldest), badFrom: new(oldestLimit),
		},
		{
			title: "Jobs stored", note: "In the time that is shown.", unit: "locale", whole: true, neither: true,
			queries: one("sum(increase(job_handler_jobs_stored_total[$__range]))"),
		},
		{
			title: "Results lost", note: "In the time that is shown. It should be 0.", badFrom: new(0.5), whole: true,
			queries: one("sum(increase(job_handler_results_lost_total[$__range]))"),
		},
	}}
}

func jobs() row {
	return row{title: "Jobs", across: 3, charts: []chart{
		{
			title: "Stored by outcome", note: "Jobs a minute, by how they ended.", unit: perMinute,
			queries: []query{{sumBy("outcome", "job_handler_jobs_stored_total"), "{{outcome}}"}},
			colors:  map[string]string{"completed": good, "failed": bad},
		},
		{
			title: "Stored by capture", note: "Jobs a minute, by whether their logs are all there.", unit: perMinute,
			queries: []query{{sumBy("capture", "job_handler_jobs_stored_total"), "{{capture}}"}},
			colors:  map[string]string{"complete": good, "incomplete": warning, "kept": bad},
		},
		{
			title: "Waiting to be stored", note: "Finished Jobs that are not stored yet, and what waits in the queue.", badFrom: new(backlogLimit),
			queries: []query{
				{backlog, "unstored"},
				{`sum(` + ofManagers(`workqueue_depth{name="job"}`) + `)`, "queued"},
			},
		},
	}}
}

func latency() row {
	return row{title: "From a Job's end", across: 3, charts: []chart{
		{
			title: "Until it is stored", note: "The end is told in whole seconds.", unit: "s", logarithm: 10,
			queries: quantiles("job_handler_finish_to_stored_seconds"),
		},
		{
			title: "Until it is deleted", note: "By the manager, not by a TTL.", unit: "s", logarithm: 10,
			queries: quantiles("job_handler_finish_to_deleted_seconds"),
		},
		{
			title: "Oldest that is not stored", note: "For how long it has been finished.", unit: "s", badFrom: new(oldestLimit),
			queries: []query{{oldest, "oldest"}},
		},
	}}
}

func trouble() row {
	return row{title: "Trouble", across: 3, charts: []chart{
		{
			title: "Tried again", note: "Looks at a Job that ended with having to look again, a minute. Those at logs and passing ones heal by themselves.",
			unit: perMinute, queries: []query{{sumBy("class", "job_handler_retries_total"), "{{class}}"}},
			colors: map[string]string{"refused": bad, "logs": warning, "passing": "yellow", "conflict": harmless, "gone": "purple"},
		},
		{
			title: "Refused by the API server", note: "Looks at a Job that ended so, a minute. People have to mend what it names.",
			unit: perMinute, queries: []query{{sumBy("cause", "job_handler_refusals_total"), "{{cause}}"}},
		},
		{
			title: "Lost or missing results", note: "Finished Jobs that are gone without results, and results that were not there any more before their Job was to go, a minute.",
			unit: perMinute, queries: []query{
				{sum("job_handler_results_lost_total"), "lost"},
				{sum("job_handler_results_missing_total"), "missing, stored again"},
			},
			colors: map[string]string{"lost": bad, "missing, stored again": warning},
		},
		{
			title: "Deletions held", note: "Jobs that somebody deleted and the finalizer holds until their results are stored.",
			queries: []query{{"sum(job_handler_protect_held_deletions)", "held"}}, whole: true,
		},
		{
			title: "Protection ended", note: "Jobs that lost the finalizer, a minute, by why. After the deadline results are not stored.",
			unit: perMinute, queries: []query{{sumBy("reason", "job_handler_protect_releases_total"), "{{reason}}"}},
			colors: map[string]string{
				"stored": good, "deadline": bad, "unfinished": harmless, "opted-out": "purple", "namespace": "light-blue", "withdrawn": "yellow",
			},
		},
		{
			title: "Requests to the API server", note: "By the code of the answer.", unit: "reqps",
			queries: []query{{"sum by (code) (" + ofManagers(over("rest_client_requests_total")) + ")", "{{code}}"}},
		},
	}}
}

func results() row {
	return row{title: "Results objects", across: 3, charts: []chart{
		{
			title: "Size of results", note: "Of the results of a Job, parts included.", unit: "bytes", logarithm: 2,
			queries: quantiles("job_handler_results_size_bytes"),
		},
		{
			title: "Namespaces with most", note: "The ten with the most, and what a namespace may have.", unit: "bytes",
			queries: []query{
				{
					"max by (namespace) (job_handler_results_bytes) and on (namespace) " +
						"topk(10, max by (namespace) (job_handler_results_bytes @ end()))", "{{namespace}}",
				},
				{"max(job_handler_results_budget_bytes) > 0", "budget"},
			},
			limit: "budget", table: "lastNotNull",
		},
		{
			title: "All namespaces", note: "What results take, with parts and captures, and what they may take.", unit: "bytes",
			queries: []query{
				{"max(job_handler_results_all_bytes)", "results"},
				{"max(job_handler_results_all_budget_bytes) > 0", "budget"},
			},
			limit: "budget",
		},
		{
			title: "Deleted and shortened", note: "Objects that retention deletes, by why, a minute, and Jobs of which less is stored for the budget.", unit: perMinute,
			queries: []query{
				{sumBy("reason", "job_handler_retention_deleted_total"), "{{reason}}"},
				{sum("job_handler_retention_refused_total"), "refused"},
				{sum("job_handler_results_shrunk_total"), "shortened"},
			},
			colors: map[string]string{
				"refused": bad, "shortened": warning, "expired": good, "surplus": harmless, "part": "purple", "orphan": "yellow",
			},
		},
		{
			title: "Objects by class", note: "At the last look at all of them.", whole: true,
			queries: []query{{"max by (class) (job_handler_retention_objects)", "{{class}}"}},
		},
		{
			title: "Last look at all", note: "How long ago it was.", unit: "s", badFrom: new(lastLookLimit),
			queries: []query{{"time() - max(job_handler_retention_last_pass_timestamp_seconds)", "ago"}},
		},
	}}
}

func logs() row {
	return row{title: "Logs", across: 3, charts: []chart{
		{
			title: "Bytes of logs", note: "Read from the API server, kept in results, and left out since they did not fit.", unit: "binBps",
			queries: []query{
				{"sum(" + over("job_handler_read_bytes_total") + ")", "read"},
				{"sum(" + over("job_handler_log_kept_bytes_total") + ")", "kept"},
				{"sum(" + over("job_handler_log_left_out_bytes_total") + ")", "left out"},
			},
			colors: map[string]string{"read": harmless, "kept": good, "left out": warning},
		},
		{
			title: "Streams of logs", note: "Open ones, and what waits for its turn.", table: "max", whole: true, queries: []query{
				{"sum(job_handler_read_streams)", "read"},
				{"sum(job_handler_follow_streams)", "followed"},
				{"sum by (resource) (job_handler_read_waiting)", "waiting for {{resource}}"},
				{"sum(job_handler_follow_waiting)", "waiting to be followed"},
				{"sum(job_handler_follow_parked)", "waiting to be followed on"},
			},
		},
		{
			title: "Followed, and replaced", note: "What happened to logs that are followed, and to what looks like a credential, a minute.", unit: perMinute,
			queries: []query{
				{sum("job_handler_follow_reconnects_total"), "reconnects"},
				{sum("job_handler_follow_fallbacks_total"), "not followed in time"},
				{sum("job_handler_follow_given_up_total"), "streams given up"},
				{sum("job_handler_redactions_total"), "credentials replaced"},
			},
			colors: map[string]string{"reconnects": harmless, "not followed in time": warning, "credentials replaced": "purple"},
		},
	}}
}

func captures() row {
	return row{title: "Captures of deleted pods", across: 3, charts: []chart{
		{
			title: "Pods in memory", note: "Pods that were deleted before their Job was stored.", whole: true,
			queries: []query{{"sum(job_handler_capture_pods)", "pods"}},
		},
		{
			title: "Memory of captures", note: "What their logs take, of --capture-memory.", unit: "bytes",
			queries: []query{{"sum(job_handler_capture_memory_bytes)", "logs"}},
		},
		{
			title: "Stored beside Jobs, and lost", note: "Pods stored before their Job had finished, and what was lost of captures, a minute.", unit: perMinute,
			queries: []query{
				{sum("job_handler_capture_spilled_pods_total"), "pods stored"},
				{sum("job_handler_capture_spill_failures_total"), "failed"},
				{sum("job_handler_capture_cuts_total"), "logs cut"},
				{sum("job_handler_capture_dropped_pods_total"), "pods dropped"},
			},
			colors: map[string]string{"pods stored": harmless, "failed": bad, "logs cut": warning, "pods dropped": "dark-red"},
		},
	}}
}

func admission() row {
	return row{title: "Admission", across: 3, charts: []chart{
		{
			title: "Admission requests", note: "By what they are about and how they were answered.", unit: perMinute,
			queries: []query{{sumBy("kind, result", "job_handler_webhook_requests_total"), "{{kind}} {{result}}"}},
			colors: map[string]string{
				"job stamped": good, "job refused": bad, "job unread": warning, "job skipped": "light-green", "job self-test": "purple",
				"cronjob checked": harmless, "cronjob refused": "dark-red", "cronjob unread": "dark-orange", "cronjob skipped": "light-blue",
			},
		},
		{
			title: "Time to answer", note: "Of the slowest of a hundred admission requests.", unit: "s", queries: []query{{
				"histogram_quantile(0.99, sum by (le) (" + ofManagers(over("controller_runtime_webhook_latency_seconds_bucket")) + "))", "99%",
			}},
		},
		{
			title: "Answered with warnings", note: "Requests a minute whose sender was warned of what is on the object.", unit: perMinute,
			queries: []query{{sumBy("kind", "job_handler_webhook_warned_requests_total"), "{{kind}}"}},
		},
		{
			title: "Self-tests", note: "In the ten minutes before, by what they told.", whole: true,
			queries: []query{{"sum by (result) (increase(job_handler_self_test_runs_total[10m]))", "{{result}}"}},
			colors:  map[string]string{"stamped": good, "unstamped": bad, "refused": warning, "unanswered": "yellow"},
		},
		{
			title: "Trust", note: "1 where the API server can trust the webhook, and where the certificate is issued.", yes: true,
			queries: []query{
				{"min by (kind) (job_handler_webhook_ca_bundle_matches)", "{{kind}}"},
				{"min(job_handler_webhook_certificate_issued)", "issued"},
			},
		},
		{
			title: "Days of the certificate", note: "How long the webhook's certificate is valid.", unit: inDays, goodFrom: new(daysLimit),
			queries: []query{{certificateDays, "valid"}},
		},
	}}
}

func processes() row {
	return row{title: "Processes", across: 3, charts: []chart{
		{
			title: "Memory of managers", note: "Resident, of each replica.", unit: "bytes",
			queries: []query{{ofManagers("process_resident_memory_bytes"), process}},
		},
		{title: "CPU", note: "Cores in use, of each replica.", queries: []query{{ofManagers(over("process_cpu_seconds_total")), process}}},
		{
			title: "Leader", note: "1 for the replica that handles Jobs.", yes: true,
			queries: []query{{`max by (instance, pod) (leader_election_master_status{name="job-handler"})`, process}},
		},
	}}
}
