package e2e

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/results"
)

// once is a script that fails the first time it runs with a folder, and
// succeeds after that.
const once = `mkdir /count/first 2>/dev/null && { echo "first try: no connection"; exit 1; }; echo "second try: done"`

// severalPods: the logs of all pods are in one place, in the order in which
// the pods were created.
func severalPods(s *story) {
	s.optedIn()
	job := s.start(s.job("workers", `echo "this is $HOSTNAME"`).Completions(4, 3).
		Annotation(api.DeleteAfterSuccessAnnotation, api.Never))

	job = s.reported(job)
	pods := s.pods(s, job)
	s.Expect(pods).To(HaveLen(4))
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	var logs []containerLog
	for _, pod := range pods {
		logs = append(logs, containerLog{Pod: pod.Name, Container: "main", Text: "this is " + pod.Name + "\n"})
	}
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.logs()).To(Equal(logs))
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Succeeded: 4, Seen: 4}))
	s.kept(job)
}

// indexed: the results tell which pod was which index.
func indexed(s *story) {
	s.optedIn()
	job := s.start(s.job("shards", `echo "shard $JOB_COMPLETION_INDEX"`).Completions(3, 3).Indexed())

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	texts := map[string]string{}
	for _, log := range r.logs() {
		texts[log.Pod] = log.Text
	}
	of := map[int]string{}
	for _, pod := range r.record.Pods {
		s.Expect(pod.Index).NotTo(BeNil())
		of[*pod.Index] = texts[pod.Name]
	}
	s.Expect(of).To(Equal(map[int]string{0: "shard 0\n", 1: "shard 1\n", 2: "shard 2\n"}))
}

// retriedPod: when a second pod succeeds after the first one failed, the
// results hold both attempts.
func retriedPod(s *story) {
	s.optedIn()
	job := s.start(s.job("flaky", once).HostFolder(s.folder("count"), "/count").BackoffLimit(3))

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataStatus, api.StatusCompleted))
	s.Expect(r.texts()).To(HaveExactElements("first try: no connection\n", "second try: done\n"))
	s.Expect(r.logs()[0].Pod).NotTo(Equal(r.logs()[1].Pod))
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 1, Seen: 2}))
}

// restartedContainer: where the container is restarted in its pod, the results
// tell of both instances. The kubelet removes all ended instances but the last,
// so the log of the first can hardly be had; that is said, and not waited for.
func restartedContainer(s *story) {
	s.optedIn()
	job := s.start(s.job("stubborn", once).HostFolder(s.folder("count"), "/count").
		RestartPolicy(corev1.RestartPolicyOnFailure).BackoffLimit(3))

	s.gone(job)
	r := s.stored(job)
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataStatus, api.StatusCompleted))
	s.Expect(r.record.Pods).To(HaveLen(1))
	pod := r.record.Pods[0]
	s.Expect(pod.Containers).To(HaveLen(1))
	s.Expect(pod.Containers[0].RestartCount).To(BeEquivalentTo(1))
	s.Expect(pod.Containers[0].LastState).To(HaveValue(HaveField("ExitCode", HaveValue(BeEquivalentTo(1)))))

	first := "first try: no connection\n"
	if !r.record.Capture.Complete {
		first = "[job-handler: no log: ContainerGone: the kubelet keeps the last ended instance only]\n"
		s.Expect(r.record.Capture.Why).To(HavePrefix(results.ReasonContainerGone))
	}
	s.Expect(r.logs()).To(Equal([]containerLog{
		{Pod: pod.Name, Container: "main", Previous: true, Text: first},
		{Pod: pod.Name, Container: "main", Text: "second try: done\n"},
	}))
}

// manyContainers: init container, sidecar and two main containers of one pod
// are all there, up to the sidecar's last words.
func manyContainers(s *story) {
	s.optedIn()
	job := s.start(s.job("crew", "echo computed").
		InitContainer("prepare", "echo prepared").
		Sidecar("proxy", `trap 'echo "proxy closed"; exit 0' TERM; echo "proxy open"; while true; do sleep 1; done`).
		Container("upload", "sleep 2; echo uploaded"))

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.record.Pods).To(HaveLen(1))
	pod := r.record.Pods[0]
	s.Expect(r.logs()).To(Equal([]containerLog{
		{Pod: pod.Name, Container: "prepare", Text: "prepared\n"},
		{Pod: pod.Name, Container: "proxy", Text: "proxy open\nproxy closed\n"},
		{Pod: pod.Name, Container: "main", Text: "computed\n"},
		{Pod: pod.Name, Container: "upload", Text: "uploaded\n"},
	}))
	var kinds []results.Kind
	for _, container := range pod.Containers {
		kinds = append(kinds, container.Kind)
	}
	s.Expect(kinds).To(HaveExactElements(results.KindInit, results.KindSidecar, results.KindMain, results.KindMain))
}

// failedInit: where an init container fails, its log is there, and of the main
// container it is said that it never started.
func failedInit(s *story) {
	s.optedIn()
	job := s.start(s.job("blocked", "echo never").InitContainer("prepare", "echo no database; exit 2"))

	job = s.reported(job)
	r := s.stored(job)
	s.Expect(r.record.Pods).To(HaveLen(1))
	pod := r.record.Pods[0]
	s.Expect(r.logs()).To(Equal([]containerLog{
		{Pod: pod.Name, Container: "prepare", Text: "no database\n"},
		{Pod: pod.Name, Container: "main", Text: "[job-handler: no log: NeverStarted: PodInitializing]\n"},
	}))
	s.complete(r)
	s.Expect(r.Data).To(HaveKeyWithValue(api.DataMessage, ContainSubstring(", init container prepare: Error, exit code 2")))
}

// manualSelector: pods that carry no label of the Job controller are found by
// the Job's own selector, and nobody else's pod is taken for one of them.
func manualSelector(s *story) {
	s.optedIn()
	stranger := s.start(s.job("stranger", "echo stranger").TemplateLabel("app", "by-hand").
		Annotation(api.DeleteAfterSuccessAnnotation, api.Never))
	job := s.start(s.job("by-hand", "echo found").ManualSelector("app", "by-hand").
		Annotation(api.DeleteAfterSuccessAnnotation, api.Never))

	job = s.reported(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("found\n"))
	stranger = s.reported(stranger)
	s.Expect(s.stored(stranger).texts()).To(HaveExactElements("stranger\n"))
}

// debugged: the log of an ephemeral container, which somebody put into a pod to
// look at it, is kept with the others.
func debugged(s *story) {
	s.optedIn()
	job := s.start(s.job("stuck", `while test ! -e /count/unstuck; do sleep 0.2; done; echo "moving again"`).
		HostFolder(s.folder("count"), "/count"))
	s.running(job, 1)
	pod := &s.pods(s, job)[0]
	pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debugger", Image: jobtest.Image, Command: []string{"sh", "-c", "echo looked around"},
		},
	})
	s.Expect(s.w.client.SubResource("ephemeralcontainers").Update(s.ctx(), pod)).To(Succeed())
	s.eventually(func(g Gomega) {
		g.Expect(s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Status.EphemeralContainerStatuses).To(ContainElement(
			HaveField("State.Terminated", HaveValue(HaveField("ExitCode", BeZero())))))
	})
	s.Expect(os.Mkdir(filepath.Join(s.folder("count"), "unstuck"), 0o755)).To(Succeed())

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("moving again\n", "looked around\n"))
	s.Expect(r.record.Pods[0].Containers[1].Kind).To(Equal(results.KindEphemeral))
}
