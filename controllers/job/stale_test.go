package job_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

var _ = Describe("A decision about a Job that is another one by now", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	// recreate replaces the Job with a new one of the same name that runs.
	recreate := func(ctx context.Context, object *batchv1.Job) *batchv1.Job {
		GinkgoHelper()
		Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		return running(ctx, aJob())
	}
	// once runs f at the first write of this kind.
	once := func(what string, f func(context.Context)) func(context.Context, write) error {
		done := false
		return func(ctx context.Context, w write) error {
			if w.what == what && !done {
				done = true
				f(ctx)
			}
			return nil
		}
	}
	expectUntouched := func(ctx context.Context, object *batchv1.Job) {
		GinkgoHelper()
		now := read(ctx, object)
		Expect(now.UID).To(Equal(object.UID))
		Expect(now.ResourceVersion).To(Equal(object.ResourceVersion))
	}

	DescribeTable("touches nothing of a Job created under the same name", func(ctx SpecContext, hook func(*handler, func(context.Context)), stored bool) {
		object := completed(ctx, aJob())
		var successor *batchv1.Job
		hook(h, func(ctx context.Context) { successor = recreate(ctx, object) })

		_, err := h.pass(ctx, object)

		Expect(err).NotTo(HaveOccurred())
		expectUntouched(ctx, successor)
		if stored {
			expectStored(ctx, object)
		}
		Expect(outcomesOf(ctx, successor)).To(BeEmpty())

		// The new run is one of its own.
		h.forgetWrites()
		Expect(h.reconcile(ctx, successor).RequeueAfter).To(Equal(recheckInterval))
		Expect(h.written()).To(BeEmpty())
		complete(ctx, successor, 0)
		h.settle(ctx, successor)
		expectGone(ctx, successor)
		expectStored(ctx, successor)
		Expect(outcomesOf(ctx, successor)).To(HaveLen(1))
		if stored {
			expectStored(ctx, object)
		}
	},
		Entry("while logs are read", func(h *handler, f func(context.Context)) {
			h.logs.during = func(ctx context.Context) error {
				h.logs.during = nil
				f(ctx)
				return nil
			}
		}, true),
		Entry("before the results are stored", func(h *handler, f func(context.Context)) { h.before = once(createResults, f) }, true),
		Entry("before the Event", func(h *handler, f func(context.Context)) { h.before = once(createEvent, f) }, true),
		Entry("before the report", func(h *handler, f func(context.Context)) { h.before = once(patchJob, f) }, true),
		Entry("before the deletion", func(h *handler, f func(context.Context)) { h.before = once(deleteJob, f) }, true),
	)

	DescribeTable("touches nothing of a Job that a late cache does not show yet", func(ctx SpecContext, finish func(context.Context, *handler) *batchv1.Job) {
		object := finish(ctx, h)
		h.late[client.ObjectKeyFromObject(object)] = read(ctx, object)
		successor := recreate(ctx, object)

		for range 3 {
			result := h.reconcile(ctx, object)
			Expect(result.RequeueAfter).To(BeNumerically(">", 0), "the cache has to catch up")
			expectUntouched(ctx, successor)
			h.step(result.RequeueAfter)
		}

		clear(h.late)
		Expect(h.reconcile(ctx, successor).RequeueAfter).To(Equal(recheckInterval))
		expectUntouched(ctx, successor)
	},
		Entry("and whose predecessor is to be stored", func(ctx context.Context, _ *handler) *batchv1.Job {
			return completed(ctx, aJob())
		}),
		Entry("and whose predecessor is to be deleted", func(ctx context.Context, h *handler) *batchv1.Job {
			object := completed(ctx, aJob())
			h.before = failing(deleteJob, errCrash)
			_, err := h.pass(ctx, object)
			Expect(err).To(MatchError(errCrash))
			h.before = nil
			return object
		}),
		Entry("and whose predecessor lacks a stamp", func(ctx context.Context, _ *handler) *batchv1.Job {
			return create(ctx, aJob().Label(api.EnabledLabel, api.True).Obj())
		}),
	)

	It("does not delete a Job that changed after it was decided about", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		h.beforeRead = func(ctx context.Context, _ types.NamespacedName, wanted runtime.Object) error {
			if _, isResults := wanted.(*corev1.ConfigMap); isResults {
				h.beforeRead = nil
				annotate(ctx, object, api.DeleteAfterSuccessAnnotation, api.Never)
			}
			return nil
		}

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeNumerically(">", 0))
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())

		h.settle(ctx, object)
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
		expectStored(ctx, object)
	})

	It("does not report on a Job that changed while its logs were read, but on what it is", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		h.logs.during = func(ctx context.Context) error {
			h.logs.during = nil
			annotate(ctx, object, api.DeleteAfterSuccessAnnotation, "10s")
			return nil
		}

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeNumerically(">", 0))
		Expect(read(ctx, object).Annotations).NotTo(HaveKey(api.StatusAnnotation))

		h.settle(ctx, object)
		Expect(read(ctx, object).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
		expectStored(ctx, object)
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	})

	It("does nothing more to a Job that opted out while its logs were read", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		h.logs.during = func(ctx context.Context) error {
			change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False })
			return nil
		}

		h.settle(ctx, object)

		left := read(ctx, object)
		Expect(left.DeletionTimestamp).To(BeNil())
		Expect(left.Annotations).NotTo(HaveKey(api.StatusAnnotation))
	})

	It("waits for the cache instead of storing twice", func(ctx SpecContext) {
		object := failed(ctx, aJob())
		before := read(ctx, object)
		h.settle(ctx, object)
		readings := h.logs.readings()
		h.late[client.ObjectKeyFromObject(object)] = before
		h.forgetWrites()

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeNumerically("<", time.Second))
		Expect(h.written()).To(BeEmpty())
		Expect(h.logs.readings()).To(Equal(readings))

		clear(h.late)
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(h.written()).To(BeEmpty())
	})

	It("stores again, once, what somebody took the status away from", func(ctx SpecContext) {
		object := failed(ctx, aJob())
		h.settle(ctx, object)
		change(ctx, object, func(j *batchv1.Job) { delete(j.Annotations, api.StatusAnnotation) })

		h.settle(ctx, object)

		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed))
		Expect(resultsIn(ctx)).To(HaveLen(1))
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	})
})

var _ = Describe("Results that are gone before the Job is deleted", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	// storedOnly stores the Job's results and stops before the deletion.
	storedOnly := func(ctx context.Context) *batchv1.Job {
		GinkgoHelper()
		object := completed(ctx, aJob())
		h.before = failing(deleteJob, errCrash)
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		h.before = func(ctx context.Context, w write) error {
			if w.what == deleteJob {
				expectStored(ctx, object)
			}
			return nil
		}
		return object
	}

	DescribeTable("are stored again first", func(ctx SpecContext, takeOver bool) {
		object := storedOnly(ctx)
		Expect(kube.Delete(ctx, onlyResults(ctx))).To(Succeed())
		if takeOver {
			before := h.before
			h = h.restarted()
			h.before = before
		}

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("hello from"))
		expectGone(ctx, object)
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	},
		Entry("by the same process", false),
		Entry("by the next process", true),
	)

	It("are stored again under another name if theirs was taken meanwhile", func(ctx SpecContext) {
		object := storedOnly(ctx)
		Expect(kube.Delete(ctx, onlyResults(ctx))).To(Succeed())
		other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "job-results"}}
		Expect(kube.Create(ctx, other)).To(Succeed())

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Name).To(HavePrefix("job-results-"))
		Expect(configMap(ctx, "job-results").ResourceVersion).To(Equal(other.ResourceVersion))
		expectGone(ctx, object)
	})

	It("are stored again in the middle of the pass that would delete the Job", func(ctx SpecContext) {
		object := completed(ctx, aJob())
		h.beforeRead = func(ctx context.Context, _ types.NamespacedName, wanted runtime.Object) error {
			if _, isResults := wanted.(*corev1.ConfigMap); isResults {
				h.beforeRead = nil
				return kube.Delete(ctx, onlyResults(ctx))
			}
			return nil
		}

		h.settle(ctx, object)

		expectStored(ctx, object)
		expectGone(ctx, object)
	})

	It("cannot be seen while the API server does not answer, and the Job stays", func(ctx SpecContext) {
		object := storedOnly(ctx)
		away := true
		h.beforeRead = func(_ context.Context, _ types.NamespacedName, wanted runtime.Object) error {
			if _, isResults := wanted.(*corev1.ConfigMap); isResults && away {
				return errCrash
			}
			return nil
		}
		for range 3 {
			_, err := h.pass(ctx, object)
			Expect(err).To(MatchError(errCrash))
			Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
		}
		Expect(h.logs.readings()).To(Equal(1), "what cannot be seen need not be missing")

		away = false
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(resultsIn(ctx)).To(HaveLen(1))
	})
})
