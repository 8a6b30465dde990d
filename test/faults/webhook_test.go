package faults_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/localcluster"
)

// lateTTL is the TTL that somebody else's webhook sets: below the floor.
const lateTTL = 900

var _ = Describe("A webhook that is", func() {
	AfterEach(func(ctx SpecContext) { mend(ctx) })

	DescribeTable("broken holds up opted-in Jobs for one timeout at most, others not at all, and what it missed is stamped afterwards",
		func(ctx SpecContext, broken fault) {
			optedIn, plain := newNamespace(ctx, true), newNamespace(ctx, false)
			timeout := webhookTimeout(ctx)
			breakWith(ctx, broken)

			jobs := jobsOfInterest(optedIn, plain)
			for _, created := range createAll(ctx, jobs...) {
				Expect(created.err).NotTo(HaveOccurred(), created.job.Name)
				if !broken.counts {
					expectWithin(ctx, 2*timeout, created)
				}
				Expect(seen(created.job)).To(BeFalse(), "%s was stamped by a broken webhook", created.job.Name)
				if broken.delays {
					Expect(created.took).To(BeNumerically(">=", timeout), "%s was not sent", created.job.Name)
				}
			}
			expectCalls(broken, map[string]int{optedIn: len(jobs) - 1, plain: 1})

			for _, created := range createAll(ctx, otherPeoplesJobs(optedIn, plain)...) {
				Expect(created.err).NotTo(HaveOccurred(), created.job.Name)
				expectWithin(ctx, timeout, created)
			}
			expectCalls(broken, map[string]int{optedIn: len(jobs) - 1, plain: 1, metav1.NamespaceSystem: 0})
			// The manager needs no webhook for that.
			expectStamped(ctx, jobs...)
		},
		func(broken fault) string { return broken.name },
		Entry(nil, absent, SpecTimeout(specTimeout)),
		Entry(nil, blackHoled, SpecTimeout(specTimeout)),
		Entry(nil, mute, SpecTimeout(specTimeout)),
		Entry(nil, impostor, SpecTimeout(specTimeout)),
		Entry(nil, failing, SpecTimeout(specTimeout)),
		Entry(nil, hanging, SpecTimeout(specTimeout)),
	)

	It("hanging holds up CronJobs for one timeout at most", func(ctx SpecContext) {
		namespace := newNamespace(ctx, true)
		breakWith(ctx, hanging)
		Expect(admin.Create(ctx, jobtest.MakeCronJob(namespace, "nightly").Obj())).To(Succeed())
		Expect(front.callsFor(namespace)).To(Equal(1))
	}, SpecTimeout(specTimeout))

	It("hanging is asked once, also where another webhook changes the Job later", func(ctx SpecContext) {
		namespace := newNamespace(ctx, true)
		changeLater(ctx, namespace)
		breakWith(ctx, hanging)
		created := create(ctx, jobtest.MakeJob(namespace, "report").Obj())
		Expect(created.err).NotTo(HaveOccurred())
		Expect(*created.job.Spec.TTLSecondsAfterFinished).To(BeEquivalentTo(lateTTL), "nobody changed it")
		Expect(front.callsFor(namespace)).To(Equal(1))
	}, SpecTimeout(specTimeout))

	It("well, but called before another one, leaves what that one changes to the manager", func(ctx SpecContext) {
		namespace := newNamespace(ctx, true)
		changeLater(ctx, namespace)
		job := jobtest.MakeJob(namespace, "report").Obj()
		Expect(admin.Create(ctx, job)).To(Succeed())
		Expect(seen(job)).To(BeTrue())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(job), job)).To(Succeed())
			g.Expect(*job.Spec.TTLSecondsAfterFinished).To(BeNumerically(">", lateTTL))
			g.Expect(job.Annotations).To(HaveKeyWithValue(api.TTLAnnotation, HavePrefix("900;raised=")))
		}, effectTimeout, effectPoll).Should(Succeed())
	}, SpecTimeout(specTimeout))
})

// jobsOfInterest are opted in in every way; the last is in a Namespace that is
// not.
func jobsOfInterest(optedIn, plain string) []*batchv1.Job {
	return []*batchv1.Job{
		jobtest.MakeJob(optedIn, "running").Obj(),
		jobtest.MakeJob(optedIn, "suspended").Suspended().Obj(),
		jobtest.MakeJob(optedIn, "").GenerateName("generated-").Suspended().Obj(),
		jobtest.MakeJob(optedIn, "annotated").Annotation(api.EnabledAnnotation, api.True).Obj(),
		jobtest.MakeJob(plain, "alone").Label(api.EnabledLabel, api.True).Suspended().Obj(),
	}
}

func otherPeoplesJobs(optedIn, plain string) []*batchv1.Job {
	return []*batchv1.Job{
		jobtest.MakeJob(plain, "plain").Obj(),
		jobtest.MakeJob(optedIn, "opted-out").Label(api.EnabledLabel, api.False).Obj(),
		jobtest.MakeJob(api.ManagerNamespace, "").GenerateName("own-").Label(api.EnabledLabel, api.True).Suspended().Obj(),
		jobtest.MakeJob(metav1.NamespaceSystem, "").GenerateName("system-").Label(api.EnabledLabel, api.True).Suspended().Obj(),
	}
}

// createAll creates the Jobs at the same time.
func createAll(ctx context.Context, jobs ...*batchv1.Job) []creation {
	creations := make([]creation, len(jobs))
	var creating sync.WaitGroup
	for i, job := range jobs {
		creating.Go(func() { creations[i] = create(ctx, job) })
	}
	creating.Wait()
	return creations
}

// webhookTimeout returns the one timeout of all webhooks.
func webhookTimeout(ctx context.Context) time.Duration {
	GinkgoHelper()
	mutating, validating := &admissionv1.MutatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfiguration{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: api.ManagerName}, mutating)).To(Succeed())
	Expect(admin.Get(ctx, client.ObjectKey{Name: api.ManagerName}, validating)).To(Succeed())
	seconds := *mutating.Webhooks[0].TimeoutSeconds
	for i := range mutating.Webhooks {
		Expect(*mutating.Webhooks[i].TimeoutSeconds).To(BeNumerically("<=", seconds))
	}
	for i := range validating.Webhooks {
		Expect(*validating.Webhooks[i].TimeoutSeconds).To(BeNumerically("<=", seconds))
	}
	return time.Duration(seconds) * time.Second
}

// expectWithin wants a creation not to have waited for so long. A busy machine may
// hold up one, a webhook holds up each: if it took that long, dry runs may be
// quicker.
func expectWithin(ctx context.Context, limit time.Duration, created creation) {
	GinkgoHelper()
	quickest := created.took
	for range 5 {
		if quickest < limit {
			return
		}
		again := jobtest.MakeJob(created.job.Namespace, "").GenerateName("again-").Obj()
		again.Labels, again.Annotations, again.Spec.Suspend = created.job.Labels, created.job.Annotations, created.job.Spec.Suspend
		began := time.Now()
		Expect(admin.Create(ctx, again, client.DryRunAll)).To(Succeed())
		quickest = min(quickest, time.Since(began))
	}
	Expect(quickest).To(BeNumerically("<", limit), "%s in %s was held up", created.job.Name, created.job.Namespace)
}

func expectCalls(broken fault, wanted map[string]int) {
	GinkgoHelper()
	if !broken.counts {
		return
	}
	for namespace, calls := range wanted {
		Expect(front.callsFor(namespace)).To(Equal(calls), namespace)
	}
}

// breakWith begins a fault. Where that can be told it returns once a call has met
// it: of a connection that has just been closed the API server may not know yet,
// and lose a call that way.
func breakWith(ctx context.Context, broken fault) {
	GinkgoHelper()
	front.become(broken)
	if !broken.counts && !broken.delays {
		return
	}
	timeout := webhookTimeout(ctx)
	Eventually(ctx, func(g Gomega, ctx context.Context) {
		probe := jobtest.MakeJob(metav1.NamespaceDefault, "probe").Label(api.EnabledLabel, api.True).Obj()
		began := time.Now()
		g.Expect(admin.Create(ctx, probe, client.DryRunAll)).To(Succeed())
		if broken.counts {
			g.Expect(front.callsFor(metav1.NamespaceDefault)).To(BeNumerically(">", 0))
		} else {
			// A connection from before fails at once.
			g.Expect(time.Since(began)).To(BeNumerically(">=", timeout))
		}
	}, effectTimeout, effectPoll).Should(Succeed())
}

// mend lets calls through again, and waits until admission stamps.
func mend(ctx context.Context) {
	GinkgoHelper()
	front.become(none)
	Eventually(ctx, manager.AwaitAdmission, effectTimeout, effectPoll).Should(Succeed())
}

// changeLater has another webhook, called after the manager's, set a TTL on
// the Jobs of a Namespace.
func changeLater(ctx context.Context, namespace string) {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	ca, err := localcluster.ServingCert(dir)
	Expect(err).NotTo(HaveOccurred())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(serve(tls.NewListener(listener, tlsConfig(dir)), newServer(&admission.Webhook{Handler: admission.HandlerFunc(setTTL)})))

	url := "https://" + listener.Addr().String()
	configuration := &admissionv1.MutatingWebhookConfiguration{
		// They are called in the order of their names.
		ObjectMeta: metav1.ObjectMeta{Name: "zz-" + namespace},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name:         "ttl.example.com",
			ClientConfig: admissionv1.WebhookClientConfig{URL: &url, CABundle: ca},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{batchv1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}},
			}},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			SideEffects:             new(admissionv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	Expect(admin.Create(ctx, configuration)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, configuration)).To(Succeed()) })
	Eventually(func(g Gomega) {
		probe := jobtest.MakeJob(namespace, "probe").Obj()
		g.Expect(admin.Create(ctx, probe, client.DryRunAll)).To(Succeed())
		g.Expect(probe.Spec.TTLSecondsAfterFinished).NotTo(BeNil())
	}, effectTimeout, effectPoll).Should(Succeed())
}

func setTTL(_ context.Context, request admission.Request) admission.Response {
	job := &batchv1.Job{}
	if err := json.Unmarshal(request.Object.Raw, job); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if job.Spec.TTLSecondsAfterFinished == nil {
		job.Spec.TTLSecondsAfterFinished = new(int32(lateTTL))
	}
	changed, err := json.Marshal(job)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, changed)
}
