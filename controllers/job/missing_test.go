package job_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/results"
)

// ignoredExit is the exit code that does not count against a Job on spot nodes.
const ignoredExit = 42

// onSpotNodes returns a Job that has started and ignores pods with ignoredExit.
func onSpotNodes(ctx context.Context) *batchv1.Job {
	GinkgoHelper()
	object := stamped(aJob())
	object.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action: batchv1.PodFailurePolicyActionIgnore,
		OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: new("main"), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{ignoredExit},
		},
	}}}
	object = create(ctx, object)
	start(ctx, object)
	return object
}

// heldBack returns a pod that stays, though it is deleted, until the spec ends.
func heldBack(ctx context.Context, object *batchv1.Job, name string) *corev1.Pod {
	GinkgoHelper()
	pod := addPod(ctx, object, named(name), ended(1), func(p *corev1.Pod) { p.Finalizers = []string{foreign} })
	Expect(kube.Delete(ctx, pod)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(kube.Patch(ctx, pod, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))))).To(Succeed())
	})
	return pod
}

var _ = Describe("A pod that the Job's status does not count", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	It("does not stand for one that the cache lacks", func(ctx SpecContext) {
		object := onSpotNodes(ctx)
		addPod(ctx, object, named("ignored"), ended(ignoredExit))
		addPod(ctx, object, named("ok"), ended(0), unlabelled)
		complete(ctx, object, 1)

		h.settle(ctx, object)

		Expect(h.liveLists).To(Equal(1))
		stored := expectStored(ctx, object)
		Expect(stored.Data[api.DataLogs]).To(And(ContainSubstring("hello from ok"), ContainSubstring("hello from ignored")))
		Expect(recordOf(stored).Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(recordOf(stored).PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Seen: 2}))
		expectGone(ctx, object)
	})

	It("does not stand for one that is gone", func(ctx SpecContext) {
		object := onSpotNodes(ctx)
		addPod(ctx, object, named("ignored"), ended(ignoredExit))
		addPod(ctx, object, named("ok"), ended(0))
		object.Status.Failed = 1
		complete(ctx, object, 1)

		h.settle(ctx, object)

		record := recordOf(expectStored(ctx, object))
		Expect(record.Capture).To(Equal(results.RunCapture{Why: results.ReasonPodGone + " (1 pod)"}))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 1, Seen: 2, Missing: 1}))
		Expect(outcomesOf(ctx, object)).To(ContainElement(HaveField("Note", ContainSubstring(results.ReasonPodGone))))
	})

	It("costs no list where the cache has those that it counts", func(ctx SpecContext) {
		object := onSpotNodes(ctx)
		addPod(ctx, object, named("ignored"), ended(ignoredExit))
		addPod(ctx, object, named("counted"), ended(1))
		addPod(ctx, object, named("ok"), ended(0))
		object.Status.Failed = 1
		complete(ctx, object, 1)

		h.settle(ctx, object)

		Expect(h.liveLists).To(BeZero())
		Expect(recordOf(expectStored(ctx, object)).Capture.Complete).To(BeTrue())
	})

	Context("or may, since it was deleted after the Job's spec changed,", func() {
		perhapsCounted := func(ctx SpecContext) *batchv1.Job {
			GinkgoHelper()
			object := running(ctx, aJob())
			change(ctx, object, func(j *batchv1.Job) { j.Spec.Parallelism = new(int32(3)) })
			object = read(ctx, object)
			Expect(object.Generation).To(BeNumerically(">", 1))
			heldBack(ctx, object, "deleted")
			addPod(ctx, object, named("ok"), ended(0))
			return object
		}

		It("has the results say that a pod may be missing", func(ctx SpecContext) {
			object := perhapsCounted(ctx)
			object.Status.Failed = 1
			complete(ctx, object, 1)

			h.settle(ctx, object)

			Expect(h.liveLists).To(Equal(1))
			stored := expectStored(ctx, object)
			record := recordOf(stored)
			Expect(record.Capture).To(Equal(results.RunCapture{Why: results.ReasonPodMayBeMissing + " (1 pod)"}))
			Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 1, Seen: 2, MayBeMissing: 1}))
			Expect(stored.Data[api.DataLogs]).To(ContainSubstring("the log of up to 1 pod may be missing"))
			Expect(outcomesOf(ctx, object)).To(ContainElement(And(
				HaveField("Type", corev1.EventTypeWarning), HaveField("Note", ContainSubstring(results.ReasonPodMayBeMissing)))))
			expectGone(ctx, object)
		})

		It("has the pod watch tell of another for a second, at the price of one list", func(ctx SpecContext) {
			_, h.PodLogs.Captures = newConsole(capture.Options{})
			DeferCleanup(h.PodLogs.Captures.Stop)
			object := perhapsCounted(ctx)
			object.Status.Failed = 1
			complete(ctx, object, 1)

			h.settle(ctx, object)

			Expect(h.liveLists).To(Equal(2))
			Expect(recordOf(expectStored(ctx, object)).Capture.Why).To(ContainSubstring(results.ReasonPodMayBeMissing))
		})

		It("makes no difference where the status counts no failure", func(ctx SpecContext) {
			object := perhapsCounted(ctx)
			complete(ctx, object, 1)

			h.settle(ctx, object)

			Expect(h.liveLists).To(BeZero())
			Expect(recordOf(expectStored(ctx, object)).Capture.Complete).To(BeTrue())
		})
	})
})
