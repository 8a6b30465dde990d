package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/pinned"
)

const (
	chartFolder = "config/chart/job-handler"
	// chartRelease is under another name than its objects.
	chartRelease = "jobs"
	helmTimeout  = 10 * time.Minute
)

// TestChart is an administrator's life with the Helm chart, one after the other.
func TestChart(t *testing.T) {
	if testing.Short() {
		t.Skip("the chart takes minutes: make test-operations")
	}
	if os.Geteuid() != 0 {
		t.Skip("the chart needs root: its containers run on this machine")
	}
	ctx, cancel := context.WithTimeout(t.Context(), helmTimeout)
	defer cancel()
	program, err := pinned.Program(ctx, moduleRoot, pinned.Helm())
	if err != nil {
		t.Fatal(err)
	}
	w, archive := newCluster(t)
	if err := w.cluster.LoadArchive(ctx, archive); err != nil {
		t.Fatal(err)
	}
	w.manager.client = w.client
	c := &chart{program: program, namespace: api.ManagerNamespace}
	w.tell(t, []told{
		{"chart-installed", c.installed},
		{"chart-tested", c.tested},
		{"chart-once", c.once},
		{"chart-upgraded", c.upgraded},
		{"chart-uninstalled", c.uninstalled},
		{"chart-elsewhere", c.elsewhere},
	})
}

// chart is what installs the chart, and where.
type chart struct{ program, namespace string }

// try runs helm in the manager's namespace and returns what it printed.
func (c *chart) try(s *story, args ...string) (string, error) {
	args = append(args, "--namespace", c.namespace, "--kubeconfig", s.w.cluster.Kubeconfig())
	command := exec.CommandContext(s.ctx(), c.program, args...)
	command.Dir = moduleRoot
	for _, folder := range []string{"CACHE", "CONFIG", "DATA"} {
		command.Env = append(command.Environ(), "HELM_"+folder+"_HOME="+filepath.Join(s.w.dir, "helm", folder))
	}
	output, err := command.CombinedOutput()
	return string(output), err
}

func (c *chart) run(s *story, args ...string) string {
	s.t.Helper()
	output, err := c.try(s, args...)
	s.Expect(err).NotTo(HaveOccurred(), "helm %s:\n%s\n%s", strings.Join(args, " "), output, s.w.log.last(20))
	return output
}

// installed: helm waits until all is ready. The manager knows its container's
// memory limit. The namespace may enforce the level restricted from then on.
func (c *chart) installed(s *story) {
	output := c.run(s, "install", chartRelease, chartFolder, "--create-namespace", "--wait", "--timeout=4m",
		"--set=image.repository=localhost/job-handler,image.tag=e2e,flags.v=1")
	s.Expect(output).To(ContainSubstring("helm test " + chartRelease + " --namespace " + api.ManagerNamespace + " --logs"))
	s.allReady()
	s.eventually(func(g Gomega) {
		// 90% of 512Mi.
		g.Expect(s.w.log.lines(func(line logLine) bool {
			return strings.Contains(line.text, `"msg":"the Go runtime has its share of the container's memory limit","bytes":483183820`)
		})).To(HaveLen(replicas))
	})
	output, err := s.kubectl(s.ctx(), "label", "namespace", api.ManagerNamespace, "pod-security.kubernetes.io/enforce=restricted")
	s.Expect(err).NotTo(HaveOccurred(), output)
}

// tested: helm test says whether Jobs are stamped and what to do where they are
// not; what is missing is put back by an upgrade that changes nothing else.
func (c *chart) tested(s *story) {
	output := c.run(s, "test", chartRelease, "--logs", "--timeout=2m")
	s.Expect(output).To(ContainSubstring("Jobs are stamped when they are created."))

	configuration := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: api.ManagerName}}
	s.Expect(s.w.client.Delete(s.ctx(), configuration)).To(Succeed())
	output, err := c.try(s, "test", chartRelease, "--logs", "--timeout=2m")
	s.Expect(err).To(HaveOccurred(), output)
	s.Expect(output).To(ContainSubstring("Jobs are not stamped when they are created"))
	s.Expect(output).To(ContainSubstring("whether the mutating webhook configuration job-handler exists"))

	c.run(s, "upgrade", chartRelease, chartFolder, "--reuse-values", "--wait", "--timeout=4m")
	c.run(s, "test", chartRelease, "--logs", "--timeout=2m")
}

// once: a second release, and what the cluster has no kinds for, are refused in
// plain words before anything is made.
func (c *chart) once(s *story) {
	output, err := c.try(s, "install", "second", chartFolder)
	s.Expect(err).To(HaveOccurred(), output)
	s.Expect(output).To(ContainSubstring("is installed in this cluster already, as release jobs in namespace job-handler-system"))
	output, err = c.try(s, "upgrade", chartRelease, chartFolder, "--reuse-values", "--set=metrics.enabled=true")
	s.Expect(err).To(HaveOccurred(), output)
	s.Expect(output).To(ContainSubstring("the cluster has no ServiceMonitor"))
}

// upgraded: all replicas are replaced, and replaced back, while Jobs begin and
// end. None is lost.
func (c *chart) upgraded(s *story) {
	s.optedIn()
	before, err := s.w.manager.pods(s.ctx())
	s.Expect(err).NotTo(HaveOccurred())
	stop := s.stream()
	c.run(s, "upgrade", chartRelease, chartFolder, "--reuse-values", "--wait", "--timeout=4m", "--set=podAnnotations.upgraded=yes")
	s.replacedBy(HaveKeyWithValue("upgraded", "yes"), before)
	between, err := s.w.manager.pods(s.ctx())
	s.Expect(err).NotTo(HaveOccurred())
	c.run(s, "rollback", chartRelease, "--wait", "--timeout=4m")
	// A fast machine is done before there are enough Jobs to tell.
	s.eventually(func(g Gomega) {
		g.Expect(len(s.storedHere(g))).To(BeNumerically(">", 20))
	})
	jobs := stop()
	s.replacedBy(Not(HaveKey("upgraded")), between)
	s.settled(jobs)
}

// replacedBy waits until pods with such annotations are ready in the place of
// others. Those may take a while to end.
func (s *story) replacedBy(annotations types.GomegaMatcher, others []corev1.Pod) {
	s.t.Helper()
	s.eventually(func(g Gomega) {
		pods, err := s.w.manager.pods(s.ctx())
		g.Expect(err).NotTo(HaveOccurred())
		ready := 0
		for i := range pods {
			old := slices.ContainsFunc(others, func(other corev1.Pod) bool { return other.UID == pods[i].UID })
			if old || pods[i].DeletionTimestamp != nil {
				continue
			}
			ready++
			g.Expect(pods[i].Annotations).To(annotations)
			g.Expect(pods[i].Status.Conditions).To(ContainElement(And(
				HaveField("Type", corev1.PodReady), HaveField("Status", corev1.ConditionTrue))))
		}
		g.Expect(ready).To(Equal(replicas))
	})
}

// uninstalled: while Jobs are at work, and without waiting for the manager to
// end. Nothing acts on or is held up by what it wrote, all results are there, and
// nothing of the chart is.
func (c *chart) uninstalled(s *story) {
	inFlight(s)
	before := s.allResults()
	s.Expect(before).NotTo(BeEmpty())
	objects, err := config.Decode([]byte(c.run(s, "get", "manifest", chartRelease)))
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(len(objects)).To(BeNumerically(">", 20))

	c.run(s, "uninstall", chartRelease, "--timeout=4m")

	s.nothingHeld()
	s.Expect(s.allResults()).To(Equal(before))
	s.Expect(within(s.ctx(), s.w.manager.awaitGone)).To(Succeed())
	s.nothingHeld()
	hook := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "job-handler-release"}}
	s.goneNow(hook)
	for _, object := range objects {
		s.goneNow(object)
	}
	s.goes()
}

// goneNow wants the object not to be there.
func (s *story) goneNow(object client.Object) {
	s.t.Helper()
	now := &unstructured.Unstructured{}
	gvk, err := s.w.client.GroupVersionKindFor(object)
	s.Expect(err).NotTo(HaveOccurred())
	now.SetGroupVersionKind(gvk)
	err = s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(object), now)
	s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%s %s is there still: %v", gvk.Kind, object.GetName(), err)
}
