package faults_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/certs"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/hostmanager"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	// startTimeout leaves time for building the cluster's programs once.
	startTimeout = 20 * time.Minute
	stopTimeout  = jobtest.Soon
	specTimeout  = jobtest.SpecTimeout
	// effectTimeout is how long the manager, or cert-manager, may take to do
	// something.
	effectTimeout = jobtest.Soon
	effectPoll    = 50 * time.Millisecond

	// scanInterval is how often the manager looks for what admission missed.
	scanInterval = "2s"

	moduleRoot = "../.."
	// keptLogs is where logs go when a spec fails, below the module's root.
	keptLogs = "bin/faults-logs"
)

var (
	cluster *localcluster.Cluster
	admin   client.Client
	manager *hostmanager.Manager
	// front is what the API server calls.
	front *proxy
	// certificate is what the webhook shows.
	certificate *mountedSecret
)

func TestFaults(t *testing.T) {
	ctrl.SetLogger(GinkgoLogr)
	RegisterFailHandler(Fail)
	RunSpecs(t, "Faults of the webhook, and new certificates")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	// The cluster outlives the node that starts it.
	lasting := context.WithoutCancel(ctx)
	var err error
	cluster, err = localcluster.Start(lasting, localcluster.Options{
		ControllerManager: true, CertManager: true, AuditPolicy: localcluster.AuditMetadata, Progress: GinkgoWriter,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) { Expect(cluster.Stop(ctx)).To(Succeed()) }, NodeTimeout(stopTimeout))
	admin, err = client.New(cluster.RESTConfig(), client.Options{Scheme: newScheme()})
	Expect(err).NotTo(HaveOccurred())

	installCertificates(ctx)
	certificate = mountSecret(webhookSecret)
	front = newProxy(certificate.dir)
	DeferCleanup(func() { front.become(absent) })
	binary := filepath.Join(GinkgoT().TempDir(), "job-handler")
	build(ctx, binary)
	manager, err = hostmanager.Start(lasting, hostmanager.Options{
		Cluster: cluster, Binary: binary, Dir: GinkgoT().TempDir(), Output: GinkgoWriter,
		Args:    []string{"--scan-interval", scanInterval, "--leader-elect"},
		Webhook: hostmanager.Webhook{URL: "https://" + front.address, Certificate: webhookCertificate, CertDir: certificate.dir},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) { Expect(manager.Stop(ctx)).To(Succeed()) }, NodeTimeout(stopTimeout))
	front.manager = manager.WebhookAddress()
	front.become(none)
	Expect(manager.AwaitAdmission(ctx)).To(Succeed())
}, NodeTimeout(startTimeout))

var _ = AfterEach(func() {
	if CurrentSpecReport().Failed() {
		to := filepath.Join(moduleRoot, keptLogs)
		Expect(os.RemoveAll(to)).To(Succeed())
		Expect(os.CopyFS(to, os.DirFS(cluster.Logs()))).To(Succeed())
		AddReportEntry("the cluster's logs are in " + keptLogs)
	}
})

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	Expect(errors.Join(clientgoscheme.AddToScheme(scheme), certs.AddToScheme(scheme))).To(Succeed())
	return scheme
}

// build makes the manager's program.
func build(ctx context.Context, binary string) {
	GinkgoHelper()
	command := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/manager")
	command.Dir = moduleRoot
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
}

// newNamespace makes a Namespace for a spec and returns its name. The manager
// has taken note of one that is opted in, and searched it for Jobs: those that
// it stamps later it found in the way that it always does.
func newNamespace(ctx context.Context, optedIn bool) string {
	GinkgoHelper()
	builder := jobtest.MakeNamespace("")
	if optedIn {
		builder.Label(api.EnabledLabel, api.True)
	}
	namespace := builder.Obj()
	namespace.GenerateName = "faults-"
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, namespace)).To(Succeed()) })
	if optedIn {
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)).To(Succeed())
			g.Expect(namespace.Annotations).To(HaveKey(api.EnabledSinceAnnotation))
		}, effectTimeout, effectPoll).Should(Succeed())
	}
	return namespace.Name
}

// stamped returns nil if the Job has every stamp, and else which it lacks. The
// pod template of a Job that may have run does not count.
func stamped(job *batchv1.Job) error {
	var errs []error
	if job.Labels[api.EnabledLabel] != api.True {
		errs = append(errs, errors.New("label "+api.EnabledLabel))
	}
	if job.Annotations[api.ResultsNameAnnotation] != job.Name+api.ResultsSuffix {
		errs = append(errs, errors.New("annotation "+api.ResultsNameAnnotation))
	}
	if suspended(job) && job.Spec.Template.Labels[api.EnabledLabel] != api.True {
		errs = append(errs, errors.New("label of the pod template"))
	}
	return errors.Join(errs...)
}

func suspended(job *batchv1.Job) bool {
	return job.Spec.Suspend != nil && *job.Spec.Suspend
}

// seen reports whether admission saw the Job that a create returned: only then
// its pod template has the label.
func seen(created *batchv1.Job) bool {
	return created.Spec.Template.Labels[api.EnabledLabel] == api.True
}

// expectStamped waits until the manager has stamped each of the Jobs.
func expectStamped(ctx context.Context, jobs ...*batchv1.Job) {
	GinkgoHelper()
	for _, job := range jobs {
		Eventually(func(g Gomega) {
			found := &batchv1.Job{}
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(job), found)).To(Succeed())
			g.Expect(found.UID).To(Equal(job.UID))
			g.Expect(stamped(found)).To(Succeed())
		}, effectTimeout, effectPoll).Should(Succeed(), job.Name)
	}
}
