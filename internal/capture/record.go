package capture

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// Keys of the values of a Batch.
const (
	// PodsKey holds a podRecord for each pod as JSON, one after the other, compressed
	// by gzip.
	PodsKey = "pods.gz"
	// LogsKey holds the logs, each compressed by gzip, one after the other in the
	// order in which the records tell of them.
	LogsKey = "logs.gz"
)

// podRecord is what is stored of a pod.
type podRecord struct {
	Pod *corev1.Pod `json:"pod"`
	// Logs are those that were followed.
	Logs []logRecord `json:"logs,omitempty"`
}

// logRecord is what is stored of a log, beside its text.
type logRecord struct {
	Container string `json:"container"`
	Instance  string `json:"instance,omitempty"`
	Previous  bool   `json:"previous,omitempty"`

	Capture  captureRecord `json:"capture"`
	Redacted redact.Counts `json:"redacted,omitempty"`

	// Head and Tail are the bytes of text before and behind what was left out, Size
	// is how many they are compressed.
	Head int64      `json:"head"`
	Tail int64      `json:"tail,omitempty"`
	Gap  *gapRecord `json:"gap,omitempty"`
	Size int64      `json:"size"`
}

// gapRecord is a logtext.Gap.
type gapRecord struct {
	Bytes    int64 `json:"bytes"`
	Newlines int64 `json:"newlines"`
	Last     byte  `json:"last"`
}

// captureRecord is a results.Capture.
type captureRecord struct {
	Complete bool   `json:"complete,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Message  string `json:"message,omitempty"`
	Curable  bool   `json:"curable,omitempty"`
}

func newLogRecord(l *followedLog) logRecord {
	return logRecord{
		Container: l.container, Instance: l.instance, Previous: l.previous,
		Capture: captureRecord(l.capture), Redacted: l.redacted,
	}
}

func (r *logRecord) setGap(gap logtext.Gap) {
	if gap.Bytes > 0 {
		r.Gap = &gapRecord{Bytes: gap.Bytes, Newlines: gap.Newlines, Last: gap.Last}
	}
}

func (r *logRecord) gap() logtext.Gap {
	if r.Gap == nil {
		return logtext.Gap{}
	}
	return logtext.Gap{Bytes: r.Gap.Bytes, Newlines: r.Gap.Newlines, Last: r.Gap.Last}
}

// slim returns what results tell of a pod, without what its labels, annotations
// and environment may hold beside that, and with its messages redacted.
func slim(object *corev1.Pod, rules *redact.Set) *corev1.Pod {
	s := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: object.Namespace, Name: object.Name, UID: object.UID, CreationTimestamp: object.CreationTimestamp,
			DeletionTimestamp: object.DeletionTimestamp, DeletionGracePeriodSeconds: object.DeletionGracePeriodSeconds,
		},
		Spec: corev1.PodSpec{
			NodeName: object.Spec.NodeName, RestartPolicy: object.Spec.RestartPolicy,
			InitContainers: slimContainers(object.Spec.InitContainers), Containers: slimContainers(object.Spec.Containers),
		},
		Status: corev1.PodStatus{
			Phase: object.Status.Phase, Reason: object.Status.Reason, Message: object.Status.Message,
			InitContainerStatuses: object.Status.InitContainerStatuses, ContainerStatuses: object.Status.ContainerStatuses,
			EphemeralContainerStatuses: object.Status.EphemeralContainerStatuses,
		},
	}
	if index, indexed := object.Annotations[batchv1.JobCompletionIndexAnnotation]; indexed {
		s.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: index}
	}
	if owner := metav1.GetControllerOf(object); owner != nil {
		s.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	if tracked(object) {
		s.Finalizers = []string{batchv1.JobTrackingFinalizer}
	}
	for _, c := range object.Spec.EphemeralContainers {
		s.Spec.EphemeralContainers = append(s.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: c.Name, Image: c.Image},
		})
	}
	for _, c := range object.Status.Conditions {
		switch c.Type {
		case corev1.PodScheduled:
			c.Message, _ = rules.String(c.Message)
			s.Status.Conditions = append(s.Status.Conditions, c)
		case corev1.DisruptionTarget:
			s.Status.Conditions = append(s.Status.Conditions, corev1.PodCondition{Type: c.Type, Status: c.Status})
		}
	}
	return results.RedactPod(rules, s)
}

func slimContainers(containers []corev1.Container) []corev1.Container {
	slimmed := make([]corev1.Container, 0, len(containers))
	for _, c := range containers {
		slimmed = append(slimmed, corev1.Container{Name: c.Name, Image: c.Image, RestartPolicy: c.RestartPolicy})
	}
	return slimmed
}
