package retention_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
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
	poll        = 10 * time.Millisecond
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
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(soon)
	SetDefaultEventuallyPollingInterval(poll)
	ctrl.SetLogger(GinkgoLogr)

	var err error
	kube, err = apiserver.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(kube.Stop)
	config, err := kube.InstalledManager(ctx)
	Expect(err).NotTo(HaveOccurred())
	manager, err = client.NewWithWatch(config, client.Options{Scheme: scheme.Scheme, FieldOwner: api.ManagerName})
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(apiserver.StartTimeout))

var _ = BeforeEach(func(ctx SpecContext) { namespace = newNamespace(ctx) })

var namespaces int

// newNamespace creates an opted-in Namespace under a name of its own and returns
// that. No results are left in it for the next spec to find.
func newNamespace(ctx SpecContext) string {
	GinkgoHelper()
	namespaces++
	object := jobtest.MakeNamespace(fmt.Sprintf("spec-%d", namespaces)).Label(api.EnabledLabel, api.True).Obj()
	Expect(kube.CreateNamespace(ctx, object)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(kube.DeleteAllOf(ctx, &corev1.ConfigMap{}, client.InNamespace(object.Name))).To(Succeed())
		Expect(kube.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(object.Name))).To(Succeed())
	}, NodeTimeout(soon))
	return object.Name
}
