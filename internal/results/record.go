package results

// Record is the content of job.json. Times are RFC 3339 in UTC. Text of users
// and of the kubelet is readable text of bounded length.
type Record struct {
	// Schema names this schema. Later versions of it may add fields and change
	// none.
	Schema string `json:"schema"`
	// Job is the Job whose run this is.
	Job JobRecord `json:"job"`
	// Status is how the Job ended.
	Status string `json:"status"`
	// Reason is that of the Job's terminal condition.
	Reason string `json:"reason,omitempty"`
	// Message is that of the Job's terminal condition and, of a Job that failed, the
	// explanation.
	Message string `json:"message,omitempty"`
	// Explanation is the reason that explains most why the Job failed; absent where
	// nothing explains more than the condition.
	Explanation *ExplanationRecord `json:"explanation,omitempty"`
	// StartTime is when the Job started; absent if it never did.
	StartTime string `json:"startTime,omitempty"`
	// CompletionTime is when the Job completed or failed.
	CompletionTime string `json:"completionTime,omitempty"`
	// DurationSeconds is the time from start to end in whole seconds.
	DurationSeconds *int64 `json:"durationSeconds,omitempty"`
	// LogMode is how much of the logs was to be read.
	LogMode string `json:"logMode"`
	// Capture tells whether all logs of the run are stored.
	Capture RunCapture `json:"capture"`
	// Redacted counts by rule what was replaced in logs and messages.
	Redacted map[string]int64 `json:"redacted,omitempty"`
	// OwnResults is there if a container reported results of its own.
	OwnResults *OwnRecord `json:"ownResults,omitempty"`
	// PodCounts counts the run's pods.
	PodCounts PodCounts `json:"podCounts"`
	// Pods has the pods that have a container in detail, in order of creation.
	Pods []PodRecord `json:"pods"`
	// Omitted counts what the list of pods leaves out of those seen, for size.
	Omitted OmittedRecords `json:"omitted"`
	// Events has the Warning Events of the Job and its pods, in order of when they were
	// seen last; of a Job that failed, or of which a pod never started.
	Events []EventRecord `json:"events,omitempty"`
	// EventsNote says why Events may not be all there were.
	EventsNote string `json:"eventsNote,omitempty"`
}

// ExplanationRecord is the reason that explains most why a Job failed.
type ExplanationRecord struct {
	// Reason is one word, such as ErrImagePull, OOMKilled or FailedMount.
	Reason string `json:"reason,omitempty"`
	// Pod is the pod that it is about; absent if it is about the Job.
	Pod string `json:"pod,omitempty"`
	// Container is the container that it is about, if it is about one.
	Container string `json:"container,omitempty"`
	// ExitCode is how the container ended, if it did.
	ExitCode *int32 `json:"exitCode,omitempty"`
	// Text is all of that on one line, with what the scheduler, the kubelet, a
	// controller or the program said.
	Text string `json:"text"`
}

// EventRecord is a Warning Event, or several that differ in their times only.
type EventRecord struct {
	// Kind is the kind of what it is about, Job or Pod.
	Kind string `json:"kind"`
	// Name is the name of what it is about.
	Name string `json:"name"`
	// Reason is the Event's reason.
	Reason string `json:"reason"`
	// Message is the Event's message.
	Message string `json:"message,omitempty"`
	// Count is how often it was seen.
	Count int `json:"count"`
	// FirstSeen is when it was seen first.
	FirstSeen string `json:"firstSeen,omitempty"`
	// LastSeen is when it was seen last.
	LastSeen string `json:"lastSeen,omitempty"`
}

// JobRecord names the Job.
type JobRecord struct {
	// Name is the Job's name.
	Name string `json:"name"`
	// Namespace is the Job's namespace.
	Namespace string `json:"namespace"`
	// UID is the Job's UID, which tells runs of one name apart.
	UID string `json:"uid"`
	// CronJob is the name of the CronJob that made the Job.
	CronJob string `json:"cronJob,omitempty"`
}

// RunCapture tells whether all logs of the run are stored.
type RunCapture struct {
	// Complete is true if no log is missing or shortened.
	Complete bool `json:"complete"`
	// Why names the causes, those that could heal first.
	Why string `json:"why,omitempty"`
	// Retryable is true if another attempt later might have found more.
	Retryable bool `json:"curable,omitempty"`
}

// PodCounts counts the run's pods.
type PodCounts struct {
	// Succeeded is how many the Job's status counts as succeeded.
	Succeeded int32 `json:"succeeded"`
	// Failed is how many the Job's status counts as failed.
	Failed int32 `json:"failed"`
	// Seen is how many were there when the results were built, or were seen when
	// they were deleted before.
	Seen int `json:"seen"`
	// Missing is how many the Job's status counts of which nothing is known.
	Missing int `json:"missing"`
	// MayBeMissing is how many more may be missing: the Job does not tell of each pod
	// seen whether its status counts it.
	MayBeMissing int `json:"mayBeMissing,omitempty"`
}

// OmittedRecords counts what Pods leaves out of the pods seen, for size.
type OmittedRecords struct {
	// Pods is how many pods are left out whole.
	Pods int `json:"pods"`
	// Containers is how many containers are left out, those of such pods
	// included.
	Containers int `json:"containers"`
}

// PodRecord is one pod.
type PodRecord struct {
	// Name is the pod's name.
	Name string `json:"name"`
	// UID is the pod's UID.
	UID string `json:"uid"`
	// Node is where the pod ran; absent if it was never scheduled.
	Node string `json:"node,omitempty"`
	// Phase is the pod's phase.
	Phase string `json:"phase,omitempty"`
	// Reason is that of the pod's status, such as Evicted.
	Reason string `json:"reason,omitempty"`
	// Message is that of the pod's status.
	Message string `json:"message,omitempty"`
	// Index is the completion index in an Indexed Job.
	Index *int `json:"index,omitempty"`
	// CreatedAt is when the pod was created.
	CreatedAt string `json:"createdAt,omitempty"`
	// Containers has the pod's containers that are in detail: init containers
	// and sidecars, main ones, ephemeral ones.
	Containers []ContainerRecord `json:"containers"`
}

// ContainerRecord is one container of a pod.
type ContainerRecord struct {
	// Name is the container's name.
	Name string `json:"name"`
	// Kind is the part that the container plays in its pod.
	Kind Kind `json:"kind"`
	// Image is the image asked for.
	Image string `json:"image,omitempty"`
	// ImageID is the image that ran, with its digest.
	ImageID string `json:"imageID,omitempty"`
	// Ready is whether the container was ready.
	Ready bool `json:"ready"`
	// Started is whether the container had passed its startup probe.
	Started bool `json:"started"`
	// RestartCount is how often the container was restarted.
	RestartCount int32 `json:"restartCount"`
	// EarlierInstances counts those before the previous one that Instances does not
	// list: their logs are gone.
	EarlierInstances int `json:"earlierInstances,omitempty"`
	// Instances lists those before the previous one that were seen to end, or of which
	// something was read, the first one first: of many the first and the last ones.
	Instances []InstanceRecord `json:"instances,omitempty"`
	// State is the state in which the container was seen last.
	State StateRecord `json:"state"`
	// LastState is how the instance before the last restart ended.
	LastState *StateRecord `json:"lastState,omitempty"`
	// Capture is about the log of the last instance.
	Capture CaptureRecord `json:"capture"`
	// PreviousCapture is about the log of the instance before the last restart.
	PreviousCapture *CaptureRecord `json:"previousCapture,omitempty"`
}

// InstanceRecord is an instance of a container before the previous one.
type InstanceRecord struct {
	// ContainerID is the container's ID, as the kubelet told it.
	ContainerID string `json:"containerID,omitempty"`
	// Restart is how often the container had been restarted when this instance started:
	// 0 for the first one; absent where that is not known.
	Restart *int32 `json:"restart,omitempty"`
	// State is how it ended; Unknown where that was not seen.
	State StateRecord `json:"state"`
	// Capture is about its log.
	Capture CaptureRecord `json:"capture"`
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
	// State is the kind of state; Unknown where the kubelet told of none.
	State string `json:"state"`
	// ExitCode is there for a terminated container only.
	ExitCode *int32 `json:"exitCode,omitempty"`
	// Signal is the signal that ended the container, where the runtime tells.
	Signal int32 `json:"signal,omitempty"`
	// Reason is the kubelet's, such as Completed, Error, OOMKilled or
	// ImagePullBackOff.
	Reason string `json:"reason,omitempty"`
	// Message is the kubelet's or, of a container that terminated, the one that
	// it left behind; shortened only where many containers left long ones.
	Message string `json:"message,omitempty"`
	// StartedAt is when this instance started.
	StartedAt string `json:"startedAt,omitempty"`
	// FinishedAt is when it ended.
	FinishedAt string `json:"finishedAt,omitempty"`
	// DurationSeconds is the time between the two in whole seconds.
	DurationSeconds *int64 `json:"durationSeconds,omitempty"`
}

// CaptureRecord tells how much of a log is stored.
type CaptureRecord struct {
	// Complete is true if every byte of the log is stored.
	Complete bool `json:"complete"`
	// Reason names in one word why the log is not complete, or is empty.
	Reason string `json:"reason,omitempty"`
	// Message says the same in words.
	Message string `json:"message,omitempty"`
	// BytesSeen is how many bytes were read, as the container wrote them, after
	// redaction.
	BytesSeen int64 `json:"bytesSeen"`
	// BytesKept is how many of those are stored, before they were made readable.
	BytesKept int64 `json:"bytesKept"`
	// Redacted is how often something was replaced in the log.
	Redacted int64 `json:"redacted,omitempty"`
	// Exact is where they are stored as the container wrote them; absent where
	// there is none, or only the readable form.
	Exact *ExactRecord `json:"exact,omitempty"`
}

// ExactRecord is where the bytes kept of a log are, in one piece: in what
// logs.gz holds compressed or, where there is none, in logs.
type ExactRecord struct {
	// Offset is where they start, in bytes.
	Offset int64 `json:"offset"`
	// HeadBytes is how many of them are from before what was left out; the rest
	// is from after it. 0 where nothing was.
	HeadBytes int64 `json:"headBytes,omitempty"`
}
