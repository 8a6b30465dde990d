package webhooks_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/webhooks"
)

const (
	// startTimeout leaves time for building the cluster's programs once.
	startTimeout = 20 * time.Minute
	stopTimeout  = jobtest.Soon
	// effectTimeout is how long the API server may take to notice a webhook
	// configuration or a label of a Namespace.
	effectTimeout = jobtest.Soon
	specTimeout   = jobtest.SpecTimeout

	ttlFloor = time.Hour

	// deadNamespace is left to the configurations of a handler that is down.
	deadNamespace = "handler-down"
)

var (
	cluster  *localcluster.Cluster
	config   *rest.Config
	received = &recorder{}
)

func TestOnAPIServer(t *testing.T) {
	ctrl.SetLogger(GinkgoLogr)
	RegisterFailHandler(Fail)
	RunSpecs(t, "Webhooks on a real API server")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	// The cluster outlives the node that starts it.
	var err error
	cluster, err = localcluster.Start(context.WithoutCancel(ctx), localcluster.Options{Progress: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) {
		Expect(cluster.Stop(ctx)).To(Succeed())
	}, NodeTimeout(stopTimeout))
	config = cluster.RESTConfig()
	config.QPS = -1

	clientConfig := serve()
	mutating, validating := webhooks.Configurations(clientConfig, api.ManagerNamespace, deadNamespace)
	c, _ := newClient()
	Expect(c.Create(ctx, mutating)).To(Succeed())
	Expect(c.Create(ctx, validating)).To(Succeed())
	awaitEffect(ctx)
}, NodeTimeout(startTimeout))

// serve runs the handlers in this process until the suite ends, and returns
// how the API server reaches them.
func serve() func(path string) admissionv1.WebhookClientConfig {
	dir := GinkgoT().TempDir()
	caBundle, err := localcluster.ServingCert(dir)
	Expect(err).NotTo(HaveOccurred())
	port := freePort()
	server := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, CertDir: dir})
	c, _ := newClient()
	received.Server = server
	webhooks.Register(received, webhooks.Options{
		Namespaces: c, TTLFloor: ttlFloor, ExcludedNamespaces: []string{api.ManagerNamespace},
		Defaults: policy.Defaults{
			PropagatableLabels: []string{"team"}, LeftAlone: policy.LeftAlone{Labels: []policy.Mark{{Key: "example.com/kept"}}},
		},
	})
	server.Register(pathOther, otherWebhook())
	run(server)
	return urlOn(port, caBundle)
}

func run(server webhook.Server) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		defer GinkgoRecover()
		Expect(server.Start(ctx)).To(Succeed())
	})
	DeferCleanup(func() {
		cancel()
		running.Wait()
	})
	Eventually(func() error { return server.StartedChecker()(nil) }, effectTimeout).Should(Succeed())
}

func urlOn(port int, caBundle []byte) func(path string) admissionv1.WebhookClientConfig {
	return func(path string) admissionv1.WebhookClientConfig {
		url := fmt.Sprintf("https://127.0.0.1:%d%s", port, path)
		return admissionv1.WebhookClientConfig{URL: &url, CABundle: caBundle}
	}
}

func freePort() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(listener.Close()).To(Succeed()) }()
	return listener.Addr().(*net.TCPAddr).Port
}

// awaitEffect returns when every path has been called, so that no spec passes
// because the API server does not know the configurations yet.
func awaitEffect(ctx context.Context) {
	c, _ := newClient()
	labelled, plain := labelledNamespace(ctx), plainNamespace(ctx)
	dryRun := client.DryRunAll
	Eventually(func(g Gomega) {
		g.Expect(c.Create(ctx, jobtest.MakeJob(labelled, "probe").Obj(), dryRun)).To(Succeed())
		g.Expect(c.Create(ctx, jobtest.MakeJob(plain, "probe").Label(api.EnabledLabel, api.True).Obj(), dryRun)).To(Succeed())
		g.Expect(c.Create(ctx, jobtest.MakeCronJob(labelled, "probe").Obj(), dryRun)).To(Succeed())
		g.Expect(received.in(labelled)).To(ContainElements(webhooks.PathJobInNamespace, webhooks.PathCronJob))
		g.Expect(received.in(plain)).To(ContainElement(webhooks.PathJob))
	}, effectTimeout).Should(Succeed())
}

// newClient returns a client and the warnings that it gets.
func newClient() (client.Client, *warnings) {
	got := &warnings{}
	own := rest.CopyConfig(config)
	own.WarningHandlerWithContext = got
	c, err := client.New(own, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	return c, got
}

func labelledNamespace(ctx context.Context) string {
	return createNamespace(ctx, jobtest.MakeNamespace("").Label(api.EnabledLabel, api.True))
}

func plainNamespace(ctx context.Context) string {
	return createNamespace(ctx, jobtest.MakeNamespace(""))
}

// createNamespace creates a Namespace under a new name, which it returns.
func createNamespace(ctx context.Context, builder *jobtest.NamespaceBuilder) string {
	c, _ := newClient()
	namespace := builder.Obj()
	namespace.GenerateName = "spec-"
	Expect(c.Create(ctx, namespace)).To(Succeed())
	return namespace.Name
}

// stamps is what the webhook may change of a Job.
type stamps struct {
	Labels, Annotations, TemplateLabels map[string]string
	TTL                                 *int32
}

// stampsOf leaves out the labels that the API server adds to pod templates and,
// where a Job has no labels, shows as the Job's own.
func stampsOf(job *batchv1.Job) stamps {
	return stamps{written(job.Labels), job.Annotations, written(job.Spec.Template.Labels), job.Spec.TTLSecondsAfterFinished}
}

func written(labels map[string]string) map[string]string {
	rest := maps.Clone(labels)
	for _, key := range []string{batchv1.JobNameLabel, batchv1.ControllerUidLabel, "job-name", "controller-uid"} {
		delete(rest, key)
	}
	if len(rest) == 0 {
		return nil
	}
	return rest
}

// warnings collects what the API server warns of.
type warnings struct {
	mu   sync.Mutex
	text []string
}

func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

// take returns the warnings since the last call.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.text = nil }()
	return w.text
}

func getJob(ctx context.Context, namespace, name string) *batchv1.Job {
	c, _ := newClient()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	Expect(c.Get(ctx, client.ObjectKeyFromObject(job), job)).To(Succeed())
	return job
}
