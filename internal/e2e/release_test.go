package e2e

import (
	"os/exec"
	"testing"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// released: once the manager is gone, the command release leaves the results
// and nothing that would act on; run again it finds nothing to do.
func released(t *testing.T, w *world) {
	g := NewWithT(t)
	release := func(args ...string) string {
		args = append([]string{"release", "--kubeconfig", w.cluster.Kubeconfig()}, args...)
		output, err := exec.CommandContext(t.Context(), w.binary, args...).CombinedOutput()
		g.Expect(err).NotTo(HaveOccurred(), string(output))
		return string(output)
	}
	results := func() []corev1.ConfigMap {
		var objects corev1.ConfigMapList
		g.Expect(w.client.List(t.Context(), &objects, client.MatchingLabels{api.CreatedLabel: api.True})).To(Succeed())
		return objects.Items
	}
	before := results()

	g.Expect(release("--dry-run")).To(MatchRegexp(`\nReleased [1-9]\d* Namespaces? .* \(dry run\)\n$`))
	g.Expect(release()).To(MatchRegexp(`\nReleased [1-9]\d* Namespaces? .*\n$`))
	g.Expect(release()).To(HavePrefix("Nothing to release: "))

	var namespaces corev1.NamespaceList
	g.Expect(w.client.List(t.Context(), &namespaces)).To(Succeed())
	for i := range namespaces.Items {
		g.Expect(namespaces.Items[i].Annotations).NotTo(Or(HaveKey(api.EnabledSinceAnnotation), HaveKey(api.EnabledMirroredAnnotation)))
	}
	var jobs batchv1.JobList
	g.Expect(w.client.List(t.Context(), &jobs)).To(Succeed())
	for i := range jobs.Items {
		g.Expect(jobs.Items[i].Annotations).NotTo(HaveKey(api.TTLAnnotation))
		g.Expect(jobs.Items[i].Finalizers).NotTo(ContainElement(api.ResultsFinalizer))
	}
	g.Expect(results()).To(Equal(before))
}
