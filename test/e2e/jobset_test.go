package e2e

import (
	"slices"
	"strings"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// jobSetLabel has the name of a Job's JobSet.
const jobSetLabel = "jobset.sigs.k8s.io/jobset-name"

// replicatedJob is one of a JobSet's Jobs, so many times.
type replicatedJob struct {
	name     string
	replicas int64
	script   string
}

// jobSetOf returns a JobSet of the story's namespace, which is started again as a
// whole so many times.
func (s *story) jobSetOf(name string, restarts int64, jobs ...replicatedJob) *unstructured.Unstructured {
	s.t.Helper()
	replicated := make([]any, len(jobs))
	for i, job := range jobs {
		template := s.job("", job.script).Obj()
		// As the API server takes no status of a template.
		spec, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&batchv1.JobTemplateSpec{Spec: template.Spec})
		s.Expect(err).NotTo(HaveOccurred())
		replicated[i] = map[string]any{"name": job.name, "replicas": job.replicas, "template": spec}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "jobset.x-k8s.io/v1alpha2",
		"kind":       "JobSet",
		"metadata":   map[string]any{"namespace": s.namespace, "name": name},
		"spec": map[string]any{
			"replicatedJobs": replicated,
			"failurePolicy":  map[string]any{"maxRestarts": restarts},
		},
	}}
}

// jobSetCompleted waits until a JobSet says that all is done.
func (s *story) jobSetCompleted(set *unstructured.Unstructured) {
	s.t.Helper()
	s.eventually(func(g Gomega) {
		s.refresh(set)
		state, _, err := unstructured.NestedString(set.Object, "status", "terminalState")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(state).To(Equal("Completed"))
	})
}

// jobsOf returns the Jobs of a JobSet, by name.
func (s *story) jobsOf(set *unstructured.Unstructured) []batchv1.Job {
	s.t.Helper()
	var list batchv1.JobList
	s.Expect(s.w.client.List(s.ctx(), &list, client.InNamespace(s.namespace), client.MatchingLabels{jobSetLabel: set.GetName()})).To(Succeed())
	slices.SortFunc(list.Items, func(a, b batchv1.Job) int { return strings.Compare(a.Name, b.Name) })
	return list.Items
}

// jobSet: each Job of a JobSet is stored once and left to the JobSet, which goes with
// all of them when it is deleted.
func jobSet(s *story) {
	s.optedIn()
	set := s.jobSetOf("training", 0, replicatedJob{"driver", 1, "echo plan made"}, replicatedJob{"worker", 2, "echo step done"})
	s.admitted(set)
	s.jobSetCompleted(set)

	jobs := s.jobsOf(set)
	var texts []string
	for i := range jobs {
		job := &jobs[i]
		s.leftAlone(job, "it is owned by JobSet training")
		r := s.stored(job)
		s.complete(r)
		texts = append(texts, job.Name+": "+strings.Join(r.texts(), ""))
	}
	s.Expect(texts).To(HaveExactElements(
		"training-driver-0: plan made\n", "training-worker-0: step done\n", "training-worker-1: step done\n"))

	s.Expect(s.w.client.Delete(s.ctx(), set)).To(Succeed())
	for i := range jobs {
		s.gone(&jobs[i])
		s.stored(&jobs[i])
	}
}

// jobSetRestarted: a JobSet deletes its Jobs and makes new ones of the same names when
// one failed. With protect each run is stored before it goes, and the JobSet goes on.
func jobSetRestarted(s *story) {
	s.create(jobtest.MakeNamespace(s.namespace).Label(api.EnabledLabel, api.True).Annotation(api.ProtectAnnotation, api.True).Obj())
	set := s.jobSetOf("training", 1, replicatedJob{
		"worker", 1, `if [ "$ATTEMPT" = 0 ]; then echo out of luck; exit 1; fi; echo step done`,
	})
	s.withAttempt(set)
	s.admitted(set)
	s.jobSetCompleted(set)
	restarts, _, err := unstructured.NestedInt64(set.Object, "status", "restarts")
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(restarts).To(BeEquivalentTo(1))

	const name = "training-worker-0"
	var found []corev1.ConfigMap
	s.eventually(func(g Gomega) {
		var list corev1.ConfigMapList
		g.Expect(s.w.client.List(s.ctx(), &list, client.InNamespace(s.namespace), client.MatchingLabels{api.JobNameLabel: name})).To(Succeed())
		found = slices.DeleteFunc(list.Items, func(object corev1.ConfigMap) bool { return object.Labels[api.StatusLabel] == "" })
		g.Expect(found).To(HaveLen(2))
	})
	runs := map[string]string{}
	for i := range found {
		job := &batchv1.Job{}
		job.Namespace, job.Name, job.UID = s.namespace, name, types.UID(found[i].Labels[api.JobUIDLabel])
		r := s.stored(job)
		s.complete(r)
		runs[r.Data[api.DataStatus]] = strings.Join(r.texts(), "")
	}
	s.Expect(runs).To(Equal(map[string]string{api.StatusFailed: "out of luck\n", api.StatusCompleted: "step done\n"}))
}

// withAttempt tells the containers of a JobSet how often it was started again.
func (s *story) withAttempt(set *unstructured.Unstructured) {
	s.t.Helper()
	jobs, _, err := unstructured.NestedSlice(set.Object, "spec", "replicatedJobs")
	s.Expect(err).NotTo(HaveOccurred())
	for _, job := range jobs {
		path := []string{"template", "spec", "template", "spec", "containers"}
		containers, _, err := unstructured.NestedSlice(job.(map[string]any), path...)
		s.Expect(err).NotTo(HaveOccurred())
		for _, container := range containers {
			container.(map[string]any)["env"] = []any{map[string]any{"name": "ATTEMPT", "valueFrom": map[string]any{
				"fieldRef": map[string]any{"fieldPath": "metadata.labels['jobset.sigs.k8s.io/restart-attempt']"},
			}}}
		}
		s.Expect(unstructured.SetNestedSlice(job.(map[string]any), containers, path...)).To(Succeed())
	}
	s.Expect(unstructured.SetNestedSlice(set.Object, jobs, "spec", "replicatedJobs")).To(Succeed())
}
