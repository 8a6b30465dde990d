package release_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/release"
)

const (
	// soon is how long something that is about to happen may take on a busy machine.
	soon = jobtest.Soon
	poll = 20 * time.Millisecond
)

// kube is the administrator's client.
var kube *apiserver.Server

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Release")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(soon)
	SetDefaultEventuallyPollingInterval(poll)
	var err error
	kube, err = apiserver.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(kube.Stop)
}, NodeTimeout(apiserver.StartTimeout))

var namespaces int

// aNamespace returns the builder of a Namespace with a name of its own.
func aNamespace() *jobtest.NamespaceBuilder {
	namespaces++
	return jobtest.MakeNamespace(fmt.Sprintf("spec-%d", namespaces))
}

// create creates an object as a user would.
func create[T client.Object](ctx context.Context, object T) T {
	GinkgoHelper()
	Expect(kube.Create(ctx, object)).To(Succeed())
	return object
}

// read returns the object as it is.
func read[T client.Object](ctx context.Context, object T) T {
	GinkgoHelper()
	Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	return object
}

// run runs a Releaser and returns what it printed. The lease, unless the test
// sets it, is one that nobody has.
func run(ctx context.Context, change ...func(*release.Releaser)) (string, error) {
	var out strings.Builder
	releaser := &release.Releaser{
		Client: kube, Out: &out, Lease: client.ObjectKey{Namespace: "default", Name: "nobody"},
	}
	for _, f := range change {
		f(releaser)
	}
	err := releaser.Run(ctx)
	return out.String(), err
}

func dryRun(r *release.Releaser) { r.DryRun = true }
