package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/pinned"
	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/test/node"
)

// TestWalk is what an operator goes through with docs/operations.md in hand: Job
// Handler is installed, then one thing after the other breaks. Each time an alert
// fires, the commands of its section show the cause, and what the section advises
// cures it.
func TestWalk(t *testing.T) {
	if testing.Short() {
		t.Skip("the walk takes minutes: make test-operations")
	}
	if os.Geteuid() != 0 {
		t.Skip("the walk needs root: its containers run on this machine")
	}
	program, err := pinned.Program(t.Context(), moduleRoot, pinned.Helm())
	if err != nil {
		t.Fatal(err)
	}
	o := &operator{chart: &chart{program: program, namespace: api.ManagerNamespace}, prometheus: startPrometheus(t)}
	w, archive := newCluster(t)
	if err := w.cluster.LoadArchive(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
	w.manager.client = w.client
	w.tell(t, []told{
		{"walk-installed", o.installs},
		{"walk-certificate", o.certificate},
		{"walk-quota", o.quota},
		{"walk-dashboard", o.dashboard},
		{"walk-node", o.node},
	})
}

// operator installs with Helm, and looks at what Prometheus says.
type operator struct {
	*chart

	prometheus *prometheus
}

// installs: as docs/operations.md says, Prometheus may read the metrics, and a
// namespace is opted in. The manager's times suit alerts in a hurry.
func (o *operator) installs(s *story) {
	_, err := o.shell(s, operatorKinds)
	s.Expect(err).NotTo(HaveOccurred())
	o.run(s, "install", chartRelease, chartFolder, "--create-namespace", "--wait", "--timeout=4m",
		"--set=image.repository=localhost/job-handler,image.tag=e2e,metrics.enabled=true",
		"--set=flags.self-test-interval=1s,flags.log-deadline=15s,flags.retention-interval=1m")
	s.allReady()
	s.create(jobtest.MakeNamespace(monitoring).Obj())
	s.mustKubectl("create", "serviceaccount", monitorAccount, "--namespace="+monitoring)
	for _, b := range (step{doc: operationsDoc, begins: "kubectl label namespace monitoring "}).find(blocksOf(s.t)) {
		_, err := o.shell(s, b.text)
		s.Expect(err).NotTo(HaveOccurred())
	}
	o.calm(s)
	o.mayAll(s)

	o.optsIn(s)
	s.handled("first")
}

// mayAll wants every question of the document about the manager's rights to be
// answered with yes, as it has to be where nothing is missing.
func (o *operator) mayAll(s *story) {
	s.t.Helper()
	asked := 0
	for line := range strings.Lines(documents(s.t)[operationsDoc]) {
		if strings.HasPrefix(line, "kubectl auth can-i ") && !strings.Contains(line, "--list") {
			asked++
			output, err := o.shell(s, line)
			s.Expect(err).NotTo(HaveOccurred(), line)
			s.Expect(output).To(Equal("yes\n"), line)
		}
	}
	s.Expect(asked).To(BeNumerically(">", 3))
}

// optsIn makes the story's namespace and opts it in by hand.
func (o *operator) optsIn(s *story) {
	s.t.Helper()
	s.plain()
	s.mustKubectl("label", "namespace", s.namespace, api.EnabledLabel+"="+api.True)
	// The API server takes a moment to know.
	s.eventually(func(g Gomega) {
		probe := s.job("probe", "true").Obj()
		g.Expect(s.w.client.Create(s.ctx(), probe, client.DryRunAll)).To(Succeed())
		g.Expect(stamped(probe)).To(BeTrue())
	})
}

// handled wants a new Job to be stamped, stored and deleted.
func (s *story) handled(name string) {
	s.t.Helper()
	job := s.start(s.job(name, "echo "+name+" wrote this"))
	s.Expect(stamped(job)).To(BeTrue(), "job %s is not stamped", name)
	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.wrote(r, printed{rest: name + " wrote this\n"})
}

// calm waits until Prometheus scrapes all managers, judges by every alert that
// there is, and none of them is there, pending ones included.
func (o *operator) calm(s *story) {
	s.t.Helper()
	o.prometheus.scrape(s)
	text, err := os.ReadFile(filepath.Join(moduleRoot, "config", "alerts", "rules.yaml"))
	s.Expect(err).NotTo(HaveOccurred())
	began := time.Now()
	s.eventually(func(g Gomega) {
		up, err := o.prometheus.ask(s.ctx(), "up == 1")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(up).To(HaveLen(replicas), "managers that Prometheus can scrape")
		count, problems := o.prometheus.rules(s.ctx(), g)
		g.Expect(problems).To(BeEmpty())
		g.Expect(count).To(Equal(strings.Count(string(text), "- alert: ")))
		g.Expect(o.prometheus.alerts(s.ctx(), g)).To(BeEmpty())
	})
	s.w.say("%s: all is well, after %s", s.namespace, time.Since(began).Round(time.Second))
}

// fires waits until these alerts fire; others may too.
func (o *operator) fires(s *story, want ...string) {
	s.t.Helper()
	began := time.Now()
	s.eventually(func(g Gomega) { g.Expect(o.prometheus.alerts(s.ctx(), g)).To(ContainElements(want)) })
	s.w.say("%s: after %s: %s", s.namespace, time.Since(began).Round(time.Second), strings.Join(o.prometheus.alerts(s.ctx(), s), ", "))
}

// shows runs the commands of an alert's section, as they stand there, until check
// is content with what they print. Commands that begin so may end with an error.
func (o *operator) shows(s *story, alert string, check func(g Gomega, printed string), mayFail ...string) {
	s.t.Helper()
	blocks := blocksIn(operationsDoc, []byte(sectionOf(s.t, operationsDoc, alert)))
	s.Expect(blocks).NotTo(BeEmpty())
	began := time.Now()
	var text string
	s.eventually(func(g Gomega) {
		var printed strings.Builder
		for _, b := range blocks {
			for line := range strings.Lines(b.text) {
				output, err := o.shell(s, line)
				if !slices.ContainsFunc(mayFail, func(begins string) bool { return strings.HasPrefix(line, begins) }) {
					g.Expect(err).NotTo(HaveOccurred(), "%s%s", line, output)
				}
				fmt.Fprintf(&printed, "$ %s%s", line, output)
			}
		}
		text = printed.String()
		check(g, text)
	})
	s.t.Log(text)
	s.w.say("%s: what %s says to look at shows the cause, after %s", s.namespace, alert, time.Since(began).Round(time.Second))
}

// advises wants an alert's section to say so.
func (o *operator) advises(s *story, alert, advice string) {
	s.t.Helper()
	text := strings.Join(strings.Fields(sectionOf(s.t, operationsDoc, alert)), " ")
	s.Expect(text).To(ContainSubstring(advice))
	s.w.say("%s: %s says: %s", s.namespace, alert, advice)
}

// shell runs commands as somebody does who has the cluster as the current context.
func (o *operator) shell(s *story, commands string) (string, error) {
	s.t.Helper()
	script := "set -euo pipefail\nexport KUBECONFIG=" + quoted(s.w.cluster.Kubeconfig()) + "\n" + commands
	return shell(s.ctx(), moduleRoot, filepath.Dir(s.w.cluster.Kubectl()), script)
}

// certificate: somebody takes cert-manager's annotation off the mutating webhook
// configuration, has it trust another authority, and changes what Helm put there. Jobs
// are created unseen. With the manifests applied again they are stamped, and those that
// were missed are stored.
func (o *operator) certificate(s *story) {
	o.calm(s)
	o.optsIn(s)
	s.handled("before")

	configuration := &admissionv1.MutatingWebhookConfiguration{}
	s.Expect(s.w.client.Get(s.ctx(), client.ObjectKey{Name: api.ManagerName}, configuration)).To(Succeed())
	s.change(configuration, func() {
		delete(configuration.Annotations, "cert-manager.io/inject-ca-from")
		for i := range configuration.Webhooks {
			configuration.Webhooks[i].ClientConfig.CABundle = s.w.cluster.CA()
			configuration.Webhooks[i].TimeoutSeconds = new(int32(1))
		}
	})
	o.fires(s, "JobHandlerStampingBroken firing", "JobHandlerCertificateUntrusted firing kind=mutating")
	missed := s.start(s.job("missed", "echo nobody saw this begin"))
	s.Expect(stamped(missed)).To(BeFalse())
	const selfTest = "kubectl --namespace job-handler-system exec "
	o.shows(s, "JobHandlerStampingBroken", func(g Gomega, printed string) {
		g.Expect(printed).To(ContainSubstring("Jobs are not stamped when they are created"))
		g.Expect(printed).To(ContainSubstring("caBundle: "))
		g.Expect(printed).To(MatchRegexp(`\njob-handler-webhook-\S+ +10\.\S+ +false,false\n$`))
	}, selfTest)
	o.shows(s, "JobHandlerCertificateUntrusted", func(g Gomega, printed string) {
		g.Expect(printed).To(ContainSubstring("the mutating webhook configuration job-handler does not trust the certificate"))
		g.Expect(printed).To(MatchRegexp(`\$ kubectl get mutatingwebhookconfigurations job-handler .*\n\n`))
		g.Expect(printed).To(MatchRegexp(`\$ kubectl get validatingwebhookconfigurations job-handler .*\njob-handler-system/job-handler-webhook\n`))
	})

	o.advises(s, "JobHandlerStampingBroken", "| its `caBundle` is empty or old | see [JobHandlerCertificateUntrusted]")
	o.advises(s, "JobHandlerCertificateUntrusted", "| the annotation is not there | apply the manifests again |")
	o.advises(s, "Alerts", "Helm 4 ends with `conflict occurred`: it takes `--force-conflicts` to put back")
	upgrade := []string{"upgrade", chartRelease, chartFolder, "--reuse-values", "--wait", "--timeout=4m"}
	output, err := o.try(s, upgrade...)
	s.Expect(err).To(HaveOccurred(), output)
	s.Expect(output).To(ContainSubstring("conflict occurred"))
	o.run(s, append(upgrade, "--force-conflicts")...)
	o.calm(s)
	s.refresh(configuration)
	s.Expect(configuration.Webhooks).To(HaveEach(HaveField("TimeoutSeconds", HaveValue(BeEquivalentTo(3)))))
	s.handled("after")
	s.gone(missed)
	s.wrote(s.stored(missed), printed{rest: "nobody saw this begin\n"})
}

// quota: a namespace may have no more ConfigMaps. Its Jobs are kept, those of others
// are stored; with a larger quota they are too.
func (o *operator) quota(s *story) {
	o.calm(s)
	o.optsIn(s)
	neighbour := *s
	neighbour.namespace = s.namespace + "-neighbour"
	s.others = append(s.others, neighbour.namespace)
	o.optsIn(&neighbour)
	s.refuseResults()

	var refused []*batchv1.Job
	// Another Job ends every few seconds, as where there are CronJobs.
	s.Eventually(func(g Gomega) {
		refused = append(refused, s.start(s.job(fmt.Sprintf("refused-%d", len(refused)), "echo all of it")))
		g.Expect(o.prometheus.alerts(s.ctx(), g)).To(ContainElement("JobHandlerWritesRefused firing cause=quota"))
	}).WithContext(s.ctx()).WithTimeout(longest).WithPolling(5 * time.Second).Should(Succeed())
	o.fires(s, "JobHandlerWritesRefused firing cause=quota")
	neighbour.handled("stored-meanwhile")
	o.shows(s, "JobHandlerWritesRefused", func(g Gomega, printed string) {
		g.Expect(printed).To(MatchRegexp(s.namespace + ` .* job/refused-0 .*exceeded quota: ` + quotaName))
		g.Expect(printed).To(MatchRegexp(s.namespace + ` +` + quotaName + ` +count/configmaps: \d+/0`))
	})
	s.kept(refused[0])

	o.advises(s, "JobHandlerWritesRefused", "raise the quota")
	s.mustKubectl("patch", "resourcequota", quotaName, "--patch", `{"spec": {"hard": {"count/configmaps": "100"}}}`)
	for _, job := range refused {
		s.gone(job)
		s.wrote(s.stored(job), printed{rest: "all of it\n"})
	}
	s.w.say("%s: %d Jobs are stored that were refused", s.namespace, len(refused))
	o.calm(s)
}

// node: a kubelet ends between the end of a pod and that of its Job. The Job is
// kept; once the kubelet is back its log can be read, and it goes when somebody says
// so.
func (o *operator) node(s *story) {
	o.calm(s)
	o.optsIn(s)
	job := s.start(s.gated("unread", "open", 0, 0))
	s.running(job, 1)
	s.Expect(s.w.cluster.Pause(s.ctx(), localcluster.ControllerManager)).To(Succeed())
	s.open("open")
	s.eventually(func(g Gomega) {
		g.Expect(s.pods(g, job)).To(HaveExactElements(HaveField("Status.Phase", corev1.PodSucceeded)))
	})
	s.Expect(s.w.cluster.Kill(s.ctx(), localcluster.Kubelet)).To(Succeed())
	s.Expect(s.w.cluster.Resume(s.ctx(), localcluster.ControllerManager)).To(Succeed())

	o.fires(s, "JobHandlerLogsUnreadable firing")
	o.shows(s, "JobHandlerLogsUnreadable", func(g Gomega, printed string) {
		g.Expect(printed).To(MatchRegexp(`\n` + node.Name + ` +NotReady `))
		g.Expect(printed).To(MatchRegexp(s.namespace + ` +unread +incomplete: Job kept: `))
		g.Expect(printed).To(HaveSuffix("\nyes\n"))
	})
	s.kept(job)

	s.Expect(s.w.cluster.Restart(s.ctx(), localcluster.Kubelet)).To(Succeed())
	s.allReady()
	o.advises(s, "JobHandlerLogsUnreadable", "Once the node answers, `kubectl logs` shows what is left.")
	s.eventually(func(g Gomega) {
		output, err := s.kubectl(s.ctx(), "logs", "job/unread")
		g.Expect(err).NotTo(HaveOccurred(), output)
		g.Expect(output).To(Equal("unread through"))
	})
	o.advises(s, "JobHandlerLogsUnreadable", "goes with the annotation `job-handler/delete-after-failure` on it")
	s.mustKubectl("annotate", "job", job.Name, api.DeleteAfterFailureAnnotation+"=0s")
	s.gone(job)
	s.podsGone(job)
	o.calm(s)
	s.handled("after")
}
