package api

// Keys that opt in.
const (
	// EnabledLabel sits on a Namespace (True: every Job in it is handled), on a Job
	// (True: handled; False: left alone even in an opted-in Namespace) and, stamped by
	// the webhook, on the Job's pod template. Users set it on Namespaces and Jobs; it can
	// change at any time.
	EnabledLabel = Prefix + "enabled"

	// EnabledAnnotation means the same as EnabledLabel, for users who cannot set labels.
	// On one object the label beats the annotation. On a Namespace the manager mirrors it
	// to the label, on a Job the webhook does.
	EnabledAnnotation = Prefix + "enabled"

	// EnabledMirroredAnnotation sits on a Namespace whose EnabledLabel the manager set
	// because of EnabledAnnotation. The manager alone writes it, always True. The manager
	// removes only a label with this mark.
	EnabledMirroredAnnotation = Prefix + "enabled-mirrored"

	// EnabledSinceAnnotation sits on an opted-in Namespace: the time (RFC 3339,
	// UTC) at which the manager first saw it opted in. The manager alone writes
	// it. Unstamped Jobs created before it and finished are left alone.
	EnabledSinceAnnotation = Prefix + "enabled-since"
)

// Keys that users set as annotations on a Job or, if the comment says so, on its
// Namespace as the default for its Jobs.
const (
	// ResultsNameAnnotation sits on a Job: the name for its results, a DNS-1123 subdomain
	// that ends in ResultsSuffix. The webhook sets it if the user did not. When the
	// results are stored the manager writes the final name.
	ResultsNameAnnotation = Prefix + "results-name"

	// LogModeAnnotation sits on a Job or Namespace: how much of the logs is read.
	// LogModeStatus, LogModeFull or LogModeFollow.
	LogModeAnnotation = Prefix + "log-mode"

	// ResultsKindAnnotation sits on a Job or Namespace: the kind of object that holds the
	// results. ResultsKindConfigMap or ResultsKindSecret. When results are stored in a
	// Secret the manager writes ResultsKindSecret on the Job.
	ResultsKindAnnotation = Prefix + "results-kind"

	// ResultsTTLAnnotation sits on a Job or Namespace: how long results are kept after
	// they are stored; a duration or Never.
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

	// ProtectAnnotation sits on a Job or Namespace: whether ResultsFinalizer holds the
	// Job until its results are stored. True or False. It can change at any time; False
	// releases the Job at once.
	ProtectAnnotation = Prefix + "protect"
)

// Values of the keys that users set.
const (
	// Never is a delay without end.
	Never = "never"

	// LogModeStatus reads no logs; results hold only the states of containers.
	LogModeStatus = "status"
	// LogModeFull reads every log when the Job has finished.
	LogModeFull = "full"
	// LogModeFollow reads every log while it is written, from the container's start.
	LogModeFollow = "follow"

	// ResultsKindConfigMap stores results in a ConfigMap.
	ResultsKindConfigMap = "ConfigMap"
	// ResultsKindSecret stores results in a Secret, if the manager has the rights for
	// that.
	ResultsKindSecret = "Secret"

	// SecretType is the type of the Secrets that hold results.
	SecretType = Prefix + "results"

	// SecretResultsRole is the name of the ClusterRole with the rights for
	// ResultsKindSecret, and of the RoleBindings that grant it in a Namespace.
	SecretResultsRole = "job-handler-secret-results" //nolint:gosec // a name, no secret

	// ResultsSuffix ends every name of a results object that a user or the webhook asks
	// for, so that no user can ask for the name of an unrelated object.
	ResultsSuffix = "-results"
)

// Keys that Job Handler writes on a Job.
const (
	// ResultsFinalizer sits on a Job that must not be deleted before its results are
	// stored: see ProtectAnnotation. The webhook and the manager add it; the manager
	// removes it.
	ResultsFinalizer = Prefix + "results"

	// TTLAnnotation sits on a Job whose spec.ttlSecondsAfterFinished was raised to hold
	// the Job until its results are stored. It has the user's value and the raised one,
	// in seconds, such as 60;raised=3600 (the previous version wrote the first value
	// alone). The webhook and the manager write it. They remove it when they restore the
	// user's value, or when the user changes the TTL.
	TTLAnnotation = Prefix + "ttl-seconds-after-finished"

	// StatusAnnotation sits on a Job whose results are stored and whose Event is sent:
	// StatusCompleted or StatusFailed. The manager alone writes it.
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
	// CaptureKeptPrefix starts the value if the logs may still become readable: the Job
	// and its pods are kept like those of a failed Job.
	CaptureKeptPrefix = CaptureIncompletePrefix + "Job kept: "
)

// Labels and annotations of a results object. The manager sets them at
// creation and never changes them.
const (
	// CreatedLabel is True on every object that Job Handler creates.
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
	// PartLabel holds the number of a part, from 0. Every object with a part of other
	// results has it; no results object has it.
	PartLabel = Prefix + "part"
	// PartOfAnnotation sits on a part and holds the name of its results object.
	PartOfAnnotation = Prefix + "part-of"
	// CaptureOfLabel sits on an object with captured logs of a Job and holds the UID of
	// the Job; no results object has it. The object also has CreatedLabel, JobNameLabel,
	// SHA256Annotation and BytesAnnotation. The Job owns it, so Kubernetes deletes it
	// with the Job.
	CaptureOfLabel = Prefix + "capture-of"
	// ExpiresAtAnnotation holds when the results may be deleted (RFC 3339, UTC); absent
	// if they never expire.
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
	// DataMessage holds the message of the Job's terminal condition. For a failed Job it
	// also has the best explanation: the state of a container or a pod, or an Event.
	DataMessage = "message"
	// DataEvents holds the Warning Events of the Job and its pods, a line each; present
	// only for a Job that failed or that had a pod that never started.
	DataEvents = "events"
	// DataLogs holds the logs of all pods as readable text.
	DataLogs = "logs"
	// DataLogsGzip is a key of the binary data: the original logs, compressed by gzip;
	// present only if DataLogs had to be shortened or made readable.
	DataLogsGzip = "logs.gz"
	// DataParts holds, as JSON, the objects with the parts of DataLogsGzip, with size and
	// SHA-256 of each; present only if it does not fit into one object.
	DataParts = "parts"
	// DataContainers holds a text block for each container.
	DataContainers = "containers"
	// DataJobJSON holds the content of DataContainers and more, typed.
	DataJobJSON = "job.json"
	// DataResultPrefix starts the key of a result that the Job reported under one of
	// these keys, or under an invalid key. Other results keep their names.
	DataResultPrefix = "result."
)

// SchemaV1 is the value of the field schema in DataJobJSON.
const SchemaV1 = Prefix + "v1"

// MaxResultsBytes is the largest sum of the values of one ConfigMap that the API server
// accepts (keys and metadata do not count): 1 MiB.
const MaxResultsBytes = 1 << 20

// MostResultsBytes is the largest size of the results of one run, with parts: 16 MiB.
const MostResultsBytes = 16 << 20

// ResultsSelector selects the results objects among the objects of Job Handler: all but
// parts and captures.
const ResultsSelector = CreatedLabel + "=" + True + ",!" + PartLabel + ",!" + CaptureOfLabel
