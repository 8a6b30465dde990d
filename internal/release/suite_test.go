package release_test

import (
	"context"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
	"github.com/job-handler/job-handler/internal/release"
)

// kube is the administrator's client.
var kube *apiserver.Server

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Release")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	kube = suite.Start(ctx)
}, NodeTimeout(apiserver.StartTimeout))

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
