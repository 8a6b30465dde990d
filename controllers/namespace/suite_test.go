package namespace_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Namespace controller")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	kube = suite.Start(ctx)
	managerConfig, manager = suite.Manager(ctx, kube)
}, NodeTimeout(apiserver.StartTimeout))

// create creates a Namespace.
func create(ctx context.Context, builder *jobtest.NamespaceBuilder) *corev1.Namespace {
	GinkgoHelper()
	object := builder.Obj()
	Expect(kube.CreateNamespace(ctx, object)).To(Succeed())
	return object
}

// read returns the Namespace as it is.
func read(ctx context.Context, object *corev1.Namespace) *corev1.Namespace {
	GinkgoHelper()
	now := &corev1.Namespace{}
	Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), now)).To(Succeed())
	return now
}

// change changes the Namespace as a user would.
func change(ctx context.Context, object *corev1.Namespace, f func(*corev1.Namespace)) *corev1.Namespace {
	GinkgoHelper()
	now := read(ctx, object)
	from := now.DeepCopy()
	f(now)
	Expect(kube.Patch(ctx, now, client.MergeFrom(from))).To(Succeed())
	return now
}
