package e2e

import (
	"context"
	"os/exec"
	"testing"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// uninstalled: the manager is removed while Jobs are at work. It ends cleanly,
// and leaves the results and nothing that would act on or hold anything up:
// what it knew of can be deleted at once. Run again, it finds nothing to do.
func uninstalled(t *testing.T, w *world) {
	s := newStory(t, w, "in-flight")
	inFlight(s)
	before := s.allResults()
	exits := watchExits(t, w)

	s.Expect(release(s, "--dry-run")).To(MatchRegexp(`\nReleased [1-9]\d* Namespaces? and [1-9]\d* Jobs?: .* \(dry run\)\n$`))
	s.Expect(within(t.Context(), w.manager.undeploy)).To(Succeed())
	s.Expect(exits()).To(And(HaveLen(replicas), HaveEach(BeEquivalentTo(0))), "how the manager's containers ended")
	s.Expect(release(s)).To(ContainSubstring("Nothing to release: "))
	s.Expect(w.manager.undeploy(t.Context())).To(Succeed())

	for _, object := range w.manager.objects {
		err := w.client.Get(t.Context(), client.ObjectKeyFromObject(object), object.DeepCopy())
		s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%s %s is there still: %v", object.GetKind(), object.GetName(), err)
	}
	s.nothingHeld()
	s.Expect(s.allResults()).To(Equal(before))
	s.goes()
}

// inFlight makes Jobs in every state of which the manager holds something.
func inFlight(s *story) {
	s.optedIn()
	busy := s.start(s.job("busy", `trap "exit 0" TERM; while true; do sleep 1; done`).TTL(0))
	s.start(s.job("suspended", "true").Suspended().TTL(5))
	failed := s.start(s.job("failed", "exit 1"))
	s.stored(s.reported(failed))
	s.running(busy, 1)

	s.refuseResults()
	protected := s.start(s.protected("protected", "echo not to be stored"))
	deleted := s.start(s.protected("deleted", "echo not to be stored"))
	s.finished(protected)
	s.finished(deleted)
	s.deleteJob(deleted)
	s.held(deleted, 1)
}

// allResults returns the results of all namespaces.
func (s *story) allResults() []corev1.ConfigMap {
	s.t.Helper()
	var objects corev1.ConfigMapList
	s.Expect(s.w.client.List(s.ctx(), &objects, resultsAndParts)).To(Succeed())
	return objects.Items
}

// release runs the manager's subcommand and returns what it printed.
func release(s *story, args ...string) string {
	s.t.Helper()
	args = append([]string{"release", "--kubeconfig", s.w.cluster.Kubeconfig()}, args...)
	output, err := exec.CommandContext(s.ctx(), s.w.binary, args...).CombinedOutput()
	s.Expect(err).NotTo(HaveOccurred(), string(output))
	return string(output)
}

// watchExits watches the manager's pods until they are gone; then the function
// that it returns tells with which codes their containers ended, by pod.
func watchExits(t *testing.T, w *world) func() map[string]int32 {
	g := NewWithT(t)
	ctx, cancel := context.WithTimeout(t.Context(), managerTimeout)
	t.Cleanup(cancel)
	events, err := w.client.Watch(ctx, &corev1.PodList{}, client.InNamespace(api.ManagerNamespace), managerPods)
	g.Expect(err).NotTo(HaveOccurred())
	return func() map[string]int32 {
		defer events.Stop()
		codes, there := map[string]int32{}, map[string]bool{}
		for event := range events.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			g.Expect(ok).To(BeTrue(), "the watch says %v", event)
			there[pod.Name] = event.Type != watch.Deleted
			for _, status := range pod.Status.ContainerStatuses {
				if ended := status.State.Terminated; ended != nil {
					codes[pod.Name] = ended.ExitCode
				}
			}
			if !anyOf(there) {
				return codes
			}
		}
		return codes
	}
}

func anyOf(there map[string]bool) bool {
	for _, is := range there {
		if is {
			return true
		}
	}
	return false
}

// nothingHeld wants no Namespace and no Job to carry what acts on or holds.
func (s *story) nothingHeld() {
	s.t.Helper()
	var namespaces corev1.NamespaceList
	s.Expect(s.w.client.List(s.ctx(), &namespaces)).To(Succeed())
	for i := range namespaces.Items {
		s.Expect(namespaces.Items[i].Annotations).NotTo(Or(HaveKey(api.EnabledSinceAnnotation), HaveKey(api.EnabledMirroredAnnotation)))
	}
	var jobs batchv1.JobList
	s.Expect(s.w.client.List(s.ctx(), &jobs)).To(Succeed())
	for i := range jobs.Items {
		s.Expect(jobs.Items[i].Annotations).NotTo(HaveKey(api.TTLAnnotation))
		s.Expect(jobs.Items[i].Finalizers).NotTo(ContainElement(api.ResultsFinalizer))
	}
}

// goes wants the story's namespace to go when it is deleted.
func (s *story) goes() {
	s.t.Helper()
	namespace := jobtest.MakeNamespace(s.namespace).Obj()
	s.Expect(s.w.client.Delete(s.ctx(), namespace)).To(Succeed())
	s.awaitGone()
}

// awaitGone waits until the story's namespace, which was deleted, is gone.
func (s *story) awaitGone() {
	s.t.Helper()
	namespace := jobtest.MakeNamespace(s.namespace).Obj()
	s.eventually(func(g Gomega) {
		err := s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(namespace), namespace)
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "the namespace is there still: %v", err)
	})
}
