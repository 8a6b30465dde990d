package api

// Keys that opt in.
const (
	// EnabledLabel sits on a Namespace (True: every Job in it is handled), on a
	// Job (True: handled; False: left alone even in an opted-in Namespace) and,
	// stamped by the webhook, on the Job's pod template. Users set it on
	// Namespaces and Jobs; it can change at any time.
	EnabledLabel = Prefix + "enabled"

	// EnabledAnnotation means the same as EnabledLabel for those who cannot set
	// labels. On one object the label beats the annotation. On a Namespace the
	// manager mirrors it to the label, on a Job the webhook does.
	EnabledAnnotation = Prefix + "enabled"

	// EnabledMirroredAnnotation sits on a Namespace whose EnabledLabel the
	// manager set because of EnabledAnnotation. The manager alone writes it,
	// always True; only a label that it marks is taken away again.
	EnabledMirroredAnnotation = Prefix + "enabled-mirrored"

	// EnabledSinceAnnotation sits on an opted-in Namespace: the time (RFC 3339,
	// UTC) at which the manager first saw it opted in. The manager alone writes
	// it. Unstamped Jobs created before it and finished are left alone.
	EnabledSinceAnnotation = Prefix + "enabled-since"
)

// Keys that users set as annotations on a Job or, where it says so, on its
// Namespace as the default for its Jobs.
const (
	// ResultsNameAnnotation sits on a Job: the name wanted for its results, a
	// DNS-1123 subdomain that ends in ResultsSuffix. The webhook sets it where
	// the user did not; once stored the manager writes the final name.
	ResultsNameAnnotation = Prefix + "results-name"

	// LogModeAnnotation sits on a Job or Namespace: how much of the logs is
	// read. LogModeStatus, LogModeFull or LogModeFollow.
	LogModeAnnotation = Prefix + "log-mode"

	// ResultsKindAnnotation sits on a Job or Namespace: the kind of object that
	// holds the results. ResultsKindConfigMap or ResultsKindSecret. Once stored
	// the manager writes ResultsKindSecret on a Job with results of that kind.
	ResultsKindAnnotation = Prefix + "results-kind"

	// ResultsTTLAnnotation sits on a Job or Namespace: how long results are
	// kept after they were stored; a duration or Never.
	ResultsTTLAnnotation = Prefix + "results-ttl"

	// DeleteAfterSuccessAnnotation sits on a Job or Namespace: how long after
	// its end a Job that completed is deleted; a duration or Never.
	DeleteAfterSuccessAnnotation = Prefix + "delete-after-success"

	// DeleteAfterFailureAnnotation sits on a Job or Namespace: how long after
	// its end a Job that failed is deleted; a duration or Never.
	DeleteAfterFailureAnnotation = Prefix + "delete-after-failure"

	// PropagateLabelsAnnotation sits on a Job or Namespace: a comma-separated
	// list of the Job's label keys to copy to its results.
	PropagateLabelsAnnotation = Prefix + "propagate-labels"

	// ProtectAnnotation sits on a Job or Namespace: whether ResultsFinalizer
	// holds the Job until its results are stored. True or False; it can change
	// at any time, and False lets go at once.
	ProtectAnnotation = Prefix + "protect"
)

// Values of the keys that users set.
const (
	// Never is the delay that does not end.
	Never = "never"

	// LogModeStatus reads no log; results hold the container states only.
	LogModeStatus = "status"
	// LogModeFull reads every log when the Job has finished.
	LogModeFull = "full"
	// LogModeFollow reads every log as it is written, from the container's start.
	LogModeFollow = "follow"

	// ResultsKindConfigMap stores results in a ConfigMap.
	ResultsKindConfigMap = "ConfigMap"
	// ResultsKindSecret stores results in a Secret, where the manager was given
	// the rights for that.
	ResultsKindSecret = "Secret"

	// SecretType is the type of the Secrets that hold results.
	SecretType = Prefix + "results"

	// SecretResultsRole is the name of the ClusterRole with the rights for
	// ResultsKindSecret, and of the RoleBindings that grant it in a Namespace.
	SecretResultsRole = "job-handler-secret-results" //nolint:gosec // a name, no secret

	// ResultsSuffix ends every name of a results object that a user or the
	// webhook asks for, so that nobody can ask for an unrelated name.
	ResultsSuffix = "-results"
)

// Keys that Job Handler writes on a Job.
const (
	// ResultsFinalizer sits on a Job that must not go before its results are
	// stored: see ProtectAnnotation. Webhook and manager write it; the manager
	// removes it.
	ResultsFinalizer = Prefix + "results"

	// TTLAnnotation sits on a Job whose spec.ttlSecondsAfterFinished was raised
	// to hold the Job until its results are stored: the user's value and the raised
	// one, in seconds, such as 60;raised=3600 (the previous version wrote the first
	// alone). Webhook and manager write it; it goes when the user's value is back,
	// and when the user changes the TTL.
	TTLAnnotation = Prefix + "ttl-seconds-after-finished"

	// StatusAnnotation sits on a Job whose results are stored and whose Event
	// is sent: StatusCompleted or StatusFailed. The manager alone writes it.
	StatusAnnotation = Prefix + "status"

	// CaptureAnnotation sits beside StatusAnnotation: CaptureComplete, or
	// CaptureIncompletePrefix and why. The manager alone writes it.
	CaptureAnnotation = Prefix + "capture"
)

// Values of StatusAnnotation, StatusLabel and DataStatus.
const (
	StatusCompleted = "completed"
	StatusFailed    = "failed"
)

// Values of CaptureAnnotation.
const (
	CaptureComplete         = "complete"
	CaptureIncompletePrefix = "incomplete: "
	// CaptureKeptPrefix starts the value for a cause that might heal: the Job
	// and its pods are kept as those of a failed Job are.
	CaptureKeptPrefix = CaptureIncompletePrefix + "Job kept: "
)

// Labels and annotations of a results object. The manager sets them at
// creation and never changes them.
const (
	// CreatedLabel is True on every object that Job Handler made.
	CreatedLabel = Prefix + "created"
	// JobNameLabel holds the Job's name, shortened to 63 characters; the whole
	// name is in the data, under the same key.
	JobNameLabel = "job-name"
	// StatusLabel holds StatusCompleted or StatusFailed.
	StatusLabel = Prefix + "status"
	// JobUIDLabel holds the UID of the Job whose run this is.
	JobUIDLabel = Prefix + "job-uid"
	// CronJobLabel holds the name of the CronJob that made the Job.
	CronJobLabel = Prefix + "cronjob"

	// CreatedAtAnnotation holds when the results were built (RFC 3339, UTC).
	CreatedAtAnnotation = Prefix + "created-at"
	// SHA256Annotation holds the SHA-256 over the content, in hexadecimal.
	SHA256Annotation = Prefix + "sha256"
	// BytesAnnotation holds the sum of the sizes of all values, in bytes.
	BytesAnnotation = Prefix + "bytes"
	// PartLabel holds the number of a part, from 0; it is on no results object, and
	// on every object that holds a part of the results of another.
	PartLabel = Prefix + "part"
	// PartOfAnnotation sits on a part and holds the name of the results object that
	// it was written for.
	PartOfAnnotation = Prefix + "part-of"
	// CaptureOfLabel holds the UID of the Job of which an object keeps captured pods
	// until its results are stored; it is on no results object. Such an object also
	// has CreatedLabel, JobNameLabel, SHA256Annotation and BytesAnnotation, belongs to
	// the Job and goes with it.
	CaptureOfLabel = Prefix + "capture-of"
	// ExpiresAtAnnotation holds when the results may be deleted (RFC 3339,
	// UTC); absent where they are kept for ever.
	ExpiresAtAnnotation = Prefix + "expires-at"
)

// Keys of the data of a results object.
const (
	// DataJobName holds the Job's whole name.
	DataJobName = "job-name"
	// DataStatus holds StatusCompleted or StatusFailed.
	DataStatus = "status"
	// DataCompletionTime holds when the Job completed or failed (RFC 3339).
	DataCompletionTime = "completion-time"
	// DataStartTime holds when the Job started (RFC 3339); absent if it never did.
	DataStartTime = "start-time"
	// DataDuration holds the time from start to end, such as 1m30s.
	DataDuration = "duration"
	// DataReason holds the reason of the Job's terminal condition.
	DataReason = "reason"
	// DataMessage holds the message of the Job's terminal condition and, of a Job that
	// failed, the reason that explains most: the state of a container or a pod, or an
	// Event.
	DataMessage = "message"
	// DataEvents holds the Warning Events of the Job and its pods, a line each; there
	// only of a Job that failed, or of which a pod never started.
	DataEvents = "events"
	// DataLogs holds the logs of all pods as readable text.
	DataLogs = "logs"
	// DataLogsGzip is a key of the binary data: the logs as they were written,
	// compressed by gzip; there only if DataLogs had to be shortened or made
	// readable.
	DataLogsGzip = "logs.gz"
	// DataParts holds, as JSON, the objects over which DataLogsGzip is divided,
	// with size and SHA-256 of each; there only where it does not fit into one.
	DataParts = "parts"
	// DataContainers holds a text block for each container.
	DataContainers = "containers"
	// DataJobJSON holds the same as DataContainers and more, typed.
	DataJobJSON = "job.json"
	// DataResultPrefix starts the key of a result of the Job's own that has a
	// name which is one of these keys, or is no valid key. All others have their
	// own names.
	DataResultPrefix = "result."
)

// SchemaV1 is the value of the field schema in DataJobJSON.
const SchemaV1 = Prefix + "v1"

// MaxResultsBytes is what the API server takes at most as the sum of the
// values of one ConfigMap (keys and metadata do not count): 1 MiB.
const MaxResultsBytes = 1 << 20

// MostResultsBytes is what the results of one run may take at most, with parts:
// 16 MiB.
const MostResultsBytes = 16 << 20

// ResultsSelector selects the results objects among what Job Handler made: all
// but parts and captures.
const ResultsSelector = CreatedLabel + "=" + True + ",!" + PartLabel + ",!" + CaptureOfLabel
