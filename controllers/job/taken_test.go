package job_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

var _ = Describe("A name for results that is taken", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	kept := func(name string) *batchv1.Job {
		return stamped(aJob().Annotation(api.DeleteAfterSuccessAnnotation, api.Never).Label("run", name))
	}
	// finish runs the Job to its end.
	finish := func(ctx context.Context, object *batchv1.Job) *batchv1.Job {
		GinkgoHelper()
		object = create(ctx, object)
		start(ctx, object)
		addPod(ctx, object, ended(0))
		complete(ctx, object, 1)
		return object
	}
	// put creates a ConfigMap of this name.
	put := func(ctx context.Context, name string, data map[string]string) *corev1.ConfigMap {
		GinkgoHelper()
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: data}
		Expect(kube.Create(ctx, object)).To(Succeed())
		return object
	}
	// replace replaces the results that a process stored, just before it
	// crashed, with an altered copy.
	replace := func(ctx context.Context, object *batchv1.Job, alter func(*corev1.ConfigMap)) *corev1.ConfigMap {
		GinkgoHelper()
		crashing := newHandler()
		crashing.before = failing(createEvent, errCrash)
		_, err := crashing.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		copied := onlyResults(ctx)
		Expect(kube.Delete(ctx, copied)).To(Succeed())
		copied.UID, copied.ResourceVersion = "", ""
		alter(copied)
		Expect(kube.Create(ctx, copied)).To(Succeed())
		return copied
	}
	short := func(object *batchv1.Job) string { return "job-results-" + string(object.UID)[:8] }
	long := func(object *batchv1.Job) string { return "job-results-" + string(object.UID) }

	// expectStoredAs expects the results under the name, said so on the Job,
	// what took the other names as it was, and nothing left to do.
	expectStoredAs := func(ctx context.Context, object *batchv1.Job, name string, others ...*corev1.ConfigMap) {
		GinkgoHelper()
		Expect(results.Decode(configMap(ctx, name)).Verify(object, nil)).To(Succeed())
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.ResultsNameAnnotation, name))
		for _, other := range others {
			Expect(configMap(ctx, other.Name).ResourceVersion).To(Equal(other.ResourceVersion))
		}
		h.forgetWrites()
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(h.written()).To(BeEmpty())
	}
	It("by a stranger is left to it; the results get the next name, and a Warning says so", func(ctx SpecContext) {
		stranger := put(ctx, "job-results", map[string]string{"config": "mine"})
		object := finish(ctx, kept("first"))

		h.settle(ctx, object)

		expectStoredAs(ctx, object, short(object), stranger)
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("ConfigMap job-results ")))
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	})

	It("by an earlier run of the same Job is no reason for a Warning", func(ctx SpecContext) {
		earlier := finish(ctx, aJobThatGoes())
		h.settle(ctx, earlier)
		expectGone(ctx, earlier)
		before := configMap(ctx, "job-results")
		object := finish(ctx, kept("second"))

		h.settle(ctx, object)

		expectStoredAs(ctx, object, short(object), before)
		Expect(warningsOf(ctx, object)).To(BeEmpty())
		Expect(resultsIn(ctx)).To(HaveLen(2))
	})

	It("by results of another Job is left to it", func(ctx SpecContext) {
		other := finish(ctx, stamped(aJobCalled("other").Annotation(api.ResultsNameAnnotation, "job-results")))
		h.settle(ctx, other)
		before := configMap(ctx, "job-results")
		object := finish(ctx, kept("first"))

		h.settle(ctx, object)

		expectStoredAs(ctx, object, short(object), before)
		Expect(warningsOf(ctx, object)).To(HaveLen(1))
	})

	DescribeTable("by something that only looks like this run's results is left to it", func(ctx SpecContext, alter func(*corev1.ConfigMap)) {
		object := finish(ctx, kept("first"))
		other := replace(ctx, object, alter)

		h.settle(ctx, object)

		expectStoredAs(ctx, object, short(object), other)
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("ConfigMap job-results ")))
	},
		Entry("damaged", func(cm *corev1.ConfigMap) { cm.Data[api.DataLogs] = "nothing happened here" }),
		Entry("with a value missing", func(cm *corev1.ConfigMap) { delete(cm.Data, api.DataContainers) }),
		Entry("mutable", func(cm *corev1.ConfigMap) { cm.Immutable = nil }),
		Entry("not labelled as created by us", func(cm *corev1.ConfigMap) { delete(cm.Labels, api.CreatedLabel) }),
		Entry("without a digest", func(cm *corev1.ConfigMap) { cm.Annotations = nil }),
		Entry("about another run, under this run's UID", func(cm *corev1.ConfigMap) {
			cm.Data[api.DataJobJSON] = strings.Replace(cm.Data[api.DataJobJSON], `"uid": "`, `"uid": "f`, 1)
			cm.Annotations[api.SHA256Annotation] = results.Digest(cm.Data, cm.BinaryData)
		}),
		Entry("without the run's pods", func(cm *corev1.ConfigMap) {
			cm.Data[api.DataJobJSON] = strings.ReplaceAll(cm.Data[api.DataJobJSON], `"pods":`, `"others":`)
			cm.Annotations[api.SHA256Annotation] = results.Digest(cm.Data, cm.BinaryData)
		}),
		Entry("with no content at all", func(cm *corev1.ConfigMap) { cm.Data = nil }),
	)

	It("by the run's own results, whole, is its name", func(ctx SpecContext) {
		object := finish(ctx, kept("first"))
		own := replace(ctx, object, func(*corev1.ConfigMap) {})

		h.settle(ctx, object)

		expectStoredAs(ctx, object, "job-results", own)
		Expect(resultsIn(ctx)).To(HaveLen(1))
		Expect(warningsOf(ctx, object)).To(BeEmpty())
	})

	It("twice leaves the whole UID", func(ctx SpecContext) {
		object := finish(ctx, kept("first"))
		first := put(ctx, "job-results", nil)
		second := put(ctx, short(object), nil)

		h.settle(ctx, object)

		expectStoredAs(ctx, object, long(object), first, second)
		Expect(warningsOf(ctx, object)).To(HaveLen(2))
	})

	It("three times keeps the Job, with a Warning, until a name is free", func(ctx SpecContext) {
		object := finish(ctx, aJobThatGoes())
		for _, name := range []string{"job-results", short(object), long(object)} {
			put(ctx, name, nil)
		}

		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)

		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(read(ctx, object).Annotations).NotTo(HaveKey(api.StatusAnnotation))
		Expect(outcomesOf(ctx, object)).To(BeEmpty())
		Expect(warningsOf(ctx, object)).To(ContainElement(And(
			ContainSubstring("every name"), ContainSubstring(short(object)), ContainSubstring(long(object)))))

		told := len(warningsOf(ctx, object))
		h.step(time.Minute)
		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
		Expect(warningsOf(ctx, object)).To(HaveLen(told))

		Expect(kube.Delete(ctx, configMap(ctx, short(object)))).To(Succeed())
		h.step(time.Minute)
		h.settle(ctx, object)
		expectStored(ctx, object)
		expectGone(ctx, object)
	})

	It("and becomes free before it was looked at is tried again", func(ctx SpecContext) {
		stranger := put(ctx, "job-results", nil)
		object := finish(ctx, kept("first"))
		h.beforeRead = func(ctx context.Context, key types.NamespacedName, wanted runtime.Object) error {
			if _, isConfigMap := wanted.(*corev1.ConfigMap); isConfigMap && key.Name == stranger.Name {
				h.beforeRead = nil
				return kube.Delete(ctx, stranger)
			}
			return nil
		}

		h.settle(ctx, object)

		expectStoredAs(ctx, object, "job-results")
		Expect(warningsOf(ctx, object)).To(BeEmpty())
	})

	It("and cannot be looked at is not given up", func(ctx SpecContext) {
		put(ctx, "job-results", nil)
		object := finish(ctx, kept("first"))
		h.beforeRead = func(_ context.Context, key types.NamespacedName, wanted runtime.Object) error {
			if _, isConfigMap := wanted.(*corev1.ConfigMap); isConfigMap && key.Name == "job-results" {
				return apierrors.NewTimeoutError("too busy", 1)
			}
			return nil
		}
		_, err := h.pass(ctx, object)
		Expect(err).To(Satisfy(apierrors.IsTimeout))
		Expect(resultsIn(ctx)).To(BeEmpty())

		h.beforeRead = nil
		h.settle(ctx, object)
		expectStoredAs(ctx, object, short(object))
	})
})
