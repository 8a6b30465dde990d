package job_test

import (
	"context"

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

var _ = Describe("The controller in a manager, of pods that are deleted,", func() {
	var (
		fake   *logs
		screen *console
	)

	BeforeEach(func() {
		fake = &logs{}
		screen, fake.captures = newConsole(capture.Options{})
		DeferCleanup(func() { Expect(screen.streams()).To(BeZero()) })
	})

	// remove tells a pod to end, as a user or a controller does.
	remove := func(ctx context.Context, pod *corev1.Pod) {
		GinkgoHelper()
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(30))).To(Succeed())
	}
	// kill does what the kubelet does then: it ends the containers, says so, and
	// has the pod go.
	kill := func(ctx context.Context, pod *corev1.Pod) {
		GinkgoHelper()
		screen.write(pod.Name, "got TERM\n")
		screen.end(pod.Name)
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		terminate(pod, 143)
		Expect(kube.Status().Update(ctx, pod)).To(Succeed())
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
	}
	stored := func(ctx context.Context, object *batchv1.Job) {
		GinkgoHelper()
		Eventually(ctx, func(g Gomega) {
			now := &batchv1.Job{}
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
			g.Expect(now.Annotations).To(HaveKey(api.StatusAnnotation))
		}).Should(Succeed())
	}
	followed := func(ctx context.Context, pods ...string) {
		GinkgoHelper()
		Eventually(ctx, screen.follows).Should(ConsistOf(pods))
	}

	// startWatching starts the manager and waits until it sees what is deleted.
	startWatching := func(ctx SpecContext) {
		GinkgoHelper()
		startManager(ctx, fake, namespace)
		pod := addPod(ctx, running(ctx, aJobCalled("other")), named("other"), atWork)
		remove(ctx, pod)
		followed(ctx, "other")
		kill(ctx, pod)
	}

	It("stores the log up to the last words", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("first"), atWork)
		screen.write("first", "working\n")
		remove(ctx, pod)
		followed(ctx, "first")
		kill(ctx, pod)
		fail(ctx, object, 1)

		stored(ctx, object)

		record := recordOf(expectStored(ctx, object))
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.Pods[0].Containers[0].State.ExitCode).To(HaveValue(BeEquivalentTo(143)))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(HaveSuffix("working\ngot TERM\n"))
	}, SpecTimeout(specTimeout))

	It("waits for a log that goes on after the Job's end", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("first"), atWork)
		remove(ctx, pod)
		followed(ctx, "first")
		fail(ctx, object, 1)
		Consistently(ctx, func() []corev1.ConfigMap { return resultsIn(ctx) }).Should(BeEmpty())

		kill(ctx, pod)

		stored(ctx, object)
		Expect(recordOf(expectStored(ctx, object)).Capture.Complete).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("does not wait for the logs of finished Jobs", func(ctx SpecContext) {
		goOn := make(chan struct{})
		fake.during = func(ctx context.Context) error {
			select {
			case <-goOn:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
		startManager(ctx, fake, namespace)
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
			completed(ctx, aJobCalled(name))
		}
		Eventually(ctx, fake.readings).Should(Equal(8), "all workers are busy")
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("first"), atWork)
		remove(ctx, pod)

		followed(ctx, "first")
		kill(ctx, pod)
		close(goOn)
	}, SpecTimeout(specTimeout))

	It("takes up those that are being deleted when it starts", func(ctx SpecContext) {
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("first"), atWork)
		remove(ctx, pod)
		startManager(ctx, fake, namespace)
		followed(ctx, "first")
		kill(ctx, pod)
		fail(ctx, object, 1)

		stored(ctx, object)
		Expect(recordOf(expectStored(ctx, object)).Capture.Complete).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("tells of one that never started, though it is gone at once", func(ctx SpecContext) {
		startWatching(ctx)
		object := running(ctx, aJob())
		remove(ctx, addPod(ctx, object, named("first")))
		fail(ctx, object, 1)

		stored(ctx, object)

		record := recordOf(expectStored(ctx, object))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Failed: 1, Seen: 1}))
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.Pods[0].Containers[0].Capture.Reason).To(Equal(results.ReasonNeverStarted))
		Expect(screen.follows()).To(HaveEach("other"))
	}, SpecTimeout(specTimeout))

	It("keeps why one did not start, which the kubelet takes back", func(ctx SpecContext) {
		startWatching(ctx)
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("first"), waitingFor("InvalidImageName", "repository name must be lowercase"))
		remove(ctx, pod)
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		waitingFor("ContainerCreating", "")(pod)
		pod.Status.Phase = corev1.PodFailed
		Expect(kube.Status().Update(ctx, pod)).To(Succeed())
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		fail(ctx, object, 1)

		stored(ctx, object)

		Expect(expectStored(ctx, object).Data).To(HaveKeyWithValue(api.DataMessage,
			HaveSuffix("; pod first, container main: InvalidImageName: repository name must be lowercase")))
	}, SpecTimeout(specTimeout))

	It("goes on with the log of one that is deleted by force", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("first"), atWork)
		screen.write("first", "working\n")
		remove(ctx, pod)
		followed(ctx, "first")
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		fail(ctx, object, 1)
		Consistently(ctx, func() []corev1.ConfigMap { return resultsIn(ctx) }).Should(BeEmpty())
		screen.write("first", "killed\n")
		screen.end("first")

		stored(ctx, object)
		Expect(recordOf(expectStored(ctx, object)).Capture.Why).To(HavePrefix(results.ReasonEndNotSeen))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("working\nkilled\n"))
	}, SpecTimeout(specTimeout))

	It("keeps the attempts of a Job that goes on", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		for _, name := range []string{"first", "second"} {
			pod := addPod(ctx, object, named(name), atWork)
			screen.write(name, "this is "+name+"\n")
			remove(ctx, pod)
			Eventually(ctx, screen.follows).Should(ContainElement(name))
			kill(ctx, pod)
		}
		addPod(ctx, object, named("third"), ended(0))
		object.Status.Failed = 2
		complete(ctx, object, 1)
		Eventually(ctx, func() []corev1.ConfigMap { return resultsIn(ctx) }).Should(HaveLen(1))

		record := recordOf(expectStored(ctx, object))
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 2, Seen: 3}))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(MatchRegexp(
			`(?s)this is first\ngot TERM\n.*this is second\ngot TERM\n.*hello from third/main`))
	}, SpecTimeout(specTimeout))

	DescribeTable("reads none of", func(ctx SpecContext, prepare func(context.Context) *corev1.Pod) {
		startManager(ctx, fake, namespace)
		pod := prepare(ctx)
		remove(ctx, pod)
		// One of which the log is read, after it.
		last := addPod(ctx, running(ctx, aJobCalled("last")), named("last"), atWork)
		remove(ctx, last)
		followed(ctx, "last")
		kill(ctx, last)
	},
		Entry("a Job that is not opted in", func(ctx context.Context) *corev1.Pod {
			object := create(ctx, aJob().Obj())
			return addPod(ctx, object, atWork)
		}),
		Entry("no Job", func(ctx context.Context) *corev1.Pod {
			return addPod(ctx, running(ctx, aJob()), atWork, func(p *corev1.Pod) { p.OwnerReferences = nil })
		}),
		Entry("an earlier run", func(ctx context.Context) *corev1.Pod {
			return addPod(ctx, running(ctx, aJob()), atWork, func(p *corev1.Pod) { p.OwnerReferences[0].UID = "earlier" })
		}),
		Entry("a Job that wants no logs", func(ctx context.Context) *corev1.Pod {
			return addPod(ctx, running(ctx, aJob().Annotation(api.LogModeAnnotation, api.LogModeStatus)), atWork)
		}),
		Entry("a Job that is stored", func(ctx context.Context) *corev1.Pod {
			object := failed(ctx, aJob())
			stored(ctx, object)
			return addPod(ctx, object, atWork)
		}),
		Entry("a Job that is deleted before it finished", func(ctx context.Context) *corev1.Pod {
			object := running(ctx, aJob())
			change(ctx, object, func(j *batchv1.Job) { j.Finalizers = []string{"example.com/somebody-else"} })
			Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
			return addPod(ctx, object, atWork)
		}),
	)

	It("forgets them with their Job", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		remove(ctx, addPod(ctx, object, named("first"), atWork))
		followed(ctx, "first")
		Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

		Eventually(ctx, screen.streams).Should(BeZero())
		Expect(fake.captures.Pods(object.UID)).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("leaves what it has of a log that is being followed to the next one, which follows it again", func(ctx SpecContext) {
		stop := startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("first"), atWork)
		gone := addPod(ctx, object, named("gone"), atWork)
		for _, p := range []*corev1.Pod{pod, gone} {
			screen.write(p.Name, "working\n")
			remove(ctx, p)
		}
		followed(ctx, "first", "gone")
		Eventually(ctx, func() int { return fake.captures.Stats().MemoryBytes }).Should(BeNumerically(">=", 1024), "both are read")

		stop()

		Expect(screen.streams()).To(BeZero())
		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(capturesIn(ctx)).NotTo(BeEmpty())
		Expect(kube.Delete(ctx, gone, client.GracePeriodSeconds(0))).To(Succeed())
		fake.captures = screen.captures()
		startManager(ctx, fake, namespace)
		Eventually(ctx, screen.follows).Should(HaveLen(3))
		kill(ctx, pod)
		fail(ctx, object, 2)
		stored(ctx, object)

		record := recordOf(expectStored(ctx, object))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Failed: 2, Seen: 2}))
		Expect(record.Capture.Why).To(And(HavePrefix(results.ReasonStillRunning), ContainSubstring("pod gone")))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(And(
			ContainSubstring("working\ngot TERM\n"), MatchRegexp(`(?s)pod gone.*working\n`)))
	}, SpecTimeout(specTimeout))

	It("are stored beside a Job that goes on, by itself", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := running(ctx, aJob())
		pod := addPod(ctx, object, named("first"), atWork)
		remove(ctx, pod)
		followed(ctx, "first")
		kill(ctx, pod)
		Eventually(ctx, func() []corev1.ConfigMap { return capturesIn(ctx) }).Should(HaveLen(1))
		Consistently(ctx, func() []corev1.ConfigMap { return capturesIn(ctx) }).Should(HaveLen(1))
	}, SpecTimeout(specTimeout))
})
