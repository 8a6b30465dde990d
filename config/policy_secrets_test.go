package config_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// secretResultsOf returns the Secret that the manager creates.
func secretResultsOf(namespace string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "report-results", Labels: map[string]string{api.CreatedLabel: api.True},
		},
		Immutable: new(true), Type: api.SecretType,
		Data: map[string][]byte{api.DataLogs: []byte("done")},
	}
}

var _ = Describe("What the policies let the manager do with Secrets, had it every right", func() {
	const (
		onlyCreates = "creates a Secret only if it is of type job-handler/results, immutable and labelled job-handler/created=true"
		onlyDeletes = "deletes a Secret only if it is of type job-handler/results, immutable, labelled job-handler/created=true, and without an owner or captures of its Job"
	)

	changes := func(answer, ownedAnswer, otherAnswer string) []any {
		return []any{
			Entry("results", func(*corev1.Secret) {}, answer),
			Entry("results with more labels", func(s *corev1.Secret) { s.Labels["team"] = "blue" }, answer),
			Entry("results with an owner", func(s *corev1.Secret) { s.OwnerReferences = anOwner() }, ownedAnswer),
			Entry("a mutable one", func(s *corev1.Secret) { s.Immutable = nil }, otherAnswer),
			Entry("one that says it is mutable", func(s *corev1.Secret) { s.Immutable = new(false) }, otherAnswer),
			Entry("one without labels", func(s *corev1.Secret) { s.Labels = nil }, otherAnswer),
			Entry("one with another value", func(s *corev1.Secret) { s.Labels[api.CreatedLabel] = "yes" }, otherAnswer),
			Entry("one of no type", func(s *corev1.Secret) { s.Type = "" }, otherAnswer),
			Entry("one of another type", func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }, otherAnswer),
			Entry("a token", func(s *corev1.Secret) {
				s.Type = corev1.SecretTypeServiceAccountToken
				s.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
			}, otherAnswer),
		}
	}

	DescribeTable("creation", append([]any{func(ctx SpecContext, change func(*corev1.Secret), answer string) {
		object := secretResultsOf(newNamespace(ctx))
		change(object)
		Expect(almighty.Create(ctx, object)).To(answerWith(answer))
	}}, changes(allowed, onlyTheJob, onlyCreates)...)...)

	DescribeTable("deletion", append([]any{func(ctx SpecContext, change func(*corev1.Secret), answer string) {
		object := secretResultsOf(newNamespace(ctx))
		change(object)
		Expect(kube.Create(ctx, object)).To(Succeed())
		Expect(almighty.Delete(ctx, object)).To(answerWith(answer))
	}}, changes(allowed, onlyDeletes, onlyDeletes)...)...)

	DescribeTable("change", append([]any{func(ctx SpecContext, change func(*corev1.Secret), answer string) {
		object := secretResultsOf(newNamespace(ctx))
		change(object)
		Expect(kube.Create(ctx, object)).To(Succeed())
		metav1.SetMetaDataLabel(&object.ObjectMeta, "job-handler/status", "completed")
		Expect(almighty.Update(ctx, object)).To(answerWith(answer))
	}}, changes("never changes a Secret", "never changes a Secret", "never changes a Secret")...)...)

	It("is nobody else's affair", func(ctx SpecContext) {
		object := secretResultsOf(newNamespace(ctx))
		object.Immutable, object.Labels, object.Type = nil, nil, corev1.SecretTypeOpaque
		Expect(kube.Create(ctx, object)).To(Succeed())
		object.Data = map[string][]byte{"a": []byte("b")}
		Expect(kube.Update(ctx, object)).To(Succeed())
		Expect(kube.Delete(ctx, object)).To(Succeed())
	})
})
