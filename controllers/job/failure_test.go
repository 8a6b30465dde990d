package job_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

var _ = Describe("A Job that fails", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })
	AfterEach(func() { Expect(h.logs.inUse()).To(BeZero(), "the memory of logs is given back") })

	It("is stored and kept, and not written to again", func(ctx SpecContext) {
		object := failed(ctx, aJob())

		h.settle(ctx, object)

		kept := read(ctx, object)
		Expect(kept.Annotations).To(And(
			HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed),
			HaveKeyWithValue(api.ResultsNameAnnotation, "job-results"),
			HaveKeyWithValue(api.CaptureAnnotation, api.CaptureComplete),
		))
		Expect(kept.DeletionTimestamp).To(BeNil())
		Expect(kept.Spec.TTLSecondsAfterFinished).To(BeNil())

		again := h.restarted()
		h.forgetWrites()
		for _, process := range []*handler{h, again} {
			Expect(process.reconcile(ctx, object).RequeueAfter).To(BeZero())
			Expect(process.written()).To(BeEmpty())
		}
		Expect(read(ctx, object).ResourceVersion).To(Equal(kept.ResourceVersion))
	})

	It("tells in its results why and when it failed", func(ctx SpecContext) {
		object := failed(ctx, aJob())

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		Expect(stored.Labels).To(HaveKeyWithValue(api.StatusLabel, api.StatusFailed))
		Expect(stored.Data).To(And(
			HaveKeyWithValue(api.DataStatus, api.StatusFailed),
			HaveKeyWithValue(api.DataCompletionTime, object.Status.StartTime.Add(ran).UTC().Format(time.RFC3339)),
			HaveKeyWithValue(api.DataDuration, "1m30s"),
			HaveKeyWithValue(api.DataReason, batchv1.JobReasonBackoffLimitExceeded),
			HaveKeyWithValue(api.DataMessage, MatchRegexp("^Job has reached the specified backoff limit; pod job-.*, container main: Ended, exit code 1$")),
			HaveKeyWithValue(api.DataLogs, And(ContainSubstring("exit code 1"), ContainSubstring("hello from"))),
			HaveKeyWithValue(api.DataContainers, MatchRegexp(`Exit code: +1`)),
		))
		Expect(recordOf(stored).PodCounts).To(Equal(results.PodCounts{Failed: 1, Seen: 1}))
	})

	It("tells so in one Warning, with the reason and without a word of its logs", func(ctx SpecContext) {
		object := failed(ctx, aJob())

		h.settle(ctx, object)

		Expect(eventsOf(ctx, object, "")).To(ConsistOf(And(
			HaveField("Type", corev1.EventTypeWarning),
			HaveField("Action", api.ActionStore),
			HaveField("Note", And(
				ContainSubstring(batchv1.JobReasonBackoffLimitExceeded), ContainSubstring("job-results"),
				Not(ContainSubstring("hello")))),
		)))
	})

	It("is stored as well if it never had a pod", func(ctx SpecContext) {
		object := running(ctx, aJob())
		fail(ctx, object, 0)

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("the Job had no pod"))
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.CaptureAnnotation, api.CaptureComplete))
	})

	It("is deleted where it is asked to be", func(ctx SpecContext) {
		object := failed(ctx, aJob().Annotation(api.DeleteAfterFailureAnnotation, "0s"))

		h.settle(ctx, object)

		expectStored(ctx, object)
		expectGone(ctx, object)
	})

	It("is stored, and not touched by a success's delay", func(ctx SpecContext) {
		object := failed(ctx, aJob().Annotation(api.DeleteAfterSuccessAnnotation, "10s"))

		h.settle(ctx, object)

		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(BeNil())
	})

	It("that is already being deleted is stored at once, with what there is of its logs", func(ctx SpecContext) {
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog { return unreachable(container) }
		object := failed(ctx, aJob())
		change(ctx, object, func(j *batchv1.Job) { j.Finalizers = []string{"example.com/somebody-else"} })
		Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		expectStored(ctx, object)
		left := read(ctx, object)
		Expect(left.Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed))
		Expect(left.Finalizers).To(ConsistOf("example.com/somebody-else"))
		h.forgetWrites()
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(h.written()).To(BeEmpty())
	})
})
