package webhooks_test

import (
	"context"
	"net"
	"net/url"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/webhooks"
)

// patience is the webhook's timeout and what the API server needs besides, on a busy
// machine.
const patience = 30 * time.Second

var _ = Describe("A handler that is down", func() {
	It("stops nobody, whether it hangs or refuses connections", func(ctx SpecContext) {
		c, _ := newClient()
		Expect(c.Create(ctx, jobtest.MakeNamespace(deadNamespace).Label(api.EnabledLabel, api.True).Obj())).To(Succeed())
		hanging := listenAndHang()
		install(ctx, c, hanging.port)
		Eventually(func() int {
			Expect(c.Create(ctx, jobtest.MakeJob(deadNamespace, "probe").Obj(), client.DryRunAll)).To(Succeed())
			return hanging.connections()
		}, effectTimeout).Should(BeNumerically(">", 0))

		before := hanging.connections()
		expectCreatedInTime(ctx, c, "hangs")
		Expect(hanging.connections()).To(BeNumerically(">", before), "the handler was not called")

		hanging.close()
		expectCreatedInTime(ctx, c, "refuses")
	}, SpecTimeout(specTimeout))

	It("stops, where Jobs are to be refused without it, those alone that opt in", func(ctx SpecContext) {
		c, _ := newClient()
		namespace := plainNamespace(ctx)
		mutating, _ := webhooks.Configurations(urlOn(freePort(), nil), api.ManagerNamespace)
		mutating.Name = "fail-closed"
		mutating.Webhooks = mutating.Webhooks[:2]
		for i := range mutating.Webhooks {
			hook := &mutating.Webhooks[i]
			hook.FailurePolicy = new(admissionv1.Fail)
			hook.NamespaceSelector.MatchExpressions = append(hook.NamespaceSelector.MatchExpressions, metav1.LabelSelectorRequirement{
				Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: []string{namespace},
			})
		}
		Expect(c.Create(ctx, mutating)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(c.Delete(ctx, mutating)).To(Succeed()) })
		creating := func(change func(*jobtest.JobBuilder)) error {
			job := jobtest.MakeJob(namespace, "job")
			change(job)
			return c.Create(ctx, job.Obj(), client.DryRunAll)
		}
		refused := MatchError(apierrors.IsInternalError, "IsInternalError")
		Eventually(func() error {
			return creating(func(j *jobtest.JobBuilder) { j.Label(api.EnabledLabel, api.True) })
		}, effectTimeout).Should(refused)
		Expect(creating(func(j *jobtest.JobBuilder) { j.Annotation(api.EnabledAnnotation, api.True) })).To(refused)

		Expect(creating(func(*jobtest.JobBuilder) {})).To(Succeed())
		Expect(creating(func(j *jobtest.JobBuilder) { j.Label("team", "a") })).To(Succeed())
		Expect(creating(func(j *jobtest.JobBuilder) { j.Annotation("note", "b") })).To(Succeed())
		Expect(creating(func(j *jobtest.JobBuilder) { j.Label(api.EnabledLabel, api.False) })).To(Succeed())
	}, SpecTimeout(specTimeout))
})

// expectCreatedInTime creates the objects at once: each waits for the handler.
func expectCreatedInTime(ctx context.Context, c client.Client, name string) {
	GinkgoHelper()
	var creating sync.WaitGroup
	for _, object := range []client.Object{
		jobtest.MakeJob(deadNamespace, name).Obj(),
		jobtest.MakeJob(deadNamespace, name+"-invalid").Annotation(api.LogModeAnnotation, "x").Obj(),
		jobtest.MakeCronJob(deadNamespace, name).Obj(),
	} {
		creating.Go(func() {
			defer GinkgoRecover()
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			Expect(c.Create(ctx, object)).To(Succeed())
		})
	}
	creating.Wait()
	Expect(stampsOf(getJob(ctx, deadNamespace, name))).To(Equal(stamps{}))
}

// install installs the configurations a second time, for deadNamespace only.
func install(ctx context.Context, c client.Client, port int) {
	GinkgoHelper()
	mutating, validating := webhooks.Configurations(urlOn(port, nil), api.ManagerNamespace)
	mutating.Name, validating.Name = deadNamespace, deadNamespace
	only := metav1.LabelSelectorRequirement{
		Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: []string{deadNamespace},
	}
	for i := range mutating.Webhooks {
		selector := mutating.Webhooks[i].NamespaceSelector
		selector.MatchExpressions = append(selector.MatchExpressions, only)
	}
	selector := validating.Webhooks[0].NamespaceSelector
	selector.MatchExpressions = append(selector.MatchExpressions, only)
	for _, configuration := range []client.Object{mutating, validating} {
		Expect(c.Create(ctx, configuration)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(c.Delete(ctx, configuration)).To(Succeed()) })
	}
}

// hangingServer accepts connections and never answers.
type hangingServer struct {
	port     int
	listener net.Listener
	mu       sync.Mutex
	accepted []net.Conn
}

func listenAndHang() *hangingServer {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	server := &hangingServer{port: listener.Addr().(*net.TCPAddr).Port, listener: listener}
	go server.accept()
	DeferCleanup(server.close)
	return server
}

func (s *hangingServer) accept() {
	for {
		connection, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.accepted = append(s.accepted, connection)
		s.mu.Unlock()
	}
}

func (s *hangingServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accepted)
}

// close ends the listener and its connections; a second call does nothing.
func (s *hangingServer) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, connection := range s.accepted {
		_ = connection.Close()
	}
}

func portOf(address string) string {
	GinkgoHelper()
	parsed, err := url.Parse(address)
	Expect(err).NotTo(HaveOccurred())
	return parsed.Port()
}
