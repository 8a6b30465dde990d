// Package suite sets up test suites on a real API server, each in the same way: defaults
// of waits, the server, the manager's client, and a Namespace for each spec. It does not
// know what a suite tests.
package suite

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
)

const (
	// aWhile is how long Consistently watches.
	aWhile = 500 * time.Millisecond
	// poll is the time between two looks of Eventually and Consistently.
	poll = 10 * time.Millisecond
)

// Start sets the defaults of waits and starts an API server that stops with the suite.
// Call it in a BeforeSuite with the NodeTimeout apiserver.StartTimeout.
func Start(ctx context.Context) *apiserver.Server {
	ginkgo.GinkgoHelper()
	gomega.EnforceDefaultTimeoutsWhenUsingContexts()
	gomega.SetDefaultEventuallyTimeout(jobtest.Soon)
	gomega.SetDefaultEventuallyPollingInterval(poll)
	gomega.SetDefaultConsistentlyDuration(aWhile)
	gomega.SetDefaultConsistentlyPollingInterval(poll)
	ctrl.SetLogger(ginkgo.GinkgoLogr)
	server, err := apiserver.Start(ctx)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(server.Stop)
	return server
}

// Manager returns the connection and the client of the manager's account, with its
// generated role and under the policies that limit its writes. Call it once.
func Manager(ctx context.Context, server *apiserver.Server) (*rest.Config, client.WithWatch) {
	ginkgo.GinkgoHelper()
	config, err := server.InstalledManager(ctx)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return config, Client(config)
}

// Client returns a client with the manager's field owner.
func Client(config *rest.Config) client.WithWatch {
	ginkgo.GinkgoHelper()
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme.Scheme, FieldOwner: api.ManagerName})
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return c
}

var namespaces atomic.Int64

// Namespace returns the builder of a Namespace whose name no other spec uses.
func Namespace() *jobtest.NamespaceBuilder {
	return jobtest.MakeNamespace(fmt.Sprintf("spec-%d", namespaces.Add(1)))
}

// NewNamespace creates a Namespace and returns its name.
func NewNamespace(ctx context.Context, server *apiserver.Server, builder *jobtest.NamespaceBuilder) string {
	ginkgo.GinkgoHelper()
	object := builder.Obj()
	gomega.Expect(server.CreateNamespace(ctx, object)).To(gomega.Succeed())
	return object.Name
}
