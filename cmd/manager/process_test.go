package main_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	// outage is longer than a lease is renewed for without an answer.
	outage = 12 * time.Second
	// takeover is less than a lease lasts that was not given back: 15 s from when it
	// was renewed, which is every 2 s.
	takeover = 12 * time.Second
	// comeBack is how long a watch may wait before it tries again.
	comeBack = time.Minute

	specTimeout = jobtest.SpecTimeout
)

var _ = Describe("The self-test", func() {
	It("tells whether Jobs are stamped, with the manager's own rights", func(ctx SpecContext) {
		p := start(ctx, "--self-test-interval=1s")
		Eventually(func(g Gomega) {
			g.Expect(p.metric(g, "job_handler_self_test_stamping_works", "")).To(BeEquivalentTo(1))
			g.Expect(p.metric(g, "job_handler_self_test_last_success_timestamp_seconds", "")).
				To(BeNumerically("~", time.Now().Unix(), 5))
		}).Should(Succeed())
		Expect(string(p.log.Contents())).To(ContainSubstring("the self-test succeeds: Jobs are stamped"))
		Expect(string(p.log.Contents())).NotTo(Or(ContainSubstring("PodSecurity"), ContainSubstring("unknown field")))

		Expect(p.Uninstall(ctx)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(p.metric(g, "job_handler_self_test_stamping_works", "")).To(BeEquivalentTo(0))
			g.Expect(p.metric(g, "job_handler_self_test_runs_total", "unstamped")).To(BeNumerically(">", 2))
		}).Should(Succeed())
		Expect(strings.Count(string(p.log.Contents()), "the self-test of stamping fails")).To(Equal(1))
	}, SpecTimeout(specTimeout))

	It("can be run once, by somebody who waits for the answer", func(ctx SpecContext) {
		once := func(args ...string) (string, error) {
			args = append([]string{"self-test", "--kubeconfig", kube.Cluster().Kubeconfig()}, args...)
			output, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
			return string(output), err
		}
		p := start(ctx)
		Expect(once()).To(Equal("Jobs are stamped when they are created.\n"))

		Expect(p.Uninstall(ctx)).To(Succeed())
		Eventually(func(g Gomega) {
			output, err := once("--timeout=1s")
			g.Expect(err).To(MatchError(ContainSubstring("exit status 1")))
			g.Expect(output).To(MatchRegexp(`^Error: Jobs are not stamped when they are created: .*\. To do: see whether the manager's pods are ready`))
		}).Should(Succeed())
		output, err := once("--timeout=0s")
		Expect(err).To(HaveOccurred())
		Expect(output).To(ContainSubstring(`--timeout: invalid value "0s": must be more than 0s`))
	}, SpecTimeout(specTimeout))

	It("can be turned off", func(ctx SpecContext) {
		p := start(ctx, "--self-test-interval=0")
		Expect(body(p.MetricsURL() + "/metrics")).To(And(
			ContainSubstring("job_handler_webhook_certificate_expiry"), Not(ContainSubstring("self_test"))))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Profiles", func() {
	It("are served only where they are asked for", func(ctx SpecContext) {
		off := start(ctx)
		for _, url := range []string{off.HealthURL(), off.MetricsURL()} {
			Expect(status(url+"/debug/pprof/")).To(Equal(404), url)
		}
		Expect(off.Stop(ctx)).To(Succeed())

		address := freeAddress()
		start(ctx, "--pprof-bind-address="+address)
		Expect(status("http://" + address + "/debug/pprof/cmdline")).To(Equal(200))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("With the API server away", Ordered, func() {
	It("a manager stays healthy and ready, and is started without it", func(ctx SpecContext) {
		leader, _ := startLeader(ctx)
		p := start(ctx)
		Expect(kube.Cluster().Kill(ctx, localcluster.APIServer)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(kube.Cluster().Restart(ctx, localcluster.APIServer)).To(Succeed()) },
			NodeTimeout(specTimeout))

		By("starting another one meanwhile")
		health := freeAddress()
		other, log := startBare("--kubeconfig", filepath.Join(p.dir, "kubeconfig"), "--log-format=text", "--metrics-bind-address=0",
			"--webhook-host=127.0.0.1", "--webhook-port="+port(freeAddress()), "--webhook-cert-dir="+filepath.Join(p.dir, "certificates"),
			"--health-probe-bind-address="+health)
		Eventually(func() int { return status("http://" + health + "/healthz") }).Should(Equal(200))

		Consistently(func(g Gomega) {
			g.Expect(status(p.HealthURL() + "/healthz")).To(Equal(200))
			g.Expect(status(p.HealthURL() + "/readyz")).To(Equal(200))
			g.Expect(status("http://" + health + "/healthz")).To(Equal(200))
			g.Expect(status("http://" + health + "/readyz")).To(Equal(500))
		}, outage, "500ms").Should(Succeed())
		Expect(body("http://" + health + "/readyz/caches")).To(ContainSubstring("the namespaces have not been read yet (to do: "))
		Expect(other.ProcessState).To(BeNil(), "it ended: %s", log.Contents())
		select {
		case <-p.Done():
			Fail("the manager ended")
		default:
		}

		By("not acting without a lease")
		Eventually(leader.Done(), outage).Should(BeClosed())
		Expect(string(leader.log.Contents())).To(ContainSubstring("leader election lost"))

		Expect(kube.Cluster().Restart(ctx, localcluster.APIServer)).To(Succeed())
		Eventually(func() int { return status("http://" + health + "/readyz/caches") }, comeBack).Should(Equal(200))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Of two managers", func() {
	It("both are ready, and one takes over soon after the other was told to end", func(ctx SpecContext) {
		leader, before := startLeader(ctx, "--webhook-shutdown-delay=10s")
		webhook := webhookURL(ctx)
		standby := start(ctx, "--leader-elect")
		Expect(status(standby.HealthURL() + "/readyz/caches")).To(Equal(200))
		Consistently(func() string { return holder(ctx) }, "1s").Should(Equal(before))

		told := time.Now()
		stopped := make(chan error, 1)
		go func() { stopped <- leader.Stop(ctx) }()
		Eventually(func() string { return holder(ctx) }, takeover, "50ms").ShouldNot(Or(BeEmpty(), Equal(before)))
		Expect(time.Since(told)).To(BeNumerically("<", takeover))
		AddReportEntry("takeover", time.Since(told).String())
		Expect(leader.Done()).NotTo(BeClosed())
		Expect(answers(webhook)).To(BeTrue(), "API servers call it still")
		Eventually(stopped).Should(Receive(BeNil()))
		Expect(leader.Err()).NotTo(HaveOccurred())
		Expect(answers(webhook)).To(BeFalse())
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A leader that loses its lease", func() {
	It("ends, and stores first what it has captured", func(ctx SpecContext) {
		leader, _ := startLeader(ctx)
		Expect(leader.AwaitAdmission(ctx)).To(Succeed())
		job := jobtest.MakeJob(metav1.NamespaceDefault, "captured").Label(api.EnabledLabel, api.True).Obj()
		Expect(kube.Create(ctx, job)).To(Succeed())
		DeferCleanup(kube.Delete, job, client.PropagationPolicy(metav1.DeletePropagationBackground))
		pod := runningPod(ctx, job)
		// It has longer to end than the spec takes.
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(3600))).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(leader.metric(g, "job_handler_capture_pods", "")).To(BeEquivalentTo(1))
		}).Should(Succeed())
		captures := func() []corev1.ConfigMap {
			var found corev1.ConfigMapList
			Expect(kube.List(ctx, &found, client.MatchingLabels{api.CaptureOfLabel: string(job.UID)})).To(Succeed())
			return found.Items
		}
		Expect(captures()).To(BeEmpty())

		stolen := lease()
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(stolen), stolen)).To(Succeed())
		stolen.Spec.HolderIdentity = new("somebody else")
		stolen.Spec.RenewTime = &metav1.MicroTime{Time: time.Now()}
		Expect(kube.Update(ctx, stolen)).To(Succeed())

		Eventually(leader.Done(), 2*outage).Should(BeClosed())
		Expect(string(leader.log.Contents())).To(ContainSubstring("leader election lost"))
		Expect(captures()).To(HaveExactElements(HaveField("OwnerReferences", HaveExactElements(HaveField("UID", job.UID)))))
	}, SpecTimeout(specTimeout))
})

// startLeader starts a manager that has the lease when it returns, and tells under
// which name. Specs run in any order, and leave a lease that nobody gives back.
func startLeader(ctx context.Context, args ...string) (leader *process, name string) {
	GinkgoHelper()
	Expect(client.IgnoreNotFound(kube.Delete(ctx, lease()))).To(Succeed())
	leader = start(ctx, append(args, "--leader-elect")...)
	Eventually(func() string { name = holder(ctx); return name }).ShouldNot(BeEmpty())
	return leader, name
}

// runningPod returns a pod of the Job that runs, on a node that nobody knows.
func runningPod(ctx context.Context, job *batchv1.Job) *corev1.Pod {
	GinkgoHelper()
	return runningPodOn(ctx, job, "elsewhere")
}

// runningPodOn returns a pod of the Job that runs on a node.
func runningPodOn(ctx context.Context, job *batchv1.Job, node string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: job.Name + "-0", Labels: map[string]string{api.EnabledLabel: api.True},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: *job.Spec.Template.Spec.DeepCopy(),
	}
	pod.Spec.NodeName, pod.Spec.ServiceAccountName = node, "worker"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: job.Namespace, Name: "worker"}}
	Expect(kube.Create(ctx, account)).To(Succeed())
	DeferCleanup(kube.Delete, account)
	Expect(kube.Create(ctx, pod)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(kube.Delete(ctx, pod, client.GracePeriodSeconds(0)))).To(Succeed())
	})
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, Ready: true, ContainerID: "containerd://0",
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
	}}
	Expect(kube.Status().Update(ctx, pod)).To(Succeed())
	return pod
}

var _ = Describe("A manager that was told to end", func() {
	It("stamps Jobs for as long as API servers may call it", func(ctx SpecContext) {
		p := start(ctx, "--webhook-shutdown-delay=5s")
		Expect(p.AwaitAdmission(ctx)).To(Succeed())
		stopped := make(chan error, 1)
		go func() { stopped <- p.Stop(ctx) }()
		Eventually(func() int { return status(p.HealthURL() + "/healthz") }).Should(Equal(0), "the rest goes on too")
		Consistently(func(g Gomega) {
			job := jobtest.MakeJob(metav1.NamespaceDefault, "late").Label(api.EnabledLabel, api.True).Obj()
			g.Expect(kube.Create(ctx, job, client.DryRunAll)).To(Succeed())
			g.Expect(job.Spec.Template.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
		}, "3s", "50ms").Should(Succeed())
		Eventually(stopped).Should(Receive(BeNil()))
		Expect(p.Err()).NotTo(HaveOccurred())
	}, SpecTimeout(specTimeout))
})

// webhookURL returns where the API server calls the manager started last.
func webhookURL(ctx context.Context) string {
	GinkgoHelper()
	configuration := &admissionv1.MutatingWebhookConfiguration{}
	Expect(kube.Get(ctx, client.ObjectKey{Name: api.ManagerName}, configuration)).To(Succeed())
	return *configuration.Webhooks[0].ClientConfig.URL
}

func answers(url string) bool {
	anybody := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	response, err := anybody.Get(url)
	if err != nil {
		return false
	}
	response.Body.Close()
	return true
}

// holder returns who has the lease.
func holder(ctx context.Context) string {
	object := lease()
	if err := kube.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil || object.Spec.HolderIdentity == nil {
		return ""
	}
	return *object.Spec.HolderIdentity
}

func lease() *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: api.ManagerNamespace, Name: api.ManagerName}}
}

func freeAddress() string {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(listener.Close()).To(Succeed()) }()
	return listener.Addr().String()
}

func port(address string) string {
	_, port, err := net.SplitHostPort(address)
	Expect(err).NotTo(HaveOccurred())
	return port
}
