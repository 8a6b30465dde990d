package e2e

import (
	"bytes"
	"fmt"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/results"
)

// theFirstEnds is a script that has the pod with index 0 end with this code when
// both others are at work, and those write so many lines and work until they are
// told to end.
func theFirstEnds(code, lines int) string {
	return fmt.Sprintf(`[ $JOB_COMPLETION_INDEX = 0 ] && { until [ -e /seen/1 ] && [ -e /seen/2 ]; do sleep 0.2; done; `+
		`echo "decided"; exit %d; }; `, code) + lastWords + `touch /seen/$JOB_COMPLETION_INDEX; ` + working(lines)
}

// decidedBy wants the results of three pods of which that with this index decided,
// with these words, and the others were deleted at work, after so many lines, to
// have all that they wrote.
func (s *story) decidedBy(r run, index int, words string, lines int) {
	s.t.Helper()
	s.Expect(r.record.Pods).To(HaveLen(3))
	var want []printed
	for _, pod := range r.record.Pods {
		if *pod.Index == index {
			want = append(want, printed{rest: words})
		} else {
			want = append(want, printed{lines, gotTerm})
		}
	}
	s.wroteUntilDeleted(r, want...)
}

// podFailurePolicy: an exit code that fails the Job at once has the pods deleted
// that were still at work.
func podFailurePolicy(s *story) {
	const lines = 1000
	s.optedIn()
	b := s.job("strict", theFirstEnds(42, lines)).HostFolder(s.folder("seen"), "/seen").
		Completions(3, 3).Indexed().BackoffLimit(6)
	b.Obj().Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action: batchv1.PodFailurePolicyActionFailJob,
		OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{42},
		},
	}}}
	job := s.reported(s.start(b))
	r := s.stored(job)
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataReason, batchv1.JobReasonPodFailurePolicy))
	s.decidedBy(r, 0, "decided\n", lines)
	s.kept(job)
}

// successPolicy: a Job that succeeds with one of its pods has the others deleted,
// and then goes itself; their last words are there.
func successPolicy(s *story) {
	const lines = 100
	s.optedIn()
	b := s.job("race", theFirstEnds(0, lines)).HostFolder(s.folder("seen"), "/seen").Completions(3, 3).Indexed()
	b.Obj().Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededIndexes: new("0")}}}
	job := s.start(b)

	s.gone(job)
	r := s.stored(job)
	s.Expect(r.Data).To(And(
		HaveKeyWithValue(api.DataStatus, api.StatusCompleted),
		HaveKeyWithValue(api.DataReason, batchv1.JobReasonSuccessPolicy)))
	s.decidedBy(r, 0, "decided\n", lines)
}

// preempted: a pod that makes room for a more important one is an attempt like
// any other; its last words are in the results.
func preempted(s *story) {
	const lines = 10_000
	s.optedIn()
	var nodes corev1.NodeList
	s.Expect(s.w.client.List(s.ctx(), &nodes)).To(Succeed())
	most := resource.NewMilliQuantity(nodes.Items[0].Status.Allocatable.Cpu().MilliValue()*6/10, resource.DecimalSI)
	wanting := func(pod *corev1.PodSpec) {
		pod.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: *most}
	}
	s.create(&schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "story-" + s.namespace}, Value: 1000})

	b := s.job("modest", firstTime+` && { `+lastWords+working(lines)+`; }; echo "my turn again"`).
		HostFolder(s.folder("count"), "/count").BackoffLimit(2)
	wanting(&b.Obj().Spec.Template.Spec)
	job := s.start(b)
	s.running(job, 1)
	important := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "important"},
		Spec:       jobtest.MakeJob("", "").Script("sleep 1000").GracePeriod(0).Obj().Spec.Template.Spec,
	}
	important.Spec.PriorityClassName = "story-" + s.namespace
	wanting(&important.Spec)
	s.create(important)
	s.eventually(func(g Gomega) {
		s.refresh(important)
		g.Expect(important.Status.Phase).To(Equal(corev1.PodRunning))
	})
	s.Expect(s.w.client.Delete(s.ctx(), important)).To(Succeed())

	s.gone(job)
	r := s.stored(job)
	s.wroteUntilDeleted(r, printed{lines, gotTerm}, printed{rest: "my turn again\n"})
}

// preemptedForGood: where no other pod is made, the results say for what the pod had to
// go. Both pods want something that the node has once.
func preemptedForGood(s *story) {
	s.optedIn()
	const turn = "example.com/turn"
	one := corev1.ResourceList{turn: resource.MustParse("1")}
	var nodes corev1.NodeList
	s.Expect(s.w.client.List(s.ctx(), &nodes)).To(Succeed())
	patch := []byte(`{"status":{"capacity":{"` + turn + `":"1"},"allocatable":{"` + turn + `":"1"}}}`)
	s.Expect(s.w.client.Status().Patch(s.ctx(), &nodes.Items[0], client.RawPatch(types.MergePatchType, patch))).To(Succeed())
	wanting := func(pod *corev1.PodSpec) {
		pod.Containers[0].Resources = corev1.ResourceRequirements{Requests: one, Limits: one}
	}
	s.create(&schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "story-" + s.namespace}, Value: 1000})

	b := s.job("modest", "while true; do sleep 0.2; done").GracePeriod(1)
	wanting(&b.Obj().Spec.Template.Spec)
	job := s.start(b)
	s.running(job, 1)
	important := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "important"},
		Spec:       jobtest.MakeJob("", "").Script("true").Obj().Spec.Template.Spec,
	}
	important.Spec.PriorityClassName = "story-" + s.namespace
	wanting(&important.Spec)
	s.create(important)

	r := s.stored(s.reported(job))
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataMessage, MatchRegexp(`; pod modest-.*: PreemptionByScheduler: .*preempting to accommodate a higher priority pod`)))
}

// longGoodbye: what a program writes while it takes its time to end, of the
// minute that it has, is there.
func longGoodbye(s *story) {
	const written = 1000
	s.optedIn()
	job := s.start(s.job("tidy", `trap 'for i in 1 2 3 4 5 6 7 8; do echo "closing $i"; sleep 1; done; exit 1' TERM; `+working(written)).
		GracePeriod(60))
	s.overdue(job)

	r := s.stored(s.reported(job))
	s.wroteUntilDeleted(r, printed{written, closing(8)})
	s.Expect(r.Data[api.DataContainers]).To(ContainSubstring("Exit code:    1\n"))
}

func closing(n int) string {
	var said []string
	for i := range n {
		said = append(said, fmt.Sprintf("closing %d", i+1))
	}
	return lines(said...)
}

// evictedByKubelet: a pod that takes more of the node's disk than it may is ended
// by the kubelet, which removes its log right after it told of the end. Whoever
// was quicker, the results say so: they hold all of the log, or why there is none.
func evictedByKubelet(s *story) {
	s.optedIn()
	job := s.start(s.greedy())
	s.running(job, 1)
	s.open("open")
	job = s.reported(job)
	r := s.stored(job)
	s.Expect(r.record.Pods).To(HaveLen(1))
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataMessage, MatchRegexp(`; pod greedy-.*: Evicted: .*scratch.* exceeds the limit`)))
	if r.record.Capture.Complete {
		s.complete(r)
		// It has a second for its last words, which may be too short on a busy node.
		s.Expect(s.written(r)).To(ConsistOf(BeElementOf(numbered(1, greedyLines), numbered(1, greedyLines)+gotTerm)))
		return
	}
	s.incomplete(job, r, results.ReasonContainerGone)
	for _, text := range r.texts() {
		s.Expect(text).To(HavePrefix("[job-handler: "), "what was written is there")
	}
}

// followedAndEvicted: of a log that is followed, such a pod takes nothing along
// that was read.
func followedAndEvicted(s *story) {
	s.optedIn()
	job := s.start(s.greedy().Annotation(api.LogModeAnnotation, api.LogModeFollow))
	s.running(job, 1)
	s.followed(job)
	s.open("open")
	job = s.reported(job)
	r := s.stored(job)
	s.Expect(r.record.Pods).To(HaveLen(1))
	s.Expect(r.texts()).To(ContainElement(HavePrefix(numbered(1, greedyLines))))
}

// greedyLines is how many lines greedy writes.
const greedyLines = 10_000

// followed waits until the API server sends the log of a pod of the Job to the
// manager while it is written, as its audit log says.
func (s *story) followed(job *batchv1.Job) {
	s.t.Helper()
	log := fmt.Appendf(nil, "/namespaces/%s/pods/%s-", job.Namespace, job.Name)
	s.eventually(func(g Gomega) {
		requests, err := s.w.requests()
		g.Expect(err).NotTo(HaveOccurred())
		sent := false
		for line := range bytes.Lines(requests) {
			sent = sent || bytes.Contains(line, log) && bytes.Contains(line, []byte("follow=true")) && bytes.Contains(line, []byte("ResponseStarted"))
		}
		g.Expect(sent).To(BeTrue(), "no log of the Job is followed")
	})
}

// greedy is a Job that writes numbered lines, and when the gate was opened, and what
// was written could be read, more into a volume than that may have.
func (s *story) greedy() *jobtest.JobBuilder {
	b := s.job("greedy", lastWords+writes(greedyLines)+
		`until [ -e /gate/open ]; do sleep 0.2; done; sleep 5; head -c 4194304 /dev/zero >/scratch/full; while true; do sleep 0.2; done`).HostFolder(s.folder("gates"), "/gate")
	pod := &b.Obj().Spec.Template.Spec
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: resource.NewQuantity(1<<20, resource.BinarySI)},
	}})
	pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "scratch", MountPath: "/scratch"})
	return b
}
