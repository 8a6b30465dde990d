package faults_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

var _ = Describe("With the component fail-closed, a webhook that is absent", func() {
	It("refuses opted-in Jobs, and nobody else's, until it is back", func(ctx SpecContext) {
		optedIn, plain := newNamespace(ctx, true), newNamespace(ctx, false)
		failClosed(ctx)
		front.become(absent)
		DeferCleanup(func(ctx SpecContext) { mend(ctx) })
		Eventually(func() error {
			return admin.Create(ctx, jobtest.MakeJob(optedIn, "probe").Obj(), client.DryRunAll)
		}, effectTimeout, effectPoll).ShouldNot(Succeed())

		jobs := jobsOfInterest(optedIn, plain)
		for _, created := range createAll(ctx, jobs...) {
			Expect(created.err).To(MatchError(And(
				ContainSubstring("failed calling webhook"), ContainSubstring(".jobs.job-handler.github.io"),
			)), created.job.Name)
		}
		list := &batchv1.JobList{}
		Expect(admin.List(ctx, list, client.InNamespace(optedIn))).To(Succeed())
		Expect(list.Items).To(BeEmpty())
		for _, created := range createAll(ctx, otherPeoplesJobs(optedIn, plain)...) {
			Expect(created.err).NotTo(HaveOccurred(), "%s in %s", created.job.Name, created.job.Namespace)
		}
		Expect(admin.Create(ctx, jobtest.MakeCronJob(optedIn, "nightly").Obj())).To(Succeed())

		mend(ctx)
		for _, job := range jobsOfInterest(optedIn, plain) {
			Expect(admin.Create(ctx, job)).To(Succeed())
			Expect(seen(job)).To(BeTrue(), job.Name)
		}
	}, SpecTimeout(specTimeout))
})

// failClosed gives the installed webhooks the failure policies that the
// component renders, until the spec ends.
func failClosed(ctx context.Context) {
	GinkgoHelper()
	rendered := map[string]*admissionv1.FailurePolicyType{}
	for _, webhook := range renderedWebhooks(ctx, "fail-closed") {
		rendered[webhook.Name] = webhook.FailurePolicy
	}
	installed := setPolicies(ctx, rendered)
	Expect(installed).To(HaveLen(len(rendered)))
	Expect(installed).NotTo(Equal(rendered))
	DeferCleanup(func(ctx SpecContext) { setPolicies(ctx, installed) })
}

// setPolicies sets the failure policies of the mutating webhooks by their names
// and returns those before.
func setPolicies(ctx context.Context, policies map[string]*admissionv1.FailurePolicyType) (before map[string]*admissionv1.FailurePolicyType) {
	GinkgoHelper()
	Eventually(func() error {
		configuration := &admissionv1.MutatingWebhookConfiguration{}
		if err := admin.Get(ctx, client.ObjectKey{Name: api.ManagerName}, configuration); err != nil {
			return err
		}
		before = map[string]*admissionv1.FailurePolicyType{}
		for i := range configuration.Webhooks {
			webhook := &configuration.Webhooks[i]
			before[webhook.Name], webhook.FailurePolicy = webhook.FailurePolicy, policies[webhook.Name]
		}
		return admin.Update(ctx, configuration)
	}, effectTimeout, effectPoll).Should(Succeed())
	return before
}

// renderedWebhooks returns the mutating webhooks of config/default with a
// component.
func renderedWebhooks(ctx context.Context, component string) []admissionv1.MutatingWebhook {
	GinkgoHelper()
	dir, err := filepath.EvalSymlinks(GinkgoT().TempDir())
	Expect(err).NotTo(HaveOccurred())
	manifests, err := filepath.Abs(filepath.Join(moduleRoot, "config"))
	Expect(err).NotTo(HaveOccurred())
	// kustomize takes no absolute paths.
	manifests, err = filepath.Rel(dir, manifests)
	Expect(err).NotTo(HaveOccurred())
	text := fmt.Sprintf("resources: [%[1]s/default]\ncomponents: [%[1]s/components/%[2]s]\n", manifests, component)
	Expect(os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600)).To(Succeed())
	for _, object := range kustomize(ctx, dir) {
		if object.GetKind() == "MutatingWebhookConfiguration" {
			configuration := &admissionv1.MutatingWebhookConfiguration{}
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, configuration)).To(Succeed())
			return configuration.Webhooks
		}
	}
	Fail("there are no mutating webhooks")
	return nil
}
