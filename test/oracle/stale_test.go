package oracle_test

import (
	"fmt"
	"net/http"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// testStale replaces Jobs by others of the same name while the manager cannot
// see it, or is in the middle of its work.
func testStale(t *testing.T, w *world) {
	few, many := []flow{success, failure, successInParts, protectedSuccess}, []flow{protectedFailure, capturedSuccess, capturedFailure, inSecret}
	for _, f := range chosen(w, few, many) {
		for k, what := range f.writes {
			t.Run(fmt.Sprintf("%s, replaced before write %d, %s", f.name, k+1, what), func(t *testing.T) {
				t.Parallel()
				w.newScene(t).replacedDuring(f, func(f fault) fault { return atWrite(k+1, f) }, before)
			})
		}
		if f.fragile != "" {
			// Its first log is that of the pod that goes.
			continue
		}
		t.Run(f.name+", replaced while its logs are read", func(t *testing.T) {
			t.Parallel()
			w.newScene(t).replacedDuring(f, func(f fault) fault { return at(1, readLog, f) }, after)
		})
	}
	few, many = []flow{success, failure, protectedSuccess, capturedSuccess}, []flow{protectedFailure, capturedFailure, inSecret}
	for _, f := range chosen(w, few, many) {
		t.Run(f.name+", never seen to finish, be deleted and be created anew", func(t *testing.T) {
			t.Parallel()
			w.newScene(t).replacedUnseen(f)
		})
		if f.fragile != "" {
			continue
		}
		t.Run(f.name+", stored while its successor has finished unseen", func(t *testing.T) {
			t.Parallel()
			w.newScene(t).finishedUnseen(f)
		})
	}
}

// chosen returns the flows for the test that runs.
func chosen(w *world, few, many []flow) []flow {
	if w.more {
		return many
	}
	return few
}

// successor returns the flow that the next Job of the name takes: one that nothing
// happens to.
func (f flow) successor() flow {
	switch {
	case f.fragile == "":
		return f
	case f.program.exit != 0:
		return failure
	default:
		return success
	}
}

// replacedDuring has the Job be replaced by one that runs while a request is held.
// The new one is not touched until it has ended, and then leaves what it should.
func (s *scene) replacedDuring(f flow, hit func(fault) fault, hold func(func()) fault) {
	s.t.Helper()
	var first, second *batchv1.Job
	s.prepare(f)
	next := f.successor()
	reached, replaced := make(chan struct{}), make(chan struct{})
	p := s.start(func(*link) fault {
		return hit(hold(func() {
			close(reached)
			<-replaced
		}))
	})
	first = s.create(f, f.job(s.namespace, "job"))
	s.await("the request is held", func() bool { return given(reached) })
	gone := s.read(first)
	s.remove(first)
	second = s.run(next.held(s.namespace, "job"))
	s.await("the new Job runs", func() bool { return s.read(second).Status.Active == 1 })
	close(replaced)
	s.await("the manager is refused to change what is another Job by now, or had nothing to change yet", func() bool {
		// What was saved of deleted pods is deleted last, when nothing is left to do on the Job.
		return refused(p.of(patchJob)) || refused(p.of(deleteJob)) || len(p.of(deleteCapture)) > 0 || len(p.written()) > 0 && !finished(gone)
	})

	s.untouched(second)
	s.kubelet.end(s.t.Context(), second.UID)
	want := s.clean[next.name]
	if s.storedAlready(first) {
		want = want.renamed("job-results", "job-results-<uid8>")
	}
	s.leaves(second, want)
	s.noMoreOf(first, gone)
}

// refused reports whether one of the requests was made of a Job that is another
// one by now.
func refused(requests []answered) bool {
	for _, a := range requests {
		switch a.code {
		case http.StatusConflict, http.StatusUnprocessableEntity, http.StatusNotFound:
			return true
		}
	}
	return false
}

// storedAlready reports whether the first run has results; the second has to
// take another name then.
func (s *scene) storedAlready(first *batchv1.Job) bool {
	s.t.Helper()
	objects, err := s.objectsOf(s.t.Context(), first)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, object := range objects {
		if object.Name == "job-results" {
			return true
		}
	}
	return false
}

// noMoreOf expects of a run whose Job a user deleted at most one results object,
// whole, at most one outcome, and nothing that went with the Job; and that it
// stays so.
func (s *scene) noMoreOf(run, was *batchv1.Job) {
	s.t.Helper()
	s.await("what was captured is gone with its Job", func() bool {
		captures, err := s.capturesOf(s.t.Context(), run)
		return err == nil && captures == 0
	})
	got, err := s.observe(s.t.Context(), run)
	if err != nil {
		s.t.Fatal(err)
	}
	stored := was != nil && was.Annotations[api.StatusAnnotation] != ""
	if got.Job != nil || len(got.Results) > 1 || got.outcomes() > 1 || stored && len(got.Results) != 1 {
		s.t.Errorf("a run whose Job was deleted leaves %+v", got)
	}
	for _, r := range got.Results {
		if r.Wrong != "" {
			s.t.Errorf("results of a run whose Job was deleted: %s", r.Wrong)
		}
	}
	s.runs = append(s.runs, expected{run, got})
}

// remove deletes a Job as kubectl does, and waits until it is gone.
func (s *scene) remove(run *batchv1.Job) {
	s.t.Helper()
	err := s.Delete(s.t.Context(), run, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		s.t.Fatal(err)
	}
	// Nobody waits for what holds it up.
	if now := s.read(run); now != nil && len(now.Finalizers) > 0 {
		from := now.DeepCopy()
		now.Finalizers = nil
		if err := s.Patch(s.t.Context(), now, client.MergeFrom(from)); client.IgnoreNotFound(err) != nil {
			s.t.Fatal(err)
		}
	}
	s.await("the Job is gone", func() bool { return s.read(run) == nil })
}

// untouched expects that a Job is there, that the manager has not changed it,
// and that nothing is stored of it.
func (s *scene) untouched(run *batchv1.Job) {
	s.t.Helper()
	now := s.read(run)
	if now == nil || now.DeletionTimestamp != nil {
		s.t.Fatal("a Job that runs was deleted")
	}
	for _, entry := range now.ManagedFields {
		if entry.Manager == api.ManagerName {
			s.t.Errorf("a Job that runs was changed: %s", entry.FieldsV1)
		}
	}
	got, err := s.observe(s.t.Context(), run)
	if err != nil || len(got.Results) > 0 || len(got.Outcomes) > 0 {
		s.t.Errorf("of a Job that runs there is already: %+v, %v", got, err)
	}
}

// replacedUnseen has all of a Job's end, its deletion and a new Job of its name
// happen while the watch of Jobs is frozen.
func (s *scene) replacedUnseen(f flow) {
	s.t.Helper()
	s.prepare(f)
	next := f.successor()
	p := s.start(nil)
	first := s.run(f.held(s.namespace, "job"))
	s.await("the Job has been seen", func() bool { return p.logged(`"why"="running"`) })
	if f.fragile != "" {
		s.losesACapturedPod(first)
	}
	seen := p.count(`"why"="running"`)
	thaw := p.freeze()
	s.kubelet.end(s.t.Context(), first.UID)
	s.await("the Job has ended", func() bool { return finished(s.read(first)) })
	s.remove(first)
	second := s.run(next.held(s.namespace, "job"))
	s.await("the new Job runs", func() bool { return s.read(second).Status.Active == 1 })
	thaw()
	s.await("the new Job has been seen", func() bool { return p.count(`"why"="running"`) > seen })
	s.untouched(second)
	s.kubelet.end(s.t.Context(), second.UID)
	// For a moment the old one may have been seen to have ended.
	s.leaves(second, s.clean[next.name], s.clean[next.name].renamed("job-results", "job-results-<uid8>"))
	s.noMoreOf(first, nil)
}

// losesACapturedPod deletes the Job's pod, and waits until its log is stored beside
// the Job.
func (s *scene) losesACapturedPod(run *batchv1.Job) {
	s.t.Helper()
	if err := s.deletePod(run); err != nil {
		s.t.Fatal(err)
	}
	s.await("its log is stored", func() bool {
		captures, err := s.capturesOf(s.t.Context(), run)
		return err == nil && captures > 0
	})
}

// finishedUnseen has the manager store a Job that it believes to be there, while
// another of its name has finished too, and deletes it only by what it knows.
func (s *scene) finishedUnseen(f flow) {
	s.t.Helper()
	s.prepare(f)
	reached, replaced := make(chan struct{}), make(chan struct{})
	p := s.start(func(*link) fault {
		return at(1, createResults, before(func() {
			close(reached)
			<-replaced
		}))
	})
	first := s.run(f.job(s.namespace, "job"))
	<-reached
	thaw := p.freeze()
	s.remove(first)
	second := s.run(f.job(s.namespace, "job"))
	s.await("the new Job has ended", func() bool { return finished(s.read(second)) })
	version := s.read(second).ResourceVersion
	close(replaced)
	s.await("the manager has tried to change the Job that it knows", func() bool {
		return len(p.of(patchJob)) > 1
	})
	if now := s.read(second); now == nil || now.ResourceVersion != version {
		s.t.Error("the new Job was changed for the old one's sake")
	}
	thaw()
	s.leaves(second, s.clean[f.name].renamed("job-results", "job-results-<uid8>"))
	s.noMoreOf(first, nil)
}

func finished(job *batchv1.Job) bool {
	if job == nil {
		return false
	}
	for _, condition := range job.Status.Conditions {
		if condition.Status == "True" && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			return true
		}
	}
	return false
}
