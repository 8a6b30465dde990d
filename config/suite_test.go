package config_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
)

// soon is how long something that is about to happen may take on a busy machine.
const soon = jobtest.Soon

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
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(soon)
	ctrl.SetLogger(GinkgoLogr)

	var err error
	kube, err = apiserver.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(kube.Stop)
	config, err := kube.InstalledManager(ctx)
	Expect(err).NotTo(HaveOccurred())
	manager = clientFor(config)
	config, err = kube.Cluster().ConfigFor(api.ManagerUser, "system:masters")
	Expect(err).NotTo(HaveOccurred())
	almighty = clientFor(config)
}, NodeTimeout(apiserver.StartTimeout))

func clientFor(config *rest.Config) client.Client {
	GinkgoHelper()
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme, FieldOwner: api.ManagerName})
	Expect(err).NotTo(HaveOccurred())
	return c
}

var namespaces int

// newNamespace creates a Namespace under a name of its own and returns that.
func newNamespace(ctx SpecContext) string {
	GinkgoHelper()
	namespaces++
	object := jobtest.MakeNamespace(fmt.Sprintf("spec-%d", namespaces)).Obj()
	Expect(kube.CreateNamespace(ctx, object)).To(Succeed())
	return object.Name
}
