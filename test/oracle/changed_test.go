package oracle_test

import (
	"maps"
	"net/http"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// testLost has somebody delete results before their Job is deleted: they are
// stored again first.
func testLost(t *testing.T, w *world) {
	for _, f := range []flow{success, successInParts} {
		for _, what := range []string{createResults, createEvent, patchJob} {
			t.Run(f.name+", results deleted after "+what, func(t *testing.T) {
				t.Parallel()
				w.newScene(t).lost(f, what, func(o *corev1.ConfigMap) bool { return o.Labels[api.PartLabel] == "" })
			})
		}
	}
	for _, part := range []string{"0", "1"} {
		t.Run("part "+part+" deleted after "+patchJob, func(t *testing.T) {
			t.Parallel()
			w.newScene(t).lost(successInParts, patchJob, func(o *corev1.ConfigMap) bool { return o.Labels[api.PartLabel] == part })
		})
	}
}

// lost deletes what is chosen of a run's objects after the first request for
// what. Whenever the Job is to be deleted, its results have to be there.
func (s *scene) lost(f flow, what string, chosen func(*corev1.ConfigMap) bool) {
	s.t.Helper()
	run := s.run(f.held(s.namespace, "job"))
	deleted := 0
	take := at(1, what, after(func() { deleted = s.deleteObjects(run, chosen) }))
	check := always(func(a asked) bool { return a.what == deleteJob }, before(func() {
		if got, err := s.observe(s.anytime(), run); err != nil || len(got.Results) != 1 || got.Results[0].Wrong != "" {
			s.t.Errorf("the Job is to be deleted, and of its results there is: %+v, %v", got.Results, err)
		}
	}))
	p := s.start(func(*link) fault { return both(take, check) })
	s.kubelet.end(s.t.Context(), run.UID)
	s.leaves(run, s.clean[f.name])
	if deleted == 0 || len(p.of(createResults)) < 2 {
		s.t.Errorf("%d objects were deleted, results created %d times", deleted, len(p.of(createResults)))
	}
}

// deleteObjects deletes what is chosen of a run's objects, and returns how many.
func (s *scene) deleteObjects(run *batchv1.Job, chosen func(*corev1.ConfigMap) bool) int {
	var list corev1.ConfigMapList
	err := s.List(s.anytime(), &list, client.InNamespace(run.Namespace), client.MatchingLabels{api.JobUIDLabel: string(run.UID)})
	if err != nil {
		s.t.Error(err)
	}
	deleted := 0
	for i := range list.Items {
		if !chosen(&list.Items[i]) {
			continue
		}
		if err := s.Delete(s.anytime(), &list.Items[i]); err != nil {
			s.t.Error(err)
		}
		deleted++
	}
	return deleted
}

// userChange is what somebody does to a Job just before it is deleted.
type userChange struct {
	name   string
	change func(*batchv1.Job)
	// back undoes that at once, if set.
	back func(*batchv1.Job)
	// kept is true if it stays then.
	kept bool
}

var changes = []userChange{
	{name: "suspended", change: func(job *batchv1.Job) { job.Spec.Suspend = new(true) }},
	{name: "labelled", change: func(job *batchv1.Job) { job.Labels["team"] = "x" }},
	{name: "to be kept", kept: true, change: annotated(api.DeleteAfterSuccessAnnotation, api.Never)},
	{name: "opted out", kept: true, change: func(job *batchv1.Job) { job.Labels[api.EnabledLabel] = api.False }},
	{
		name: "to be kept, and not any more", change: annotated(api.DeleteAfterSuccessAnnotation, api.Never),
		back: func(job *batchv1.Job) { delete(job.Annotations, api.DeleteAfterSuccessAnnotation) },
	},
	{
		name: "opted out, and in again", change: func(job *batchv1.Job) { job.Labels[api.EnabledLabel] = api.False },
		back: func(job *batchv1.Job) { job.Labels[api.EnabledLabel] = api.True },
	},
	{name: "owned", kept: true, change: func(job *batchv1.Job) {
		job.OwnerReferences = append(job.OwnerReferences, metav1.OwnerReference{
			APIVersion: "example.com/v1", Kind: "Workflow", Name: "w", UID: "00000000-0000-4000-8000-000000000000",
		})
	}},
}

// testChanged has somebody change a Job that is about to be deleted.
func testChanged(t *testing.T, w *world) {
	for _, f := range []flow{success, successInParts} {
		for _, c := range changes {
			// The first look is whether the name is free, where there are parts; each
			// part is looked at too.
			looks := 1
			if f.name == successInParts.name {
				looks = 4
			}
			for when, hold := range map[string]func(func()) fault{
				"after the results were looked at": func(f func()) fault { return at(looks, getResults, after(f)) },
				"just before the request":          func(f func()) fault { return at(1, deleteJob, before(f)) },
			} {
				t.Run(f.name+", "+c.name+" "+when, func(t *testing.T) {
					t.Parallel()
					w.newScene(t).changed(f, c, hold)
				})
			}
		}
	}
}

func (s *scene) changed(f flow, c userChange, hold func(func()) fault) {
	s.t.Helper()
	run := s.run(f.held(s.namespace, "job"))
	p := s.start(func(*link) fault {
		return hold(func() {
			s.change(run, c.change)
			if c.back != nil {
				s.change(run, c.back)
			}
		})
	})
	s.kubelet.end(s.t.Context(), run.UID)
	want := s.clean[f.name]
	if c.kept {
		job := *s.clean[keptSuccess.name].Job
		job.Annotations, job.Labels = maps.Clone(job.Annotations), maps.Clone(job.Labels)
		delete(job.Annotations, api.DeleteAfterSuccessAnnotation)
		changed := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Labels: job.Labels, Annotations: job.Annotations}}
		c.change(changed)
		want.Job = &job
	}
	s.await("the Job was to be deleted", func() bool { return len(p.of(deleteJob)) > 0 })
	s.leaves(run, want)
	if code := p.of(deleteJob)[0].code; code != http.StatusConflict {
		s.t.Errorf("the deletion of a Job that was changed is answered %d", code)
	}
}

// change changes a Job as a user does.
func (s *scene) change(run *batchv1.Job, f func(*batchv1.Job)) {
	now := &batchv1.Job{}
	if err := s.Get(s.anytime(), client.ObjectKeyFromObject(run), now); err != nil {
		s.t.Error(err)
		return
	}
	from := now.DeepCopy()
	f(now)
	if err := s.Patch(s.anytime(), now, client.MergeFrom(from)); err != nil {
		s.t.Error(err)
	}
}
