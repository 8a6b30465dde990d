package job_test

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

const (
	// soon is how long something that is about to happen may take on a busy machine.
	soon = jobtest.Soon
	// specTimeout bounds a spec.
	specTimeout = jobtest.SpecTimeout
	// aWhile is how long is watched that something does not happen.
	aWhile = 500 * time.Millisecond

	poll = 10 * time.Millisecond
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
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(soon)
	SetDefaultEventuallyPollingInterval(poll)
	SetDefaultConsistentlyDuration(aWhile)
	SetDefaultConsistentlyPollingInterval(poll)
	ctrl.SetLogger(GinkgoLogr)

	var err error
	kube, err = apiserver.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(kube.Stop)
	managerConfig, err = kube.InstalledManager(ctx)
	Expect(err).NotTo(HaveOccurred())
	manager = clientFor(managerConfig)
}, NodeTimeout(apiserver.StartTimeout))

var _ = BeforeEach(func(ctx SpecContext) {
	namespace = newNamespace(ctx, jobtest.MakeNamespace("").Label(api.EnabledLabel, api.True))
})

var namespaces int

// newNamespace creates a Namespace under a name of its own and returns that.
func newNamespace(ctx SpecContext, builder *jobtest.NamespaceBuilder) string {
	GinkgoHelper()
	namespaces++
	object := builder.Obj()
	object.Name = fmt.Sprintf("spec-%d", namespaces)
	Expect(kube.CreateNamespace(ctx, object)).To(Succeed())
	return object.Name
}

func clientFor(config *rest.Config) client.WithWatch {
	GinkgoHelper()
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme.Scheme, FieldOwner: api.ManagerName})
	Expect(err).NotTo(HaveOccurred())
	return c
}
