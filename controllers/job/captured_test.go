package job_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/results"
)

// recheck is how soon a Job is looked at again whose captures are waited for.
const recheck = 200 * time.Millisecond

var _ = Describe("Pods that were deleted before their Job ended", func() {
	var (
		h         *handler
		screen    *console
		following context.Context
	)

	BeforeEach(func(ctx SpecContext) {
		h = newHandler()
		screen, h.PodLogs.Captures = newConsole(capture.Options{})
		var cancel context.CancelFunc
		following, cancel = context.WithCancel(context.WithoutCancel(ctx))
		captures := h.PodLogs.Captures
		DeferCleanup(func() {
			cancel()
			captures.Stop()
			Expect(screen.streams()).To(BeZero())
			Expect(h.logs.inUse()).To(BeZero())
		})
	})

	// deleting has the captures see that a pod of the Job is deleted.
	deleting := func(ctx SpecContext, object *batchv1.Job, name string) *corev1.Pod {
		GinkgoHelper()
		pod := addPod(ctx, object, named(name), atWork)
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(30))).To(Succeed())
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		h.PodLogs.Captures.Begin(following, object.UID, pod.DeepCopy(), true)
		return pod
	}
	// gone has them see that it has ended and is gone.
	gone := func(ctx SpecContext, object *batchv1.Job, pod *corev1.Pod) {
		GinkgoHelper()
		screen.end(pod.Name)
		Eventually(func() bool { return h.PodLogs.Captures.Following(object.UID) }).Should(BeFalse())
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		pod = pod.DeepCopy()
		terminate(pod, 143)
		h.PodLogs.Captures.Gone(object.UID, pod)
	}

	It("are in the results with the others, in order of creation", func(ctx SpecContext) {
		object := running(ctx, aJob())
		first := deleting(ctx, object, "first")
		screen.write("first", "working\ngot TERM\n")
		gone(ctx, object, first)
		addPod(ctx, object, named("second"), ended(0))
		object.Status.Failed = 1
		complete(ctx, object, 1)

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		record := recordOf(stored)
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 1, Seen: 2}))
		Expect(record.Pods[0].Name).To(Equal("first"))
		Expect(record.Pods[0].Containers[0].State.ExitCode).To(HaveValue(BeEquivalentTo(143)))
		Expect(stored.Data[api.DataLogs]).To(And(
			HavePrefix("==> pod first,"), ContainSubstring("working\ngot TERM\n"), ContainSubstring("hello from second/main\n")))
		expectGone(ctx, object)
		Expect(h.PodLogs.Captures.Pods(object.UID)).To(BeEmpty(), "what is stored is forgotten")
	})

	It("are waited for while their logs are followed", func(ctx SpecContext) {
		object := running(ctx, aJob())
		pod := deleting(ctx, object, "first")
		fail(ctx, object, 1)

		Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(recheck))
		for range 5 {
			h.step(time.Minute)
			Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(20 * time.Second))
		}
		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(h.logs.readings()).To(BeZero())

		screen.write("first", "last words\n")
		gone(ctx, object, pod)
		h.settle(ctx, object)
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(HaveSuffix("last words\n"))
		Expect(recordOf(expectStored(ctx, object)).Capture.Complete).To(BeTrue())
	})

	It("are not waited for if the Job is being deleted: what there is counts", func(ctx SpecContext) {
		object := running(ctx, aJob())
		pod := deleting(ctx, object, "first")
		screen.write("first", "working\n")
		Eventually(func() []string { return screen.follows() }).Should(HaveLen(1))
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		fail(ctx, object, 1)
		change(ctx, object, func(j *batchv1.Job) { j.Finalizers = []string{"example.com/somebody-else"} })
		Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

		h.settle(ctx, object)

		record := recordOf(expectStored(ctx, object))
		Expect(record.Pods[0].Containers[0].Capture.Reason).To(Equal(results.ReasonStillRunning))
		Expect(screen.streams()).To(BeZero())
	})

	It("that are still there are told of once, with the better log", func(ctx SpecContext) {
		object := running(ctx, aJob())
		pod := deleting(ctx, object, "first")
		screen.write("first", "captured\n")
		screen.end("first")
		Eventually(func() bool { return h.PodLogs.Captures.Following(object.UID) }).Should(BeFalse())
		terminate(pod, 1)
		Expect(kube.Status().Update(ctx, pod)).To(Succeed())
		h.logs.read = everyLog(unreachable)
		fail(ctx, object, 1)

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		Expect(recordOf(stored).PodCounts).To(Equal(results.PodCounts{Failed: 1, Seen: 1}))
		Expect(recordOf(stored).Capture.Complete).To(BeTrue())
		Expect(stored.Data[api.DataLogs]).To(HaveSuffix("captured\n"))
		Expect(h.logs.readings()).To(Equal(1))
	})

	It("that are still there are read as usual where that brings more", func(ctx SpecContext) {
		object := running(ctx, aJob())
		pod := deleting(ctx, object, "first")
		screen.end("first")
		Eventually(func() bool { return h.PodLogs.Captures.Following(object.UID) }).Should(BeFalse())
		terminate(pod, 1)
		pod.Status.ContainerStatuses[0].State.Terminated.ContainerID = "containerd://another"
		Expect(kube.Status().Update(ctx, pod)).To(Succeed())
		fail(ctx, object, 1)

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(HaveSuffix("hello from first/main\n"))
	})

	It("and of which nothing was seen are waited for, as long as the watch may be late, and then counted", func(ctx SpecContext) {
		object := running(ctx, aJob())
		fail(ctx, object, 2)

		for range 5 {
			Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(recheck))
			h.step(recheck)
		}
		never := addPod(ctx, object, named("never"))
		Expect(kube.Delete(ctx, never, client.GracePeriodSeconds(0))).To(Succeed())
		h.PodLogs.Captures.Gone(object.UID, never)
		h.settle(ctx, object)

		record := recordOf(expectStored(ctx, object))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Failed: 2, Seen: 1, Missing: 1}))
		Expect(record.Capture.Why).To(ContainSubstring(results.ReasonPodGone))
		Expect(record.Capture.Why).NotTo(ContainSubstring(results.ReasonNeverStarted), "a pod that never started has no log to lose")
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.CaptureAnnotation, HavePrefix(api.CaptureIncompletePrefix)))
	})

	It("are told of without their logs where none are wanted", func(ctx SpecContext) {
		object := running(ctx, aJob().Annotation(api.LogModeAnnotation, api.LogModeStatus))
		pod := deleting(ctx, object, "first")
		screen.write("first", "hunter2\n")
		gone(ctx, object, pod)
		fail(ctx, object, 1)

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		Expect(recordOf(stored).Capture.Complete).To(BeTrue())
		Expect(stored.Data[api.DataContainers]).To(ContainSubstring("Exit code:    143"))
		Expect(stored.Data[api.DataLogs]).NotTo(ContainSubstring("hunter2"))
	})

	It("are waited for until they have ended, where no logs are wanted", func(ctx SpecContext) {
		object := running(ctx, aJob().Annotation(api.LogModeAnnotation, api.LogModeStatus))
		pod := addPod(ctx, object, named("first"), atWork)
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(30))).To(Succeed())
		fail(ctx, object, 1)

		Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(recheck))
		h.step(time.Minute)
		Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(20 * time.Second))
		Expect(resultsIn(ctx)).To(BeEmpty())

		Expect(kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		terminate(pod, 143)
		Expect(kube.Status().Update(ctx, pod)).To(Succeed())
		h.settle(ctx, object)
		Expect(recordOf(expectStored(ctx, object)).Pods[0].Containers[0].State.ExitCode).To(HaveValue(BeEquivalentTo(143)))
	})

	It("are not waited for longer than logs are, where none are wanted", func(ctx SpecContext) {
		object := running(ctx, aJob().Annotation(api.LogModeAnnotation, api.LogModeStatus))
		pod := addPod(ctx, object, named("first"), atWork)
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(30))).To(Succeed())
		fail(ctx, object, 1)
		Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(recheck))
		h.step(logDeadline)

		h.settle(ctx, object)

		Expect(recordOf(expectStored(ctx, object)).Pods[0].Containers[0].State.State).To(Equal(results.StateRunning))
	})

	It("are there still if storing has to be tried again", func(ctx SpecContext) {
		object := running(ctx, aJob())
		pod := deleting(ctx, object, "first")
		screen.write("first", "last words\n")
		gone(ctx, object, pod)
		fail(ctx, object, 1)
		h.before = failing(createResults, errCrash)
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))

		h.before = nil
		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(HaveSuffix("last words\n"))
	})

	It("are in the results that a process before stored", func(ctx SpecContext) {
		object := running(ctx, aJob())
		pod := deleting(ctx, object, "first")
		screen.write("first", "last words\n")
		gone(ctx, object, pod)
		fail(ctx, object, 1)
		h.before = failing(patchJob, errCrash)
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))

		h.restarted().settle(ctx, object)

		Expect(onlyResults(ctx).Data[api.DataLogs]).To(HaveSuffix("last words\n"))
	})
})

// atWork has the pod be on a node, with all containers running.
func atWork(pod *corev1.Pod) {
	pod.Spec.NodeName = "node-1"
	pod.Status.Phase = corev1.PodRunning
	for _, container := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: "sha256:abc", ContainerID: "containerd://" + container.Name,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(time.Now().Add(-ran))}},
		})
	}
}

// terminate has all containers of the pod have ended.
func terminate(pod *corev1.Pod, exitCode int32) {
	pod.Status.Phase = corev1.PodFailed
	for i := range pod.Status.ContainerStatuses {
		status := &pod.Status.ContainerStatuses[i]
		status.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: exitCode, Reason: "Error", ContainerID: status.ContainerID,
			StartedAt: metav1.NewTime(time.Now().Add(-ran)), FinishedAt: metav1.Now(),
		}}
	}
}
