package results

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/why"
)

// Run is everything that Build needs to know of one finished Job. Build reads
// it and changes nothing in it.
type Run struct {
	// Job is the Job itself; not nil.
	Job *batchv1.Job
	// Outcome is jobstatus.Of(Job); it must be Finished.
	Outcome jobstatus.Outcome
	// Pods are the run's pods that could still be seen, and those that were seen
	// when they were deleted, in any order.
	Pods []Pod
	// MissingPods counts the pods that the Job's status counts and that are
	// not in Pods: their logs are lost.
	MissingPods int
	// PerhapsMissingPods is how many more may be missing: the Job does not tell of each
	// of Pods whether its status counts it.
	PerhapsMissingPods int
	// LogMode is api.LogModeStatus, api.LogModeFull or api.LogModeFollow; "" means full.
	LogMode string
	// Labels are the Job's labels to copy, already chosen. Keys of Job Handler
	// and job-name are dropped.
	Labels map[string]string
	// CronJob is the name of the CronJob that made the Job, or "".
	CronJob string
	// CreatedAt is the time of building.
	CreatedAt time.Time
	// ExpiresAt is when the results may be deleted, or nil: never.
	ExpiresAt *time.Time
	// Events are the Warning Events of the Job and its pods, as why.Merge left them;
	// EventsNote says why some may not be there, "" if all are.
	Events     []why.Event
	EventsNote string
	// Redact replaces credentials in messages of the Job, its pods, containers and
	// Events; nil: none. Logs are redacted as they are read.
	Redact *redact.Set
	// MaxBytes bounds the sum of all values, those of parts included, in bytes. 0
	// means api.MaxResultsBytes, which is what one object can hold; more than that
	// allows parts, up to api.MostResultsBytes. Less than MinBytes means MinBytes:
	// it is how results are stored that an API server found too large.
	MaxBytes int
	// MaxLogBytes bounds what logs take of that, in bytes, where results take more
	// than they may; 0: no further bound. MaxLogReason is why then:
	// ReasonNamespaceBudget, which "" means too, or ReasonClusterBudget.
	MaxLogBytes  int
	MaxLogReason string

	// redacted counts what was replaced in messages and in logs.
	redacted redact.Counts
	// explanation is what explains most why the Job failed.
	explanation why.Explanation
	// keptEvents are those of Events that have room.
	keptEvents []why.Event
}

// Pod is one pod of a run and what was read of its logs.
type Pod struct {
	// Pod is not nil.
	Pod *corev1.Pod
	// Logs has at most one element for each container and instance, in any order but
	// for those of earlier instances, of which the first comes first. A container without one counts as not read, unless the run's
	// LogMode is api.LogModeStatus.
	Logs []ContainerLog
}

// ContainerLog is what was read of the log of one instance of a container.
type ContainerLog struct {
	// Container is the container's name.
	Container string
	// Previous marks the instance before the last restart.
	Previous bool
	// InstanceID is the container's ID as the kubelet tells it; "" if it does not.
	InstanceID string
	// Earlier is what is known of an instance before the previous one; nil for others.
	Earlier *Instance
	// Text is the raw log; nil where nothing was read.
	Text *logtext.Buffer
	// Packed is the same log compressed, where Text cannot keep all of it; else
	// nil. It is closed.
	Packed *logpack.Log
	// Redacted counts what was replaced in it.
	Redacted redact.Counts
	// Capture tells whether Text is all there was.
	Capture Capture
}

// Objects returns the pods of the run as the API has them.
func (run *Run) Objects() []*corev1.Pod {
	pods := make([]*corev1.Pod, 0, len(run.Pods))
	for _, pod := range run.Pods {
		pods = append(pods, pod.Pod)
	}
	return pods
}

// Capture tells whether a log was read whole, and if not, why.
type Capture struct {
	// Complete is true if every byte that the container wrote was read. What
	// had to be left out for size is Build's to find out.
	Complete bool
	// Reason is one of the Reason constants; "" if there is nothing to say.
	Reason string
	// Message says it in words; it may hold what a server answered.
	Message string
	// Retryable is true if another attempt later might find more.
	Retryable bool
}

// mayHeal reports whether something is missing that another attempt might find.
func (c Capture) mayHeal() bool { return c.Retryable && !c.Complete }

// NodeGrace is for how long a log is tried again whose Node object is gone: it may
// have been deleted by mistake, or for a moment, and register again. As a rule
// Kubernetes deletes such a node's pods within that time.
const NodeGrace = time.Minute

// Reasons for which a log is not complete, or empty, as in job.json.
const (
	// ReasonLogUnavailable: the log endpoint refused, failed or sent an error
	// text for a log. A retry may help.
	ReasonLogUnavailable = "LogUnavailable"
	// ReasonNodeUnreachable: the API server could not reach the kubelet. A retry may help.
	ReasonNodeUnreachable = "NodeUnreachable"
	// ReasonLogForbidden: the manager may not read pods/log. A retry may help.
	ReasonLogForbidden = "LogForbidden"
	// ReasonLogNotServed: the node serves no logs (it answers 405 or 501), as some
	// virtual nodes. A retry does not help.
	ReasonLogNotServed = "LogNotServed"
	// ReasonStalled: the stream brought no byte for the idle timeout. A retry may help.
	ReasonStalled = "Stalled"
	// ReasonEndedEarly: the stream ended cleanly before the log did. A retry may help.
	ReasonEndedEarly = "EndedEarly"
	// ReasonStillRunning: the container was running when its log was read.
	// A retry may help while its pod is not in a final phase.
	ReasonStillRunning = "StillRunning"
	// ReasonNotReady: the container ran but was not ready, so it was not read.
	// A retry may help while its pod is not in a final phase.
	ReasonNotReady = "NotReady"
	// ReasonNotWanted: log-mode status asks for no log. Counts as complete.
	ReasonNotWanted = "NotWanted"
	// ReasonNotStartedAgain: after a restart the container was waiting, so its
	// last instance has no log; the previous one has. Counts as complete.
	ReasonNotStartedAgain = "NotStartedAgain"
	// ReasonNotRead: the manager did not try to read the log, or had no time left to
	// read all of it. A retry may help.
	ReasonNotRead = "NotRead"
	// ReasonNotFollowed: the manager could not follow the log, since it followed as
	// many others as it may, and could not read it at the end. A retry may help while
	// the pod is there.
	ReasonNotFollowed = "NotFollowed"
	// ReasonNeverStarted: the container never ran, so that there is no log to lose.
	// Counts as complete, unless its node did not report the end of the pod.
	ReasonNeverStarted = "NeverStarted"
	// ReasonContainerGone: the kubelet removed the container and its log, or started it
	// again before the log of the instance before was read. A retry does not help.
	ReasonContainerGone = "ContainerGone"
	// ReasonRotatedHead: the kubelet probably rotated the log, so its beginning cannot
	// be read. A retry does not help.
	ReasonRotatedHead = "RotatedHead"
	// ReasonRotatedGap: the kubelet rotated the log while it was being followed and
	// could not be read, so that lines may be missing in the middle. A retry does not help.
	ReasonRotatedGap = "RotatedGap"
	// ReasonPodGone: the pod is gone, and its logs with it. A retry does not help.
	ReasonPodGone = "PodGone"
	// ReasonPodMayBeMissing: a pod may be gone without a trace, since the Job does not
	// tell of each known pod whether its status counts it. A retry does not help.
	ReasonPodMayBeMissing = "PodMayBeMissing"
	// ReasonNodeGone: the Node object is gone, and did not register again within a
	// minute. A retry does not help.
	ReasonNodeGone = "NodeGone"
	// ReasonInstancesGone: the container restarted more than once. Logs of instances
	// before the previous one were removed before they were read, or were too many to
	// keep. A retry does not help.
	ReasonInstancesGone = "InstancesGone"
	// ReasonDeletedBeforeCapture: the pod was deleted before its Job ended, and
	// before its logs were read. A retry does not help.
	ReasonDeletedBeforeCapture = "DeletedBeforeCapture"
	// ReasonEndNotSeen: the manager followed the log until its stream ended, but the
	// container was not reported to have ended. A retry does not help.
	ReasonEndNotSeen = "EndNotSeen"
	// ReasonNotCompared: the manager read the log until its stream ended, and the
	// container has ended. The pod was gone, or the container had started again, before
	// the end of the log could be read again to compare. Nothing is known to be missing.
	// A retry does not help.
	ReasonNotCompared = "NotCompared"
	// ReasonCaptureLimit: the pod was deleted while the manager followed as many logs as
	// it may, or the manager closed the stream to follow other logs. A retry does not
	// help.
	ReasonCaptureLimit = "CaptureLimit"
	// ReasonCaptureLost: the log was captured and saved beside the Job, and the saved
	// copy is gone or not whole. A retry does not help.
	ReasonCaptureLost = "CaptureLost"
	// ReasonShortenedToFit: the log was read whole but did not fit. A retry does not help.
	ReasonShortenedToFit = "ShortenedToFit"
	// ReasonNamespaceBudget: the log was read whole, but only a little of new logs is kept
	// while the results of the namespace exceed their budget. A retry does not help.
	ReasonNamespaceBudget = "NamespaceBudget"
	// ReasonClusterBudget: the log was read whole, but only a little of new logs is kept
	// while the results of all namespaces exceed their budget. A retry does not help.
	ReasonClusterBudget = "ClusterBudget"
)
