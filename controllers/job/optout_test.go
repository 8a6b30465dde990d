package job_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
)

var _ = Describe("A Job that is not opted in any more", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	// held returns a Job whose own TTL had been raised.
	held := func(ctx context.Context) *batchv1.Job {
		GinkgoHelper()
		object := running(ctx, aJob().TTL(10).Label("app", "batch"))
		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(3600)))
		return object
	}

	DescribeTable("has its own TTL back", func(ctx SpecContext, optOut func(*batchv1.Job)) {
		object := held(ctx)
		change(ctx, object, optOut)

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		left := read(ctx, object)
		Expect(left.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
		Expect(left.Annotations).NotTo(HaveKey(api.TTLAnnotation))
		h.forgetWrites()
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(h.written()).To(BeEmpty())
	},
		Entry("label false", func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False }),
		Entry("label false, whatever the annotation says", func(j *batchv1.Job) {
			j.Labels[api.EnabledLabel] = api.False
			metav1.SetMetaDataAnnotation(&j.ObjectMeta, api.EnabledAnnotation, api.True)
		}),
	)

	It("has it back as well after it finished, and is not stored", func(ctx SpecContext) {
		object := held(ctx)
		complete(ctx, object, 0)
		change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False })

		h.settle(ctx, object)

		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(eventsOf(ctx, object, "")).To(BeEmpty())
	})

	It("gets its label again while its annotation still opts in", func(ctx SpecContext) {
		object := held(ctx)
		object = change(ctx, object, func(j *batchv1.Job) {
			delete(j.Labels, api.EnabledLabel)
			metav1.SetMetaDataAnnotation(&j.ObjectMeta, api.EnabledAnnotation, api.True)
		})

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		now := read(ctx, object)
		Expect(now.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
		Expect(now.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(3600)))
	})

	It("has its own TTL back where its label goes and its Namespace is not opted in", func(ctx SpecContext) {
		object := held(ctx)
		disableNamespace(ctx)
		change(ctx, object, func(j *batchv1.Job) { delete(j.Labels, api.EnabledLabel) })

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
	})

	It("gets its label again while its Namespace opts in", func(ctx SpecContext) {
		object := held(ctx)
		object = change(ctx, object, func(j *batchv1.Job) { delete(j.Labels, api.EnabledLabel) })

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		now := read(ctx, object)
		Expect(now.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
		Expect(now.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(3600)))
		Expect(now.Annotations).To(HaveKeyWithValue(api.TTLAnnotation, HavePrefix("10")))
	})

	It("gets its label again a few times an hour if another client keeps removing it", func(ctx SpecContext) {
		object := held(ctx)
		for range 3 {
			object = change(ctx, object, func(j *batchv1.Job) { delete(j.Labels, api.EnabledLabel) })
			Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
			Expect(read(ctx, object).Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
			h.step(time.Minute)
		}
		Expect(warningsOf(ctx, object)).To(BeEmpty())
		object = change(ctx, object, func(j *batchv1.Job) { delete(j.Labels, api.EnabledLabel) })
		h.forgetWrites()
		Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(57 * time.Minute))
		Expect(h.written()).To(Equal([]string{createEvent}))
		Expect(warningsOf(ctx, object)).To(ConsistOf(HavePrefix("Another client keeps removing the label job-handler/enabled")))

		h.step(57 * time.Minute)
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(read(ctx, object).Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
	})

	It("has its own TTL back at once if it opts out after its label was given back often", func(ctx SpecContext) {
		object := held(ctx)
		for range 3 {
			object = change(ctx, object, func(j *batchv1.Job) { delete(j.Labels, api.EnabledLabel) })
			Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		}
		object = change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False })
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
	})

	It("is not touched if nothing of ours is on it", func(ctx SpecContext) {
		object := running(ctx, aJob().TTL(7200).Label("app", "batch"))
		object = change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False })

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		Expect(h.written()).To(BeEmpty())
		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(7200)))
	})

	It("is finished all the same if only its Namespace opted out", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		disableNamespace(ctx)

		h.settle(ctx, object)

		expectStored(ctx, object)
		expectGone(ctx, object)
	})

	It("is handled again when it opts in again", func(ctx SpecContext) {
		object := held(ctx)
		change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False })
		h.settle(ctx, object)
		change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.True })

		h.reconcile(ctx, object)

		now := read(ctx, object)
		Expect(now.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(3600)))
		Expect(now.Annotations).To(HaveKeyWithValue(api.TTLAnnotation, HavePrefix("10")))
	})
})
