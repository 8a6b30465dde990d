package job_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/results"
)

var _ = Describe("The controller in a manager, of logs that are to be followed,", func() {
	var (
		fake   *logs
		screen *console
	)

	BeforeEach(func() {
		fake = &logs{}
		screen, fake.captures = newConsole(capture.Options{FollowStreams: 1})
		DeferCleanup(func() { Expect(screen.streams()).To(BeZero()) })
	})

	aFollowedJob := func(ctx context.Context) *batchv1.Job {
		GinkgoHelper()
		return running(ctx, aJob().Annotation(api.LogModeAnnotation, api.LogModeFollow))
	}
	followed := func(ctx context.Context, pods ...string) {
		GinkgoHelper()
		Eventually(ctx, screen.follows).Should(ConsistOf(pods))
	}
	// exit ends the containers of a pod by themselves, as the kubelet tells of it.
	exit := func(ctx context.Context, pod *corev1.Pod) {
		GinkgoHelper()
		screen.end(pod.Name)
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		terminate(pod, 1)
		Expect(kube.Status().Update(ctx, pod)).To(Succeed())
	}
	stored := func(ctx context.Context, object *batchv1.Job) results.Record {
		GinkgoHelper()
		Eventually(ctx, func(g Gomega) {
			now := &batchv1.Job{}
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
			g.Expect(now.Annotations).To(HaveKey(api.StatusAnnotation))
		}).Should(Succeed())
		return recordOf(expectStored(ctx, object))
	}
	// What is followed is longer than what can be read at the end.
	early := strings.Repeat("early\n", 100)

	It("follows them from the container's start, and stores what it read", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := aFollowedJob(ctx)
		pod := addPod(ctx, object, named("first"), atWork)
		followed(ctx, "first")
		screen.write("first", early)
		exit(ctx, pod)
		fail(ctx, object, 1)
		record := stored(ctx, object)
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.LogMode).To(Equal(api.LogModeFollow))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(HaveSuffix(early))
	}, SpecTimeout(specTimeout))

	It("heeds the Namespace", func(ctx SpecContext) {
		annotateNamespace(ctx, api.LogModeAnnotation, api.LogModeFollow)
		startManager(ctx, fake, namespace)
		pod := addPod(ctx, running(ctx, aJob()), named("first"), atWork)
		followed(ctx, "first")
		exit(ctx, pod)
		Eventually(ctx, screen.streams).Should(BeZero())
	}, SpecTimeout(specTimeout))

	It("follows those of pods that are there when it starts", func(ctx SpecContext) {
		pod := addPod(ctx, aFollowedJob(ctx), named("first"), atWork)
		screen.write("first", early)
		startManager(ctx, fake, namespace)
		followed(ctx, "first")
		exit(ctx, pod)
		Eventually(ctx, screen.streams).Should(BeZero())
	}, SpecTimeout(specTimeout))

	It("keeps what it read of a pod that is deleted, to its last words", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := aFollowedJob(ctx)
		pod := addPod(ctx, object, named("first"), atWork)
		followed(ctx, "first")
		screen.write("first", early)
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(30))).To(Succeed())
		screen.write("first", "got TERM\n")
		exit(ctx, pod)
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		fail(ctx, object, 1)
		Expect(stored(ctx, object).Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(HaveSuffix(early + "got TERM\n"))
		Expect(screen.follows()).To(HaveEach("first"))
	}, SpecTimeout(specTimeout))

	It("reads at the end what it could not follow, and says so", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		object := aFollowedJob(ctx)
		first := addPod(ctx, object, named("first"), atWork)
		followed(ctx, "first")
		second := addPod(ctx, object, named("second"), atWork)
		Consistently(ctx, screen.follows).Should(HaveExactElements("first"))
		screen.write("first", early)
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(second), second)).To(Succeed())
		terminate(second, 1)
		Expect(kube.Status().Update(ctx, second)).To(Succeed())
		fail(ctx, object, 2)
		Consistently(ctx, func() []corev1.ConfigMap { return resultsIn(ctx) }).Should(BeEmpty())
		exit(ctx, first)
		record := stored(ctx, object)
		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		told := map[string]string{}
		for _, pod := range record.Pods {
			told[pod.Name] = pod.Containers[0].Capture.Message
		}
		Expect(told).To(Equal(map[string]string{"first": "", "second": capture.NotFollowed}))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(And(ContainSubstring(early), ContainSubstring("hello from second/main")))
		Expect(screen.follows()).To(HaveEach("first"))
	}, SpecTimeout(specTimeout))

	It("follows none of a Job that does not want it", func(ctx SpecContext) {
		startManager(ctx, fake, namespace)
		addPod(ctx, running(ctx, aJobCalled("full")), named("full"), atWork)
		addPod(ctx, running(ctx, aJobCalled("status").Annotation(api.LogModeAnnotation, api.LogModeStatus)), named("status"), atWork)
		pod := addPod(ctx, aFollowedJob(ctx), named("first"), atWork)
		followed(ctx, "first")
		exit(ctx, pod)
		Eventually(ctx, screen.streams).Should(BeZero())
		Expect(screen.follows()).To(HaveEach("first"))
	}, SpecTimeout(specTimeout))
})
