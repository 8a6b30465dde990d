package faults_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/test/audit"
)

var _ = Describe("A manager with no more rights than it was granted", func() {
	It("sees a Job through", func(ctx SpecContext) {
		// A Job that needs no pod is complete at once.
		job := jobtest.MakeJob(newNamespace(ctx, true), "nothing-to-do").Obj()
		job.Spec.Completions = new(int32(0))
		Expect(admin.Create(ctx, job)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(job), job))).To(BeTrue())
		}, effectTimeout, effectPoll).Should(Succeed())
		stored := &corev1.ConfigMap{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: job.Namespace, Name: job.Name + api.ResultsSuffix}, stored)).To(Succeed())
		Expect(stored.Data).To(HaveKeyWithValue(api.DataStatus, api.StatusCompleted))
	}, SpecTimeout(specTimeout))
})

// All that the manager did is in the audit log by now.
var _ = AfterSuite(func(ctx SpecContext) {
	if manager == nil {
		return
	}
	Expect(manager.Stop(ctx)).To(Succeed())
	Expect(manager.Err()).NotTo(HaveOccurred())
	used, granted := rights()
	Expect(used.Refused).To(BeEmpty(), "the manager asked for what it has no right to")
	Expect(used.Allowed).To(ContainElement(HaveField("Verb", "patch")), "nothing was seen of the manager")
	for _, request := range audit.Outside(granted, used.Allowed) {
		Expect(request.Resource).To(BeEmpty(), "a right that is not in config/rbac was used: %s", request)
	}
	AddReportEntry("rights that nothing here needs", audit.Unused(granted, used.Allowed))
}, NodeTimeout(stopTimeout))

// rights returns what the manager asked for and what it was granted.
func rights() (audit.Use, []audit.Right) {
	GinkgoHelper()
	log, err := os.Open(filepath.Join(cluster.Logs(), "audit.log"))
	Expect(err).NotTo(HaveOccurred())
	defer log.Close()
	used, err := audit.Used(log, api.ManagerUser)
	Expect(err).NotTo(HaveOccurred())
	roles, err := config.Load("rbac/role.yaml", "rbac/leader_election_role.yaml")
	Expect(err).NotTo(HaveOccurred())
	granted, err := audit.Granted(roles)
	Expect(err).NotTo(HaveOccurred())
	return used, granted
}
