package policy

// AdmissionKind is the kind of an admission request.
type AdmissionKind string

// The kinds of admission requests.
const (
	// AdmissionJob: a Job is created.
	AdmissionJob AdmissionKind = "job"
	// AdmissionJobTTL: ttlSecondsAfterFinished of a stamped Job changes.
	AdmissionJobTTL AdmissionKind = "job-ttl"
	// AdmissionCronJob: a CronJob is created or changed.
	AdmissionCronJob AdmissionKind = "cronjob"
)

// AdmissionResult is the answer to an admission request.
type AdmissionResult string

// The answers to admission requests.
const (
	// AdmissionStamped: the Job is handled from now on, or its new TTL is recorded.
	AdmissionStamped AdmissionResult = "stamped"
	// AdmissionChecked: the CronJob's template is valid.
	AdmissionChecked AdmissionResult = "checked"
	// AdmissionSkipped: the object is not opted in, or its namespace is left alone.
	AdmissionSkipped AdmissionResult = "skipped"
	// AdmissionRefused: the object has invalid values.
	AdmissionRefused AdmissionResult = "refused"
	// AdmissionUnread: the object could not be read, and is admitted unchanged.
	AdmissionUnread AdmissionResult = "unread"
	// AdmissionSelfTest: the request is the manager's own dry run.
	AdmissionSelfTest AdmissionResult = "self-test"
)
