package job_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
)

const (
	// specTimeout bounds a spec.
	specTimeout = jobtest.SpecTimeout
)

var (
	// kube is the administrator's, and any user's, client.
	kube *apiserver.Server
	// managerConfig is for the manager's account, with its generated role and
	// under the policies that narrow it, manager its client.
	managerConfig *rest.Config
	manager       client.WithWatch

	// namespace is the current spec's own. It is opted in.
	namespace string
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Job controller")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	kube = suite.Start(ctx)
	managerConfig, manager = suite.Manager(ctx, kube)
}, NodeTimeout(apiserver.StartTimeout))

var _ = BeforeEach(func(ctx SpecContext) {
	namespace = optedIn(ctx)
})

// optedIn creates an opted-in Namespace and returns its name.
func optedIn(ctx SpecContext) string {
	GinkgoHelper()
	return suite.NewNamespace(ctx, kube, suite.Namespace().Label(api.EnabledLabel, api.True))
}
