package e2e

import (
	"path/filepath"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/localcluster"
)

// away is for how long a kubelet does not answer: longer than the grace period
// of the pods on its node.
const away = time.Minute

// kubeletStopped: a pod that is deleted while its kubelet is away goes on until
// that is back; the log is there, to the last words.
func kubeletStopped(s *story) {
	const lines = 10_000
	s.optedIn()
	job := s.start(s.job("cut-off", lastWords+working(lines)).GracePeriod(5))
	s.running(job, 1)
	s.Expect(s.w.cluster.Kill(s.ctx(), localcluster.Kubelet)).To(Succeed())
	s.change(job, func() { job.Spec.ActiveDeadlineSeconds = new(int64(1)) })
	s.eventually(func(g Gomega) {
		g.Expect(s.pods(g, job)).To(HaveExactElements(HaveField("DeletionTimestamp", Not(BeNil()))))
	})
	s.always(away, func(g Gomega) {
		g.Expect(s.now(g, job).Annotations).NotTo(HaveKey(api.StatusAnnotation))
	})
	s.Expect(s.w.cluster.Restart(s.ctx(), localcluster.Kubelet)).To(Succeed())

	job = s.reported(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataReason, batchv1.JobReasonDeadlineExceeded))
	s.wrote(r, printed{lines, gotTerm})
}

// nodeDeleted: with its Node object a pod goes without a word; the results name
// what is missing, and have what the pod made in its place wrote.
func nodeDeleted(s *story) {
	s.optedIn()
	r := s.homeless(api.LogModeFull)
	s.Expect(r.record.Capture.Why).To(MatchRegexp("NodeGone|PodGone|DeletedBeforeCapture|CaptureLost"))
	s.Expect(r.texts()).To(ContainElement(HavePrefix("a new home\n")))
}

// nodeDeletedFollowed: of a log that is followed, a node takes nothing along that was
// read.
func nodeDeletedFollowed(s *story) {
	s.optedIn()
	r := s.homeless(api.LogModeFollow)
	s.Expect(r.texts()).To(HaveExactElements(HavePrefix(numbered(1, homelessLines)), HavePrefix("a new home\n")))
}

// nodeLostForGood: where no other pod is made, the results say that it was the node.
func nodeLostForGood(s *story) {
	s.optedIn()
	job := s.start(s.job("stranded", "while true; do sleep 0.2; done"))
	s.running(job, 1)
	s.loseNode(&s.pods(s, job)[0], func() {})
	r := s.stored(s.reported(job))
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataMessage, And(
		ContainSubstring("; pod stranded-"), ContainSubstring("DeletionByPodGC: PodGC: node no longer exists"))))
}

// homelessLines is how many lines the first pod of homeless writes.
const homelessLines = 10_000

// homeless runs a Job whose first pod loses its node at work, and returns its
// results.
func (s *story) homeless(logMode string) run {
	s.t.Helper()
	job := s.start(s.job("homeless", firstTime+` && { `+lastWords+writes(homelessLines)+`touch /count/written; while true; do sleep 0.2; done; }; echo "a new home"`).
		HostFolder(s.folder("count"), "/count").BackoffLimit(2).Annotation(api.LogModeAnnotation, logMode))
	s.running(job, 1)
	s.eventually(func(g Gomega) { g.Expect(filepath.Join(s.folder("count"), "written")).To(BeAnExistingFile()) })
	s.loseNode(&s.pods(s, job)[0], func() {
		if logMode == api.LogModeFollow {
			s.captured(job)
		}
	})

	s.gone(job)
	r := s.stored(job)
	s.Expect(r.record.Capture.Complete).To(BeFalse())
	s.Expect(r.record.PodCounts.Failed).To(BeEquivalentTo(1))
	s.Expect(s.told(job, corev1.EventTypeWarning)).To(ContainElement(ContainSubstring("incomplete")))
	return r
}

// captured waits until what was captured of the Job is stored beside it: with its
// node the manager that has it goes as well, where there is only one.
func (s *story) captured(job *batchv1.Job) {
	s.t.Helper()
	s.eventually(func(g Gomega) {
		var found corev1.ConfigMapList
		g.Expect(s.w.client.List(s.ctx(), &found, client.InNamespace(job.Namespace),
			client.MatchingLabels{api.CaptureOfLabel: string(job.UID)})).To(Succeed())
		g.Expect(found.Items).NotTo(BeEmpty())
	})
}

// loseNode has a pod's node vanish with its kubelet, and come back when the pod is
// gone and something else has happened.
func (s *story) loseNode(pod *corev1.Pod, happens func()) {
	s.t.Helper()
	s.Expect(s.w.cluster.Kill(s.ctx(), localcluster.Kubelet)).To(Succeed())
	node := &corev1.Node{}
	node.Name = pod.Spec.NodeName
	s.Expect(s.w.client.Delete(s.ctx(), node)).To(Succeed())
	s.eventually(func(g Gomega) {
		err := s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(pod), pod)
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "the pod is there still: %v", err)
	})
	happens()
	s.Expect(s.w.cluster.Restart(s.ctx(), localcluster.Kubelet)).To(Succeed())
	s.allReady()
}
