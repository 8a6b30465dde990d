package e2e

import (
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/job-handler/job-handler/internal/jobtest"
)

// Labels of Kueue on what it queues.
const (
	queueLabel    = "kueue.x-k8s.io/queue-name"
	priorityLabel = "kueue.x-k8s.io/priority-class"
)

// queue makes the queue of a story's namespace with room for one Job of queuedJob at a
// time, and a priority before which others have to stop. All are named as the story.
func (s *story) queue() {
	s.t.Helper()
	const version = "kueue.x-k8s.io/v1beta2"
	flavor := map[string]any{"name": s.namespace, "resources": []any{map[string]any{"name": "cpu", "nominalQuota": "100m"}}}
	for _, object := range []map[string]any{
		{"apiVersion": version, "kind": "ResourceFlavor", "metadata": map[string]any{"name": s.namespace}},
		{
			"apiVersion": version, "kind": "ClusterQueue", "metadata": map[string]any{"name": s.namespace},
			"spec": map[string]any{
				"namespaceSelector": map[string]any{},
				"preemption":        map[string]any{"withinClusterQueue": "LowerPriority"},
				"resourceGroups":    []any{map[string]any{"coveredResources": []any{"cpu"}, "flavors": []any{flavor}}},
			},
		},
		{
			"apiVersion": version, "kind": "LocalQueue", "metadata": map[string]any{"namespace": s.namespace, "name": s.namespace},
			"spec": map[string]any{"clusterQueue": s.namespace},
		},
		{
			"apiVersion": version, "kind": "WorkloadPriorityClass", "metadata": map[string]any{"name": s.namespace},
			"value": int64(1000),
		},
	} {
		s.admitted(&unstructured.Unstructured{Object: object})
	}
}

// queuedJob returns the builder of a Job that waits in the queue.
func (s *story) queuedJob(name, script string) *jobtest.JobBuilder {
	b := s.job(name, script).Label(queueLabel, s.namespace)
	request := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("80m")}
	b.Obj().Spec.Template.Spec.Containers[0].Resources.Requests = request
	return b
}

// kueuePreempted: a Job that Kueue suspends for another one is stored once, with the log
// of the attempt that was cut short, and both are deleted after their success.
func kueuePreempted(s *story) {
	s.optedIn()
	s.queue()
	low := s.start(s.queuedJob("low", `if [ -e /shared/tried ]; then echo done at last; exit; fi
		touch /shared/tried; trap 'echo told to stop; exit 1' TERM; echo began; while :; do sleep 0.1; done`).
		HostFolder(s.folder("shared"), "/shared"))
	s.Expect(low.Spec.Suspend).To(HaveValue(BeTrue()), "Kueue has not taken the Job")
	s.running(low, 1)

	high := s.start(s.queuedJob("high", "echo urgent work done").Label(priorityLabel, s.namespace))
	s.gone(high)
	r := s.stored(high)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("urgent work done\n"))

	s.gone(low)
	r = s.stored(low)
	s.complete(r)
	s.Expect(r.texts()).To(HaveExactElements("began\ntold to stop\n", "done at last\n"))
}

// kueueJobSet: the Jobs of a JobSet that waits in a queue are stored once each when it
// was let in.
func kueueJobSet(s *story) {
	s.optedIn()
	s.queue()
	set := s.jobSetOf("training", 0, replicatedJob{"worker", 2, "echo step done"})
	set.SetLabels(map[string]string{queueLabel: s.namespace})
	s.admitted(set)
	suspended, _, err := unstructured.NestedBool(set.Object, "spec", "suspend")
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(suspended).To(BeTrue(), "Kueue has not taken the JobSet")
	s.jobSetCompleted(set)

	jobs := s.jobsOf(set)
	s.Expect(jobs).To(HaveLen(2))
	for i := range jobs {
		s.leftAlone(&jobs[i], "it is owned by JobSet training")
		r := s.stored(&jobs[i])
		s.complete(r)
		s.Expect(r.texts()).To(HaveExactElements("step done\n"))
	}
}
