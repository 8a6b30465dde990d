package job_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// Anybody who may edit a Job can write that its results are stored.
var _ = Describe("A status that somebody forged", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	forge := func(ctx context.Context, object *batchv1.Job, status string) {
		GinkgoHelper()
		change(ctx, object, func(j *batchv1.Job) {
			metav1.SetMetaDataAnnotation(&j.ObjectMeta, api.StatusAnnotation, status)
			metav1.SetMetaDataAnnotation(&j.ObjectMeta, api.CaptureAnnotation, api.CaptureComplete)
		})
	}
	// expectStoredBeforeDeletion expects that results are there whenever the
	// Job is being deleted.
	expectStoredBeforeDeletion := func(object *batchv1.Job) {
		h.before = func(ctx context.Context, w write) error {
			if w.what == deleteJob {
				expectStored(ctx, object)
			}
			return nil
		}
	}

	It("on a finished Job that nobody has looked at does not delete it unstored", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		forge(ctx, object, api.StatusCompleted)
		expectStoredBeforeDeletion(object)

		h.settle(ctx, object)

		expectGone(ctx, object)
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("hello from"))
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	})

	It("while logs cannot be read does not delete it unstored", func(ctx SpecContext) {
		reachable := false
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog {
			if !reachable {
				return unreachable(container)
			}
			return whole(container, "back again\n")
		}
		object := completed(ctx, aJob())
		h.reconcile(ctx, object)
		forge(ctx, object, api.StatusCompleted)
		expectStoredBeforeDeletion(object)

		result := h.reconcile(ctx, object)
		Expect(result.RequeueAfter).NotTo(BeZero())
		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())

		reachable = true
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("back again"))
	})

	It("that points at results of another run does not delete the Job unstored", func(ctx SpecContext) {
		other := completed(ctx, aJob())
		h.settle(ctx, other)
		object := completed(ctx, aJob())
		forge(ctx, object, api.StatusCompleted)
		expectStoredBeforeDeletion(object)

		h.settle(ctx, object)

		expectGone(ctx, object)
		expectStored(ctx, object)
		expectStored(ctx, other)
	})

	It("that says failed of a success does not change what is stored", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		forge(ctx, object, api.StatusFailed)

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Data).To(HaveKeyWithValue(api.DataStatus, api.StatusCompleted))
		expectGone(ctx, object)
	})

	It("that is no status at all does not delete the Job unstored", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		forge(ctx, object, "done")
		expectStoredBeforeDeletion(object)

		h.settle(ctx, object)

		expectStored(ctx, object)
		expectGone(ctx, object)
	})

	It("does not hand the Job to Kubernetes for deletion before it is stored", func(ctx SpecContext) {
		object := completed(ctx, aJob().TTL(10))
		forge(ctx, object, api.StatusCompleted)
		h.before = func(ctx context.Context, w write) error {
			if j, isJob := w.object.(*batchv1.Job); isJob && *j.Spec.TTLSecondsAfterFinished < 3600 {
				expectStored(ctx, object)
			}
			return nil
		}

		h.settle(ctx, object)

		expectStored(ctx, object)
		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
	})

	DescribeTable("that points nowhere does not delete the Job unstored", func(ctx SpecContext, name string) {
		object := completed(ctx, aJob())
		forge(ctx, object, api.StatusCompleted)
		annotate(ctx, object, api.ResultsNameAnnotation, name)
		expectStoredBeforeDeletion(object)

		h.settle(ctx, object)

		expectStored(ctx, object)
		expectGone(ctx, object)
	},
		Entry("no such object", "other-results"),
		Entry("no name", ""),
		Entry("no valid name", "../../secrets"),
	)

	It("on a Job that is kept is believed, since nothing gets lost by it", func(ctx SpecContext) {
		object := failed(ctx, aJob())
		forge(ctx, object, api.StatusFailed)

		h.settle(ctx, object)

		Expect(h.written()).To(BeEmpty())
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
	})
})
