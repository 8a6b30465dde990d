package job_test

import (
	"context"
	"errors"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/results"
)

const createSecret = "create Secret"

var errCannotGet = errors.New(`the user cannot get resource "secrets" in API group ""`)

// secret returns the Secret of this name.
func secret(ctx context.Context, name string) *corev1.Secret {
	GinkgoHelper()
	object := &corev1.Secret{}
	Expect(kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)).To(Succeed())
	return object
}

// inSecrets wants results in Secrets in the spec's namespace, with the rights
// for that.
func inSecrets(ctx context.Context) {
	GinkgoHelper()
	annotateNamespace(ctx, api.ResultsKindAnnotation, api.ResultsKindSecret)
	Expect(kube.GrantSecretResults(ctx, namespace)).To(Succeed())
}

var _ = Describe("Results in a Secret", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	kept := func() *jobtest.JobBuilder { return aJob().Annotation(api.DeleteAfterSuccessAnnotation, api.Never) }

	It("are what a ConfigMap would hold, and the Job is deleted", func(ctx SpecContext) {
		inSecrets(ctx)
		object := completed(ctx, aJob())

		h.settle(ctx, object)

		expectGone(ctx, object)
		stored := secret(ctx, "job-results")
		Expect(results.Decode(stored).Verify(object, nil)).To(Succeed())
		Expect(stored.Type).To(BeEquivalentTo(api.SecretType))
		Expect(*stored.Immutable).To(BeTrue())
		Expect(stored.OwnerReferences).To(BeEmpty())
		Expect(stored.Labels).To(HaveKeyWithValue(api.JobNameLabel, "job"))
		Expect(string(stored.Data[api.DataLogs])).To(ContainSubstring("hello from"))
		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(h.written()).To(HaveExactElements(createSecret, createEvent, patchJob, deleteJob))
		Expect(outcomesOf(ctx, object)).To(HaveExactElements(HaveField("Note", ContainSubstring("results stored in Secret job-results"))))
	})

	It("are wanted by the Job's own annotation alone", func(ctx SpecContext) {
		Expect(kube.GrantSecretResults(ctx, namespace)).To(Succeed())
		object := completed(ctx, aJob().Annotation(api.ResultsKindAnnotation, api.ResultsKindSecret))
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(results.Decode(secret(ctx, "job-results")).Verify(object, nil)).To(Succeed())
	})

	It("are where the Job says, whatever its Namespace wants later", func(ctx SpecContext) {
		inSecrets(ctx)
		object := completed(ctx, kept())
		h.settle(ctx, object)
		Expect(read(ctx, object).Annotations).To(HaveKeyWithValue(api.ResultsKindAnnotation, api.ResultsKindSecret))
		annotateNamespace(ctx, api.ResultsKindAnnotation, api.ResultsKindConfigMap)

		change(ctx, object, func(j *batchv1.Job) { delete(j.Annotations, api.DeleteAfterSuccessAnnotation) })
		h.restarted().settle(ctx, object)

		expectGone(ctx, object)
		Expect(resultsIn(ctx)).To(BeEmpty())
	})

	It("are not looked for where a ConfigMap was stored", func(ctx SpecContext) {
		object := completed(ctx, kept())
		h.settle(ctx, object)
		annotateNamespace(ctx, api.ResultsKindAnnotation, api.ResultsKindSecret)

		change(ctx, object, func(j *batchv1.Job) { delete(j.Annotations, api.DeleteAfterSuccessAnnotation) })
		h.restarted().settle(ctx, object)

		expectGone(ctx, object)
		expectStored(ctx, object)
		Expect(warningsOf(ctx, object)).To(BeEmpty())
	})

	It("are adopted after a crash", func(ctx SpecContext) {
		inSecrets(ctx)
		object := completed(ctx, aJob())
		h.before = failing(createEvent, errCrash)
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		before := secret(ctx, "job-results")

		h.restarted().settle(ctx, object)

		expectGone(ctx, object)
		Expect(secret(ctx, "job-results").UID).To(Equal(before.UID))
	})

	It("are stored again if they are gone before the Job is", func(ctx SpecContext) {
		inSecrets(ctx)
		object := completed(ctx, aJob())
		h.before = failing(deleteJob, errCrash)
		_, err := h.pass(ctx, object)
		Expect(err).To(MatchError(errCrash))
		Expect(kube.Delete(ctx, secret(ctx, "job-results"))).To(Succeed())

		h.restarted().settle(ctx, object)

		expectGone(ctx, object)
		Expect(results.Decode(secret(ctx, "job-results")).Verify(object, nil)).To(Succeed())
	})

	DescribeTable("get another name where theirs is taken", func(ctx SpecContext, kind corev1.SecretType, labels map[string]string) {
		inSecrets(ctx)
		stranger := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "job-results", Labels: labels},
			Type:       kind, Immutable: new(true), Data: map[string][]byte{"password": []byte("x")},
		}
		Expect(kube.Create(ctx, stranger)).To(Succeed())
		object := completed(ctx, kept())

		h.settle(ctx, object)

		Expect(results.Decode(secret(ctx, "job-results-"+string(object.UID)[:8])).Verify(object, nil)).To(Succeed())
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("Secret job-results cannot hold the results")))
		Expect(secret(ctx, "job-results").ResourceVersion).To(Equal(stranger.ResourceVersion))
	},
		Entry("by a stranger", corev1.SecretTypeOpaque, nil),
		Entry("by a Secret of another type with the labels", corev1.SecretTypeOpaque, map[string]string{api.CreatedLabel: api.True}),
		Entry("by a Secret of the type", corev1.SecretType(api.SecretType), nil),
	)

	It("are waited for without the right, with a Warning that says what to apply", func(ctx SpecContext) {
		h.Store.Namespace = "operators"
		annotateNamespace(ctx, api.ResultsKindAnnotation, api.ResultsKindSecret)
		object := completed(ctx, aJob())

		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)

		Expect(read(ctx, object).Annotations).NotTo(HaveKey(api.StatusAnnotation))
		Expect(warningsOf(ctx, object)).To(ConsistOf(And(
			ContainSubstring("kubectl create rolebinding job-handler-secret-results -n "+namespace+
				" --clusterrole=job-handler-secret-results --serviceaccount=operators:job-handler"),
			ContainSubstring(`cannot create resource "secrets"`))))
		Expect(resultsIn(ctx)).To(BeEmpty(), "results wanted in a Secret are never stored for all to read")

		Expect(kube.GrantSecretResults(ctx, namespace)).To(Succeed())
		h.step(time.Minute)
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(results.Decode(secret(ctx, "job-results")).Verify(object, nil)).To(Succeed())
	})

	It("are kept, with the Job, if the right is taken away in between", func(ctx SpecContext) {
		inSecrets(ctx)
		object := completed(ctx, aJob())
		h.beforeRead = func(_ context.Context, key types.NamespacedName, object runtime.Object) error {
			if _, isSecret := object.(*corev1.Secret); isSecret {
				return apierrors.NewForbidden(corev1.Resource("secrets"), key.Name, errCannotGet)
			}
			return nil
		}

		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)

		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("kubectl create rolebinding")))
		h.beforeRead = nil
		h.settle(ctx, object)
		expectGone(ctx, object)
	})

	It("hold as much as a ConfigMap", func(ctx SpecContext) {
		inSecrets(ctx)
		object := completed(ctx, aJob())
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog { return whole(container, noise(3<<20)) }
		h.settle(ctx, object)
		expectGone(ctx, object)
		stored := secret(ctx, "job-results")
		Expect(results.Decode(stored).Verify(object, nil)).To(Succeed())
		size := 0
		for _, value := range stored.Data {
			size += len(value)
		}
		Expect(size).To(And(BeNumerically(">", api.MaxResultsBytes*9/10), BeNumerically("<=", api.MaxResultsBytes)))
		Expect(stored.Annotations).To(HaveKeyWithValue(api.BytesAnnotation, strconv.Itoa(size)))
	})

	It("are stored shorter where the API server finds them too large", func(ctx SpecContext) {
		inSecrets(ctx)
		object := completed(ctx, aJob())
		refusals := 0
		h.before = func(_ context.Context, w write) error {
			if w.what == createSecret && refusals == 0 {
				refusals++
				return apierrors.NewRequestEntityTooLargeError("too large")
			}
			return nil
		}
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(results.Decode(secret(ctx, "job-results")).Verify(object, nil)).To(Succeed())
	})
})
