package job_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

var _ = Describe("A Job that has not finished", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	// expectUntouched expects that a pass writes nothing, and returns when the
	// next is due.
	expectUntouched := func(ctx SpecContext, object *batchv1.Job) (next float64) {
		GinkgoHelper()
		before := read(ctx, object)
		result := h.reconcile(ctx, object)
		Expect(h.written()).To(BeEmpty())
		Expect(read(ctx, object).ResourceVersion).To(Equal(before.ResourceVersion))
		return result.RequeueAfter.Seconds()
	}

	It("is looked at again after 30 s, behind fresh work, and not written to", func(ctx SpecContext) {
		object := running(ctx, aJob())
		addPod(ctx, object)

		Expect(expectUntouched(ctx, object)).To(BeEquivalentTo(30))
		Expect(h.reconcile(ctx, object).Priority).To(HaveValue(BeNumerically("<", 0)))
	})

	It("is not looked at again where re-checks are turned off", func(ctx SpecContext) {
		h = newHandler(func(o *job.Options) { o.RecheckInterval = 0 })

		Expect(expectUntouched(ctx, running(ctx, aJob()))).To(BeZero())
	})

	It("waits for its terminal condition, not for the criterion before it", func(ctx SpecContext) {
		object := running(ctx, aJob())
		object.Status.Conditions = []batchv1.JobCondition{
			condition(batchv1.JobFailureTarget, metav1.Now(), batchv1.JobReasonDeadlineExceeded, ""),
		}
		object.Status.Failed = 1
		Expect(kube.Status().Update(ctx, object)).To(Succeed())

		Expect(expectUntouched(ctx, object)).To(BeEquivalentTo(30))
	})

	It("is left alone while it is suspended", func(ctx SpecContext) {
		Expect(expectUntouched(ctx, create(ctx, stamped(aJob().Suspended())))).To(BeZero())
	})

	It("is left alone once it is being deleted", func(ctx SpecContext) {
		object := running(ctx, aJob().TTL(10))
		change(ctx, object, func(j *batchv1.Job) {
			j.Finalizers = []string{"example.com/somebody-else"}
			j.Spec.TTLSecondsAfterFinished = new(int32(10))
			delete(j.Annotations, api.ResultsNameAnnotation)
		})
		Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

		Expect(expectUntouched(ctx, object)).To(BeZero())
	})

	It("gets the stamps that admission missed", func(ctx SpecContext) {
		object := create(ctx, aJob().TTL(10).Label(api.EnabledLabel, api.True).Obj())
		start(ctx, object)

		h.reconcile(ctx, object)

		now := read(ctx, object)
		Expect(now.Annotations).To(And(
			HaveKeyWithValue(api.ResultsNameAnnotation, "job-results"),
			HaveKeyWithValue(api.TTLAnnotation, HavePrefix("10;raised="))))
		Expect(now.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(3600)))
		Expect(now.Spec.Template.Labels).NotTo(HaveKey(api.EnabledLabel))
		h.forgetWrites()
		Expect(expectUntouched(ctx, object)).To(BeEquivalentTo(30))
	})

	It("gets the pod template's stamp too while that can change: suspended and never started", func(ctx SpecContext) {
		object := create(ctx, aJob().Suspended().Label(api.EnabledLabel, api.True).Obj())

		h.reconcile(ctx, object)

		Expect(read(ctx, object).Spec.Template.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
		h.forgetWrites()
		Expect(expectUntouched(ctx, object)).To(BeZero())
	})

	It("gets no stamp on the template once it started, suspended or not", func(ctx SpecContext) {
		object := create(ctx, aJob().Label(api.EnabledLabel, api.True).Obj())
		start(ctx, object)
		change(ctx, object, func(j *batchv1.Job) { j.Spec.Suspend = new(true) })

		h.reconcile(ctx, object)

		now := read(ctx, object)
		Expect(now.Annotations).To(HaveKey(api.ResultsNameAnnotation))
		Expect(now.Spec.Template.Labels).NotTo(HaveKey(api.EnabledLabel))
		h.forgetWrites()
		Expect(expectUntouched(ctx, object)).To(BeZero())
	})

	It("keeps its short TTL if a GitOps controller would set it back", func(ctx SpecContext) {
		object := create(ctx, stamped(aJob().TTL(10).Annotation("argocd.argoproj.io/tracking-id", "app:batch/Job:x/job")))
		start(ctx, object)

		Expect(expectUntouched(ctx, object)).To(BeEquivalentTo(30))
		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
	})

	DescribeTable("loses a status that somebody forged", func(ctx SpecContext, builder func(*jobtest.JobBuilder) *jobtest.JobBuilder) {
		object := create(ctx, stamped(builder(aJob()).
			Annotation(api.StatusAnnotation, api.StatusCompleted).
			Annotation(api.CaptureAnnotation, api.CaptureComplete)))

		h.reconcile(ctx, object)

		Expect(read(ctx, object).Annotations).To(And(
			Not(HaveKey(api.StatusAnnotation)), Not(HaveKey(api.CaptureAnnotation)),
			HaveKeyWithValue(api.ResultsNameAnnotation, "job-results")))
		Expect(eventsOf(ctx, object, corev1.EventTypeNormal)).To(BeEmpty())
	},
		Entry("while it runs", func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b }),
		Entry("while it is suspended", func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.Suspended() }),
	)
})
