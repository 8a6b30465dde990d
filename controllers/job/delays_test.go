package job_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/policy"
)

// The delays of deletion are Kubernetes' own TTL.
var _ = Describe("A delay of deletion", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	never := (*int32)(nil)
	after := func(seconds int32) *int32 { return &seconds }
	// expectLeft expects a stored Job with this TTL and none of ours on it,
	// which is not written to any more.
	expectLeft := func(ctx context.Context, object *batchv1.Job, ttl *int32) {
		GinkgoHelper()
		expectStored(ctx, object)
		left := read(ctx, object)
		Expect(left.DeletionTimestamp).To(BeNil())
		Expect(left.Spec.TTLSecondsAfterFinished).To(Equal(ttl))
		Expect(left.Annotations).To(And(HaveKey(api.StatusAnnotation), Not(HaveKey(api.TTLAnnotation))))
		h.forgetWrites()
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(h.written()).To(BeEmpty())
	}

	type setting func(*jobtest.JobBuilder) *jobtest.JobBuilder
	job := func(key, value string) setting {
		return func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.Annotation(key, value) }
	}
	ttl := func(seconds int32) setting {
		return func(b *jobtest.JobBuilder) *jobtest.JobBuilder { return b.TTL(seconds) }
	}
	const success, failure = api.DeleteAfterSuccessAnnotation, api.DeleteAfterFailureAnnotation

	DescribeTable("becomes the Job's TTL once its results are stored",
		func(ctx SpecContext, finish func(context.Context, *jobtest.JobBuilder) *batchv1.Job, expected *int32, settings ...setting) {
			builder := aJob()
			for _, set := range settings {
				builder = set(builder)
			}
			object := finish(ctx, builder)

			h.settle(ctx, object)

			expectLeft(ctx, object, expected)
		},
		Entry("10s", completed, after(10), job(success, "10s")),
		Entry("never", completed, never, job(success, api.Never)),
		Entry("never, which takes the Job's own TTL away", completed, never, job(success, api.Never), ttl(10)),
		Entry("a long one", completed, after(36*3600), job(success, "1d12h")),
		Entry("the longest", completed, after(2147483647), job(success, "2147483647s")),
		Entry("in place of the Job's own TTL", completed, after(10), job(success, "10s"), ttl(5)),
		Entry("in place of the Job's own long TTL", completed, after(10), job(success, "10s"), ttl(100000)),
		Entry("the Job's own TTL, which had been raised", completed, after(10), ttl(10)),
		Entry("the Job's own TTL, which was long enough", completed, after(7200), ttl(7200)),
		Entry("of a failure", failed, after(60), job(failure, "1m")),
		Entry("of a failure: the Job's own TTL", failed, after(5), ttl(5), job(success, api.Never)),
		Entry("of a failure in place of the Job's own TTL", failed, never, ttl(10), job(failure, api.Never)),
		Entry("of a failure, not that of a success", failed, never, job(success, "10s")),
	)

	DescribeTable("of 0 from the Job's own TTL deletes the Job with its results stored",
		func(ctx SpecContext, finish func(context.Context, *jobtest.JobBuilder) *batchv1.Job) {
			object := finish(ctx, aJob().TTL(0))
			Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(3600)))

			h.settle(ctx, object)

			expectStored(ctx, object)
			expectGone(ctx, object)
		},
		Entry("after a success", completed),
		Entry("after a failure", failed),
	)

	DescribeTable("comes from the Job, its TTL, its Namespace, a flag, in this order",
		func(ctx SpecContext, onNamespace string, flag *policy.Delay, expected *int32, settings ...setting) {
			if onNamespace != "" {
				annotateNamespace(ctx, success, onNamespace)
			}
			h.Options.Defaults.DeleteAfterSuccess = flag
			builder := aJob()
			for _, set := range settings {
				builder = set(builder)
			}
			object := completed(ctx, builder)

			h.settle(ctx, object)

			expectLeft(ctx, object, expected)
		},
		Entry("all say something", "2m", &policy.Delay{After: 3e11}, after(60), job(success, "1m"), ttl(240)),
		Entry("the TTL before the Namespace", "2m", &policy.Delay{After: 3e11}, after(240), ttl(240)),
		Entry("the Namespace before the flag", "2m", &policy.Delay{After: 3e11}, after(120)),
		Entry("the flag", "", &policy.Delay{After: 3e11}, after(300)),
		Entry("an invalid one of the Job does not count", "2m", nil, after(120), job(success, "soon")),
		Entry("an invalid one of the Namespace does not count", "soon", &policy.Delay{Never: true}, never),
	)

	It("that changes later on a Job that is kept takes effect", func(ctx SpecContext) {
		object := failed(ctx, aJob())
		h.settle(ctx, object)

		for _, step := range []struct {
			value string
			ttl   *int32
		}{{"1h", after(3600)}, {"10s", after(10)}, {api.Never, never}, {"1w", after(7 * 24 * 3600)}} {
			annotate(ctx, object, failure, step.value)
			h.settle(ctx, object)
			expectLeft(ctx, object, step.ttl)
		}

		annotate(ctx, object, failure, "0s")
		h.settle(ctx, object)
		expectGone(ctx, object)
		expectStored(ctx, object)
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	})

	It("that is invalid later is told of, and changes nothing", func(ctx SpecContext) {
		object := failed(ctx, aJob())
		h.settle(ctx, object)
		annotate(ctx, object, failure, "soon")

		h.settle(ctx, object)

		Expect(warningsOf(ctx, object)).To(ContainElement(And(ContainSubstring(failure), ContainSubstring("soon"))))
		expectLeft(ctx, object, never)
	})

	Context("before the results are stored", func() {
		It("is held ahead: a Job labelled by hand after it finished, with a short TTL", func(ctx SpecContext) {
			object := create(ctx, aJob().TTL(60).Obj())
			start(ctx, object)
			addPod(ctx, object, ended(0))
			complete(ctx, object, 1)
			change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.True })
			var whileStoring *batchv1.Job
			h.before = func(ctx context.Context, w write) error {
				if w.what == createResults {
					whileStoring = read(ctx, object)
				}
				return nil
			}

			h.settle(ctx, object)

			Expect(whileStoring.Annotations).To(HaveKeyWithValue(api.TTLAnnotation, HavePrefix("60;raised=")))
			Expect(whileStoring.Spec.TTLSecondsAfterFinished).To(HaveValue(BeNumerically(">=", 3600)))
			expectLeft(ctx, object, after(60))
		})

		It("is held ahead again if somebody lowers it", func(ctx SpecContext) {
			object := completed(ctx, aJob().TTL(60))
			change(ctx, object, func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = new(int32(1)) })
			h.before = failing(createResults, errCrash)

			_, err := h.pass(ctx, object)

			Expect(err).To(MatchError(errCrash))
			now := read(ctx, object)
			Expect(now.Spec.TTLSecondsAfterFinished).To(HaveValue(BeNumerically(">=", 3600)))
			Expect(now.Annotations).To(HaveKeyWithValue(api.TTLAnnotation, HavePrefix("1;raised=")))
		})

		It("is left as it is where a GitOps controller would set it back", func(ctx SpecContext) {
			object := completed(ctx, aJob().TTL(10).Label("kustomize.toolkit.fluxcd.io/name", "app"))

			h.settle(ctx, object)

			Expect(h.written()).To(Equal([]string{createResults, createEvent, patchJob}))
			expectLeft(ctx, object, after(10))
		})

		It("is left as it is where the operator's mark says so", func(ctx SpecContext) {
			h.Options.Defaults.LeftAlone.Labels = []policy.Mark{{Key: "example.com/kept"}}
			object := completed(ctx, aJob().TTL(10).Label("example.com/kept", "x"))

			h.settle(ctx, object)

			Expect(h.written()).To(Equal([]string{createResults, createEvent, patchJob}))
			expectLeft(ctx, object, after(10))
		})

		It("is nothing that a Job without a TTL gets", func(ctx SpecContext) {
			object := failed(ctx, aJob())
			h.before = func(_ context.Context, w write) error {
				if j, isJob := w.object.(*batchv1.Job); isJob {
					Expect(j.Spec.TTLSecondsAfterFinished).To(BeNil())
				}
				return nil
			}
			h.settle(ctx, object)
			expectLeft(ctx, object, never)
		})
	})

	It("is told in the Event", func(ctx SpecContext) {
		object := completed(ctx, aJob().Annotation(success, "1d12h"))
		h.settle(ctx, object)
		Expect(eventsOf(ctx, object, corev1.EventTypeNormal)).To(ConsistOf(HaveField("Note", ContainSubstring("1d12h"))))
	})

	It("is not a deletion by us", func(ctx SpecContext) {
		object := completed(ctx, aJob().Annotation(success, "10s"))
		h.settle(ctx, object)
		h.step(ttlFloor)
		h.settle(ctx, object)
		Expect(h.deletions()).To(BeEmpty())
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
	})
})
