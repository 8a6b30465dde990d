package retention_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
)

const (
	// soon is how long something that is about to happen may take on a busy machine.
	soon = jobtest.Soon
	// specTimeout bounds a spec.
	specTimeout = jobtest.SpecTimeout
)

var (
	// kube is the administrator's, and any user's, client.
	kube *apiserver.Server
	// manager is the client of the manager's account, with its generated role and
	// under the policies that narrow it.
	manager client.WithWatch

	// namespace is the current spec's own.
	namespace string
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Retention")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	kube = suite.Start(ctx)
	_, manager = suite.Manager(ctx, kube)
}, NodeTimeout(apiserver.StartTimeout))

var _ = BeforeEach(func(ctx SpecContext) { namespace = newNamespace(ctx) })

// newNamespace creates an opted-in Namespace under a name of its own and returns
// that. No results are left in it for the next spec to find.
func newNamespace(ctx SpecContext) string {
	GinkgoHelper()
	name := suite.NewNamespace(ctx, kube, suite.Namespace().Label(api.EnabledLabel, api.True))
	DeferCleanup(func(ctx SpecContext) {
		Expect(kube.DeleteAllOf(ctx, &corev1.ConfigMap{}, client.InNamespace(name))).To(Succeed())
		Expect(kube.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(name))).To(Succeed())
	}, NodeTimeout(soon))
	return name
}
