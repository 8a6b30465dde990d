package namespace_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Namespace controller")
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
	manager, err = client.NewWithWatch(managerConfig, client.Options{Scheme: scheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(apiserver.StartTimeout))

var namespaces int

// aNamespace returns the builder of a Namespace with a name of its own.
func aNamespace() *jobtest.NamespaceBuilder {
	namespaces++
	return jobtest.MakeNamespace(fmt.Sprintf("spec-%d", namespaces))
}

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
