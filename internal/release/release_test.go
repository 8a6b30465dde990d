package release_test

import (
	"context"
	"fmt"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
	"github.com/job-handler/job-handler/internal/release"
)

// raised returns the builder of a Job whose TTL of 60 was raised.
func raised(namespace, name string) *jobtest.JobBuilder {
	return jobtest.MakeJob(namespace, name).Label(api.EnabledLabel, api.True).
		Annotation(api.ResultsNameAnnotation, name+"-results").TTL(3600).Annotation(api.TTLAnnotation, "60")
}

// held returns a Job with our finalizer and another.
func held(namespace, name string) *batchv1.Job {
	job := jobtest.MakeJob(namespace, name).Label(api.EnabledLabel, api.True).Obj()
	job.Finalizers = []string{"example.com/other", api.ResultsFinalizer}
	return job
}

var _ = Describe("Releasing a cluster", func() {
	It("takes back what holds Jobs and marks Namespaces, once, and says so", func(ctx SpecContext) {
		mirrored := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True).Annotation(api.EnabledAnnotation, api.True).
			Annotation(api.EnabledMirroredAnnotation, api.True).Annotation(api.EnabledSinceAnnotation, "2026-11-01T00:00:00Z").Obj())
		labelled := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True).
			Annotation(api.EnabledSinceAnnotation, "2026-11-01T00:00:00Z").Annotation(api.ResultsTTLAnnotation, "1d").Obj())
		first := create(ctx, raised(mirrored.Name, "raised").Obj())
		second := create(ctx, held(labelled.Name, "held"))
		leaving := held(labelled.Name, "leaving")
		leaving.Finalizers = []string{api.ResultsFinalizer}
		create(ctx, leaving)
		Expect(kube.Delete(ctx, leaving, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		results := create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: labelled.Name, Name: "old-results", Labels: map[string]string{api.CreatedLabel: api.True}},
			Immutable:  new(true),
		})
		version := results.ResourceVersion

		out, err := run(ctx)
		Expect(err).NotTo(HaveOccurred())

		Expect(read(ctx, mirrored).Labels).NotTo(HaveKey(api.EnabledLabel))
		Expect(mirrored.Annotations).To(Equal(map[string]string{api.EnabledAnnotation: api.True}))
		Expect(read(ctx, labelled).Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
		Expect(labelled.Annotations).To(Equal(map[string]string{api.ResultsTTLAnnotation: "1d"}))
		Expect(read(ctx, first).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(60)))
		Expect(first.Annotations).To(Equal(map[string]string{api.ResultsNameAnnotation: "raised-results"}))
		Expect(read(ctx, second).Finalizers).To(Equal([]string{"example.com/other"}))
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(leaving), leaving)).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
		Expect(read(ctx, results).ResourceVersion).To(Equal(version))
		Expect(out).To(ContainSubstring("Namespace %s: label job-handler/enabled removed, annotation job-handler/enabled-mirrored removed, "+
			"annotation job-handler/enabled-since removed\n", mirrored.Name))
		Expect(out).To(ContainSubstring("Job %s/raised: ttlSecondsAfterFinished put back from 3600 to 60, "+
			"annotation job-handler/ttl-seconds-after-finished removed\n", mirrored.Name))
		Expect(out).To(ContainSubstring("Job %s/held: finalizer job-handler/results removed\n", labelled.Name))
		Expect(out).To(MatchRegexp(`\nReleased 2 Namespaces and 3 Jobs: checked \d+ Namespaces and 3 Jobs\n$`))

		Expect(run(ctx)).To(MatchRegexp(`^Nothing to release: checked \d+ Namespaces and 2 Jobs\n$`))
	})

	It("in a dry run changes nothing and says what it would", func(ctx SpecContext) {
		namespace := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True).Annotation(api.EnabledMirroredAnnotation, api.True).Obj())
		job := create(ctx, raised(namespace.Name, "raised").Obj())
		versions := []string{namespace.ResourceVersion, job.ResourceVersion}

		out, err := run(ctx, dryRun)
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(And(
			MatchRegexp(`(?m)^Namespace %s: .* \(dry run\)$`, namespace.Name),
			MatchRegexp(`(?m)^Job %s/raised: .* \(dry run\)$`, namespace.Name),
			MatchRegexp(`\nReleased 1 Namespace and 1 Job: .* \(dry run\)\n$`)))
		Expect([]string{read(ctx, namespace).ResourceVersion, read(ctx, job).ResourceVersion}).To(Equal(versions))
		Expect(run(ctx)).To(ContainSubstring("Released 1 Namespace and 1 Job"))
	})

	It("goes through more Jobs than are in one page", func(ctx SpecContext) {
		namespace := create(ctx, suite.Namespace().Obj())
		const many = 520
		for i := range many {
			create(ctx, raised(namespace.Name, fmt.Sprintf("raised-%d", i)).Obj())
		}
		Expect(run(ctx)).To(ContainSubstring("Released 0 Namespaces and %d Jobs", many))
		jobs := &batchv1.JobList{}
		Expect(kube.List(ctx, jobs, client.InNamespace(namespace.Name))).To(Succeed())
		Expect(jobs.Items).To(HaveLen(many))
		for i := range jobs.Items {
			Expect(jobs.Items[i].Annotations).NotTo(HaveKey(api.TTLAnnotation))
		}
	})

	It("tries again when an object changes under its hands", func(ctx SpecContext) {
		namespace := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True).Annotation(api.EnabledMirroredAnnotation, api.True).Obj())
		job := create(ctx, raised(namespace.Name, "busy").Obj())
		changes := map[string]*atomic.Int32{namespace.Name: {}, job.Name: {}}
		busy := interceptor.NewClient(kube, interceptor.Funcs{Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption,
		) error {
			if err := c.Get(ctx, key, object, options...); err != nil {
				return err
			}
			if changes[key.Name] == nil || changes[key.Name].Add(1) > 3 {
				return nil
			}
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"change":"%d"}}}`, changes[key.Name].Load())
			changed, ok := object.DeepCopyObject().(client.Object)
			Expect(ok).To(BeTrue())
			return c.Patch(ctx, changed, client.RawPatch("application/merge-patch+json", patch))
		}})
		_, err := run(ctx, func(r *release.Releaser) { r.Client = busy })
		Expect(err).NotTo(HaveOccurred())
		Expect(read(ctx, job).Annotations).To(And(HaveKeyWithValue("change", "3"), Not(HaveKey(api.TTLAnnotation))))
		Expect(read(ctx, namespace).Labels).NotTo(HaveKey(api.EnabledLabel))
	})

	It("leaves a Namespace's label that somebody changes under its hands", func(ctx SpecContext) {
		namespace := create(ctx, suite.Namespace().Label(api.EnabledLabel, api.True).Annotation(api.EnabledMirroredAnnotation, api.True).Obj())
		changed := false
		busy := interceptor.NewClient(kube, interceptor.Funcs{Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption,
		) error {
			if err := c.Get(ctx, key, object, options...); err != nil || key.Name != namespace.Name || changed {
				return err
			}
			changed = true
			patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, api.EnabledLabel, api.False)
			return c.Patch(ctx, namespace.DeepCopy(), client.RawPatch("application/merge-patch+json", patch))
		}})
		_, err := run(ctx, func(r *release.Releaser) { r.Client = busy })
		Expect(err).NotTo(HaveOccurred())
		Expect(read(ctx, namespace).Labels).To(HaveKeyWithValue(api.EnabledLabel, api.False))
		Expect(read(ctx, namespace).Annotations).NotTo(HaveKey(api.EnabledMirroredAnnotation))
	})

	It("goes on after one that it cannot change, and fails with its name", func(ctx SpecContext) {
		namespace := create(ctx, suite.Namespace().Obj())
		stuck := create(ctx, raised(namespace.Name, "stuck").Obj())
		free := create(ctx, raised(namespace.Name, "free").Obj())
		guard := guardAgainstChanges(ctx, stuck)

		out, err := run(ctx)
		Expect(err).To(MatchError(MatchRegexp(`^not everything is released, .*\nJob %s/stuck: changing it: .*kept as it is`, namespace.Name)))
		Expect(err).NotTo(MatchError(ContainSubstring("free")))
		Expect(out).To(HaveSuffix(", 1 failed\n"))
		Expect(read(ctx, free).Annotations).NotTo(HaveKey(api.TTLAnnotation))
		Expect(read(ctx, stuck).Annotations).To(HaveKey(api.TTLAnnotation))

		Expect(kube.Delete(ctx, guard)).To(Succeed())
		Eventually(func() (string, error) { return run(ctx) }).Should(ContainSubstring("and 1 Job:"))
	})

	It("says that it was interrupted", func(ctx SpecContext) {
		interrupted, cancel := context.WithCancel(ctx)
		cancel()
		_, err := run(interrupted, dryRun)
		Expect(err).To(MatchError(context.Canceled))
		Expect(err).To(MatchError(ContainSubstring("run it again")))
	})
})

// guardAgainstChanges has the API server refuse every change of the Job, and
// returns the binding that does.
func guardAgainstChanges(ctx context.Context, job *batchv1.Job) client.Object {
	GinkgoHelper()
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: job.Name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				ResourceNames: []string{job.Name},
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{batchv1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "kept as it is"}},
		},
	}
	create(ctx, policy)
	DeferCleanup(func(ctx context.Context) { Expect(kube.Delete(ctx, policy)).To(Succeed()) })
	binding := create(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: job.Name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: policy.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	})
	Eventually(func() error {
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"tried":"yes"}}}`))
		return kube.Patch(ctx, job.DeepCopy(), patch, client.DryRunAll)
	}).Should(MatchError(ContainSubstring("kept as it is")))
	return binding
}
