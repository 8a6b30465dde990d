package config_test

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
)

// helmTimeout leaves time to build helm.
const helmTimeout = 10 * time.Minute

var (
	// kube is the administrator's client.
	kube *apiserver.Server
	// manager is the installed manager's client.
	manager client.Client
	// almighty is the client of the manager's account, had it every right: what
	// stops it is policy.
	almighty client.Client
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Manifests")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	kube = suite.Start(ctx)
	_, manager = suite.Manager(ctx, kube)
	config, err := kube.Cluster().ConfigFor(api.ManagerUser, "system:masters")
	Expect(err).NotTo(HaveOccurred())
	almighty = suite.Client(config)
}, NodeTimeout(apiserver.StartTimeout))

// newNamespace creates a Namespace and returns its name.
func newNamespace(ctx SpecContext) string {
	GinkgoHelper()
	return suite.NewNamespace(ctx, kube, suite.Namespace())
}
