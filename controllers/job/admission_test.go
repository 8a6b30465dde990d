package job_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
)

// here selects requests of one operation on one resource of the spec's Namespace.
func here(group, version, resource string, operation admissionv1.OperationType) *admissionv1.MatchResources {
	return &admissionv1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
		ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{operation},
			Rule: admissionv1.Rule{
				APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource},
			},
		}}},
	}
}

// deny has a policy deny the requests, and returns what lifts it.
func deny(ctx context.Context, requests *admissionv1.MatchResources, probe func() error) (lift func()) {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Name: "deny-" + namespace}
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: requests,
		Validations:      []admissionv1.Validation{{Expression: "false", Message: "not on a Friday"}},
	}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: policy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	Expect(kube.Create(ctx, policy)).To(Succeed())
	Expect(kube.Create(ctx, binding)).To(Succeed())
	Eventually(ctx, probe).Should(MatchError(ContainSubstring("not on a Friday")))
	return func() {
		GinkgoHelper()
		Expect(kube.Delete(ctx, binding)).To(Succeed())
		Eventually(ctx, probe).Should(Succeed())
	}
}

// alter has a policy change every ConfigMap that is created.
func alter(ctx context.Context, expression string) {
	GinkgoHelper()
	versions.Need(GinkgoT(), versions.MutatingPolicy)
	meta := metav1.ObjectMeta{Name: "alter-" + namespace}
	fail := admissionv1.Fail
	policy := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicySpec{
		MatchConstraints: here("", "v1", "configmaps", admissionv1.Create), FailurePolicy: &fail,
		ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		Mutations: []admissionv1.Mutation{{
			PatchType:          admissionv1.PatchTypeApplyConfiguration,
			ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: expression},
		}},
	}}
	Expect(kube.Create(ctx, policy)).To(Succeed())
	Expect(kube.Create(ctx, &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: meta, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: policy.Name},
	})).To(Succeed())
	Eventually(ctx, func(g Gomega) {
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "probe-"}}
		g.Expect(kube.Create(ctx, probe, client.DryRunAll)).To(Succeed())
		g.Expect(len(probe.Labels) + len(probe.Data)).NotTo(BeZero())
	}).Should(Succeed())
}

var _ = Describe("Somebody else's admission policy", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	createConfigMap := func(ctx context.Context) func() error {
		return func() error {
			probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "probe-"}}
			return kube.Create(ctx, probe, client.DryRunAll)
		}
	}
	changeProbe := func(ctx context.Context) func() error {
		GinkgoHelper()
		probe := create(ctx, aJobCalled("probe").Obj())
		return func() error {
			to := probe.DeepCopy()
			metav1.SetMetaDataAnnotation(&to.ObjectMeta, "probe", "yes")
			return kube.Patch(ctx, to, client.MergeFrom(probe), client.DryRunAll)
		}
	}
	deleteProbe := func(ctx context.Context) func() error {
		GinkgoHelper()
		probe := create(ctx, aJobCalled("probe").Obj())
		return func() error {
			return kube.Delete(ctx, probe, client.DryRunAll, client.PropagationPolicy(metav1.DeletePropagationBackground))
		}
	}

	DescribeTable("that denies a write keeps the Job, is told of, and asked again slowly",
		func(ctx SpecContext, requests func() *admissionv1.MatchResources, probe func(context.Context) func() error, stored bool) {
			lift := deny(ctx, requests(), probe(ctx))
			object := completed(ctx, aJob())

			for range 3 {
				Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
				h.step(time.Minute)
			}
			Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
			if stored {
				expectStored(ctx, object)
			} else {
				Expect(resultsIn(ctx)).To(BeEmpty())
			}
			Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("not on a Friday")))

			lift()
			h.settle(ctx, object)
			expectGone(ctx, object)
			expectStored(ctx, object)
			Expect(outcomesOf(ctx, object)).To(HaveLen(1))
		},
		Entry("results", func() *admissionv1.MatchResources {
			return here("", "v1", "configmaps", admissionv1.Create)
		}, createConfigMap, false),
		Entry("the report", func() *admissionv1.MatchResources {
			return here("batch", "v1", "jobs", admissionv1.Update)
		}, changeProbe, true),
		Entry("the deletion", func() *admissionv1.MatchResources {
			return here("batch", "v1", "jobs", admissionv1.Delete)
		}, deleteProbe, true),
	)

	It("that denies what a Job lacks does not have it handled again and again", func(ctx SpecContext) {
		deny(ctx, here("batch", "v1", "jobs", admissionv1.Update), changeProbe(ctx))
		object := create(ctx, aJob().Label(api.EnabledLabel, api.True).Obj())

		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)

		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("not on a Friday")))
	})

	It("that labels results does not harm them", func(ctx SpecContext) {
		alter(ctx, `Object{metadata: Object.metadata{labels: {"cost-center": "42"}}}`)
		object := completed(ctx, aJob())

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Labels).To(HaveKeyWithValue("cost-center", "42"))
		Expect(warningsOf(ctx, object)).To(BeEmpty())
		expectGone(ctx, object)
	})

	It("that changes what is in results is noticed: the Job stays", func(ctx SpecContext) {
		alter(ctx, `Object{data: {"logs": "nothing to see here"}}`)
		object := completed(ctx, aJob())

		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)

		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
		Expect(read(ctx, object).Annotations).NotTo(HaveKey(api.StatusAnnotation))
		Expect(outcomesOf(ctx, object)).To(BeEmpty())
		Expect(warningsOf(ctx, object)).NotTo(BeEmpty())
	})
})
