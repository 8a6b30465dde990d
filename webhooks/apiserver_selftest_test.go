package webhooks_test

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	manifests "github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/selftest"
	"github.com/job-handler/job-handler/webhooks"
)

const stampingWorks = "job_handler_self_test_stamping_works"

// selfTest is a running self-test with the manager's own account.
type selfTest struct {
	log      *gbytes.Buffer
	warned   *warnings
	registry *prometheus.Registry
}

func startSelfTest(ctx context.Context) *selfTest {
	GinkgoHelper()
	s := &selfTest{log: gbytes.NewBuffer(), warned: &warnings{}, registry: prometheus.NewRegistry()}
	measures, err := metrics.NewSelfTest(s.registry)
	Expect(err).NotTo(HaveOccurred())
	account := managersAccount(ctx)
	account.WarningHandlerWithContext = s.warned
	c, err := client.New(account, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	runner := &selftest.Runner{
		Client: c, Metrics: measures, Clock: clock.RealClock{}, Events: events.New(c, clock.RealClock{}, "test"),
		Options: selftest.Options{
			Namespace: api.ManagerNamespace, Configuration: webhooks.ConfigurationName,
			Interval: 100 * time.Millisecond, Retry: 100 * time.Millisecond, Patience: 500 * time.Millisecond,
		},
	}
	logger := funcr.New(func(_, line string) { _, _ = s.log.Write([]byte(line + "\n")) }, funcr.Options{})
	running, cancel := context.WithCancel(ctrl.LoggerInto(context.Background(), logger))
	var group sync.WaitGroup
	group.Go(func() {
		defer GinkgoRecover()
		Expect(runner.Start(running)).To(Succeed())
	})
	DeferCleanup(func() {
		cancel()
		group.Wait()
	})
	return s
}

// managersAccount installs what the manager may do, and returns its connection.
func managersAccount(ctx context.Context) *rest.Config {
	GinkgoHelper()
	c, _ := newClient()
	objects, err := manifests.Load("rbac/namespace.yaml", "rbac/role.yaml", "rbac/role_binding.yaml", manifests.PolicyManifests)
	Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		Expect(client.IgnoreAlreadyExists(c.Create(ctx, object))).To(Succeed())
	}
	account, err := cluster.ConfigFor(api.ManagerUser)
	Expect(err).NotTo(HaveOccurred())
	return account
}

// value returns a metric without labels, or nil.
func (s *selfTest) value(name string) any {
	families, err := s.registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return nil
}

func (s *selfTest) works() any { return s.value(stampingWorks) }

// lines counts the lines of the log that hold text.
func (s *selfTest) lines(text string) int { return bytes.Count(s.log.Contents(), []byte(text)) }

var _ = Describe("The self-test", Ordered, func() {
	const (
		fails    = "the self-test of stamping fails"
		succeeds = "the self-test succeeds"
	)

	It("knows that Jobs are stamped, and not, and again", func(ctx SpecContext) {
		s := startSelfTest(ctx)
		Eventually(s.works, effectTimeout).Should(Equal(1.0))
		Expect(s.lines(succeeds)).To(Equal(1))
		Expect(s.warned.take()).To(BeEmpty(), "its Job is warned of")

		By("having the API server distrust the webhook")
		stranger, err := localcluster.ServingCert(GinkgoT().TempDir(), "127.0.0.1")
		Expect(err).NotTo(HaveOccurred())
		whole := changeEntry(ctx, func(entry *admissionv1.MutatingWebhook) { entry.ClientConfig.CABundle = stranger })
		Eventually(s.works, effectTimeout).Should(Equal(0.0))
		Eventually(func() []eventsv1.Event { return selfTestEvents(ctx) }, effectTimeout).Should(HaveExactElements(And(
			HaveField("Type", corev1.EventTypeWarning),
			HaveField("Regarding.Kind", "MutatingWebhookConfiguration"),
			HaveField("Note", And(ContainSubstring("got no answer from the webhook"), ContainSubstring("To do: see whether the manager's pods"))),
		)))
		Expect(s.lines(fails)).To(Equal(1))

		By("mending it")
		changeEntry(ctx, func(entry *admissionv1.MutatingWebhook) { entry.ClientConfig.CABundle = whole })
		Eventually(s.works, effectTimeout).Should(Equal(1.0))
		Eventually(func() int { return s.lines(succeeds) }, effectTimeout).Should(Equal(2))

		By("taking the entry away")
		changeEntry(ctx, func(entry *admissionv1.MutatingWebhook) {
			entry.ObjectSelector = &metav1.LabelSelector{MatchLabels: keys{"no": "body"}}
		})
		Eventually(s.works, effectTimeout).Should(Equal(0.0))
		Eventually(func() int { return s.lines("does not send the self-test") }, effectTimeout).Should(Equal(1))
		changeEntry(ctx, func(entry *admissionv1.MutatingWebhook) {
			entry.ObjectSelector.MatchLabels = keys{api.SelfTestLabel: api.True}
		})
		Eventually(s.works, effectTimeout).Should(Equal(1.0))
	}, SpecTimeout(2*specTimeout))

	It("reaches nobody else", func(ctx SpecContext) {
		managersAccount(ctx)
		c, _ := newClient()
		before := len(received.in(api.ManagerNamespace))
		Expect(c.Create(ctx, jobtest.MakeJob(api.ManagerNamespace, "quiet").Obj(), client.DryRunAll)).To(Succeed())
		Expect(c.Create(ctx, jobtest.MakeJob(api.ManagerNamespace, "quiet-opted-in").Label(api.EnabledLabel, api.True).Obj(), client.DryRunAll)).To(Succeed())
		created := jobtest.MakeJob(api.ManagerNamespace, "created").Label(api.SelfTestLabel, api.True).Suspended().Obj()
		Expect(c.Create(ctx, created)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(c.Delete(ctx, created)).To(Succeed()) })
		elsewhere := jobtest.MakeJob(plainNamespace(ctx), "elsewhere").Label(api.SelfTestLabel, api.True).Obj()
		Expect(c.Create(ctx, elsewhere, client.DryRunAll)).To(Succeed())
		Expect(received.in(api.ManagerNamespace)).To(HaveLen(before))
		Expect(received.in(elsewhere.Namespace)).To(BeEmpty())
		Expect(elsewhere.Annotations).To(BeEmpty())
	}, SpecTimeout(specTimeout))
})

// changeEntry changes the self-test's entry, and returns the CA bundle before.
func changeEntry(ctx context.Context, change func(*admissionv1.MutatingWebhook)) []byte {
	GinkgoHelper()
	c, _ := newClient()
	configuration := &admissionv1.MutatingWebhookConfiguration{}
	Expect(c.Get(ctx, client.ObjectKey{Name: webhooks.ConfigurationName}, configuration)).To(Succeed())
	entry := &configuration.Webhooks[len(configuration.Webhooks)-1]
	before := entry.ClientConfig.CABundle
	change(entry)
	Expect(c.Update(ctx, configuration)).To(Succeed())
	return before
}

func selfTestEvents(ctx context.Context) []eventsv1.Event {
	c, _ := newClient()
	list := &eventsv1.EventList{}
	Expect(c.List(ctx, list, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
	var found []eventsv1.Event
	for i := range list.Items {
		if list.Items[i].Reason == api.ReasonWebhookSelfTest {
			found = append(found, list.Items[i])
		}
	}
	return found
}
