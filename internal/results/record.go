package results

// Record is the content of job.json, schema api.SchemaV1. Times are RFC 3339
// in UTC. Text of users and of the kubelet is readable text of bounded length.
type Record struct {
	// Schema is api.SchemaV1.
	Schema string    `json:"schema"`
	Job    JobRecord `json:"job"`
	// Status is api.StatusCompleted or api.StatusFailed.
	Status string `json:"status"`
	// Reason and Message are those of the Job's terminal condition.
	Reason          string `json:"reason,omitempty"`
	Message         string `json:"message,omitempty"`
	StartTime       string `json:"startTime,omitempty"`
	CompletionTime  string `json:"completionTime,omitempty"`
	DurationSeconds *int64 `json:"durationSeconds,omitempty"`
	// LogMode is how much of the logs was to be read.
	LogMode string     `json:"logMode"`
	Capture RunCapture `json:"capture"`
	// OwnResults is there if a container reported results of its own.
	OwnResults *OwnRecord     `json:"ownResults,omitempty"`
	PodCounts  PodCounts      `json:"podCounts"`
	Pods       []PodRecord    `json:"pods"`
	Omitted    OmittedRecords `json:"omitted"`
}

// JobRecord names the Job.
type JobRecord struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	UID       string `json:"uid"`
	CronJob   string `json:"cronJob,omitempty"`
}

// RunCapture tells whether all logs of the run are stored, as Summary does.
type RunCapture struct {
	Complete bool   `json:"complete"`
	Why      string `json:"why,omitempty"`
	Curable  bool   `json:"curable,omitempty"`
}

// PodCounts counts the run's pods.
type PodCounts struct {
	// Succeeded and Failed are those of the Job's status.
	Succeeded int32 `json:"succeeded"`
	Failed    int32 `json:"failed"`
	// Seen pods were there when the results were built, Missing were not.
	Seen    int `json:"seen"`
	Missing int `json:"missing"`
}

// OmittedRecords counts what Pods leaves out of the pods seen, for size.
type OmittedRecords struct {
	Pods       int `json:"pods"`
	Containers int `json:"containers"`
}

// PodRecord is one pod.
type PodRecord struct {
	Name    string `json:"name"`
	UID     string `json:"uid"`
	Node    string `json:"node,omitempty"`
	Phase   string `json:"phase,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Index is the completion index in an Indexed Job.
	Index      *int              `json:"index,omitempty"`
	CreatedAt  string            `json:"createdAt,omitempty"`
	Containers []ContainerRecord `json:"containers"`
}

// ContainerRecord is one container of a pod.
type ContainerRecord struct {
	Name         string `json:"name"`
	Kind         Kind   `json:"kind"`
	Image        string `json:"image,omitempty"`
	ImageID      string `json:"imageID,omitempty"`
	Ready        bool   `json:"ready"`
	Started      bool   `json:"started"`
	RestartCount int32  `json:"restartCount"`
	// EarlierInstances are those before the previous one: their logs are gone.
	EarlierInstances int          `json:"earlierInstances,omitempty"`
	State            StateRecord  `json:"state"`
	LastState        *StateRecord `json:"lastState,omitempty"`
	// Capture is about the log of the last instance, PreviousCapture about
	// that of the instance before it.
	Capture         CaptureRecord  `json:"capture"`
	PreviousCapture *CaptureRecord `json:"previousCapture,omitempty"`
}

// Failed reports whether the container's latest end was a failure, as
// Container.Failed does.
func (r *ContainerRecord) Failed() bool {
	end := &r.State
	if end.ExitCode == nil && end.State != StateRunning && r.LastState != nil {
		end = r.LastState
	}
	return end.ExitCode != nil && (*end.ExitCode != 0 || end.Signal != 0)
}

// Unstable reports whether the container restarted more often than one that
// works does.
func (r *ContainerRecord) Unstable() bool { return r.RestartCount > unstableRestarts }

// Values of State in a StateRecord.
const (
	StateWaiting    = "Waiting"
	StateRunning    = "Running"
	StateTerminated = "Terminated"
	StateUnknown    = "Unknown"
)

// StateRecord is the state of a container, at the end or before its last
// restart.
type StateRecord struct {
	// State is one of the State constants.
	State string `json:"state"`
	// ExitCode is there for a terminated container only.
	ExitCode        *int32 `json:"exitCode,omitempty"`
	Signal          int32  `json:"signal,omitempty"`
	Reason          string `json:"reason,omitempty"`
	Message         string `json:"message,omitempty"`
	StartedAt       string `json:"startedAt,omitempty"`
	FinishedAt      string `json:"finishedAt,omitempty"`
	DurationSeconds *int64 `json:"durationSeconds,omitempty"`
}

// CaptureRecord tells how much of a log is stored.
type CaptureRecord struct {
	// Complete is true if every byte of the log is stored.
	Complete bool `json:"complete"`
	// Reason is one of the Reason constants.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// BytesSeen were read, BytesKept of them are stored; as the container
	// wrote them, before they were made readable.
	BytesSeen int64 `json:"bytesSeen"`
	BytesKept int64 `json:"bytesKept"`
	// Exact is where they are stored as the container wrote them; nil where
	// there is none, or only the readable form.
	Exact *ExactRecord `json:"exact,omitempty"`
}

// ExactRecord is where the BytesKept of a log are, in one piece: in what
// api.DataLogsGzip holds compressed or, where there is none, in api.DataLogs.
type ExactRecord struct {
	// Offset is where they start, in bytes.
	Offset int64 `json:"offset"`
	// HeadBytes is how many of them are from before what was left out; the rest
	// is from after it. 0 where nothing was.
	HeadBytes int64 `json:"headBytes,omitempty"`
}
