package config_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobpatch"
	"github.com/job-handler/job-handler/internal/jobtest"
)

var _ = Describe("What the policies let the manager create of Jobs", func() {
	BeforeEach(installOwnNamespace)

	const creates = "creates no Job, but for a dry run of its self-test in its own namespace"

	DescribeTable("creation", func(ctx SpecContext, as func() client.Client, namespace func(SpecContext) string, label string, dryRun bool, answer string) {
		job := jobtest.MakeJob(namespace(ctx), "probe")
		if label != "" {
			job.Label(api.SelfTestLabel, label)
		}
		var options []client.CreateOption
		if dryRun {
			options = append(options, client.DryRunAll)
		}
		Expect(as().Create(ctx, job.Obj(), options...)).To(answerWith(answer))
	},
		Entry("the self-test", theManager, itsOwn, api.True, true, allowed),
		Entry("the self-test for good", theManager, itsOwn, api.True, false, creates),
		Entry("another dry run", theManager, itsOwn, "", true, creates),
		Entry("a dry run with another value", theManager, itsOwn, api.False, true, creates),
		Entry("a Job for good", theManager, itsOwn, "", false, creates),
		Entry("the self-test elsewhere, had it the right", withEveryRight, newNamespace, api.True, true, creates),
		Entry("a Job elsewhere, had it the right", withEveryRight, newNamespace, "", false, creates),
	)

	It("is not even asked where the manager creates a Job in another namespace", func(ctx SpecContext) {
		job := jobtest.MakeJob(newNamespace(ctx), "probe").Label(api.SelfTestLabel, api.True)
		err := manager.Create(ctx, job.Obj(), client.DryRunAll)
		Expect(err).To(And(Satisfy(apierrors.IsForbidden), MatchError(ContainSubstring("cannot create resource"))))
	})
})

// The API server gives an expression so much time, counted in steps, and refuses the
// request after it.
var _ = Describe("What the policies let the manager change of a Job with as much metadata as fits", func() {
	longLabels := func(job *batchv1.Job) {
		for i := range 5000 {
			job.Labels[fmt.Sprintf("k%04d%s", i, strings.Repeat("a", 58))] = strings.Repeat("v", 63)
		}
	}
	shortLabels := func(job *batchv1.Job) {
		for i := range 25_000 {
			job.Labels[fmt.Sprintf("k%x", i)] = ""
		}
	}
	shortAnnotations := func(job *batchv1.Job) {
		for i := range 40_000 {
			job.Annotations[fmt.Sprintf("k%x", i)] = ""
		}
	}
	templateLabels := func(job *batchv1.Job) {
		for i := range 25_000 {
			metav1.SetMetaDataLabel(&job.Spec.Template.ObjectMeta, fmt.Sprintf("k%x", i), "")
		}
	}
	template := func(job *batchv1.Job) {
		metav1.SetMetaDataLabel(&job.Spec.Template.ObjectMeta, api.EnabledLabel, api.True)
	}
	label := func(job *batchv1.Job) { metav1.SetMetaDataLabel(&job.ObjectMeta, api.EnabledLabel, api.True) }
	status := func(job *batchv1.Job) {
		metav1.SetMetaDataAnnotation(&job.ObjectMeta, api.StatusAnnotation, api.StatusCompleted)
	}

	DescribeTable("one thing", func(ctx SpecContext, fill, change func(*batchv1.Job), answer string) {
		object := jobtest.MakeJob(newNamespace(ctx), "huge").Suspended().Obj()
		object.Labels, object.Annotations = map[string]string{}, map[string]string{}
		fill(object)
		Expect(kube.Create(ctx, object)).To(Succeed())
		changed := object.DeepCopy()
		change(changed)
		Expect(manager.Patch(ctx, changed, jobpatch.From(object))).To(answerWith(answer))
	},
		Entry("the template, in labels", longLabels, template, allowed),
		Entry("its label, in labels", longLabels, label, allowed),
		Entry("the template, in short labels", shortLabels, template, allowed),
		Entry("its label, in short labels", shortLabels, label, allowed),
		Entry("the template, in annotations", shortAnnotations, template, allowed),
		Entry("the status, in annotations", shortAnnotations, status, allowed),
		Entry("the status, in labels of the template", templateLabels, status, allowed),
		Entry("the template, in its labels", templateLabels, template, allowed),
	)

	It("is no annotation of others", func(ctx SpecContext) {
		object := jobtest.MakeJob(newNamespace(ctx), "huge").Suspended().Obj()
		object.Labels, object.Annotations = map[string]string{}, map[string]string{}
		shortAnnotations(object)
		Expect(kube.Create(ctx, object)).To(Succeed())
		changed := object.DeepCopy()
		status(changed)
		delete(changed.Annotations, "k1")
		// On a busy machine the API server gives up after 34 s, and changes nothing either.
		Expect(manager.Patch(ctx, changed, jobpatch.From(object))).To(
			Or(answerWith("no annotation of a Job"), Satisfy(apierrors.IsTimeout)))
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		Expect(object.Annotations).To(HaveKey("k1"))
		Expect(object.Annotations).NotTo(HaveKey(api.StatusAnnotation))
	})
})

func theManager() client.Client     { return manager }
func withEveryRight() client.Client { return almighty }

func itsOwn(SpecContext) string { return api.ManagerNamespace }

// installOwnNamespace gives the manager the rights that it has in its own
// Namespace, and waits until they count.
func installOwnNamespace(ctx context.Context) {
	objects, err := config.Load("rbac/namespace.yaml", "rbac/role.yaml", "rbac/role_binding.yaml")
	Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		Expect(client.IgnoreAlreadyExists(kube.Create(ctx, object))).To(Succeed())
	}
	Eventually(func(g Gomega) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: api.ManagerUser,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: api.ManagerNamespace, Group: "batch", Resource: "jobs", Verb: "create",
			},
		}}
		g.Expect(kube.Create(ctx, review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(BeTrue())
	}).WithContext(ctx).Should(Succeed())
}
