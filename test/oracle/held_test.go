package oracle_test

import (
	"fmt"
	"net/http"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
)

// testHeld has a user delete a protected Job before and after each write about
// it, and create another one of its name as soon as there is room for it.
func testHeld(t *testing.T, w *world) {
	for _, f := range []flow{protectedSuccess, protectedFailure} {
		for k, what := range f.writes {
			for when, hold := range map[string]func(func()) fault{"before": before, "after": after} {
				if !w.has(when == "after") {
					continue
				}
				t.Run(fmt.Sprintf("%s, deleted %s write %d, %s", f.name, when, k+1, what), func(t *testing.T) {
					t.Parallel()
					w.newScene(t).deletedDuring(f, k+1, what, hold)
				})
			}
		}
	}
}

func (s *scene) deletedDuring(f flow, k int, what string, hold func(func()) fault) {
	s.t.Helper()
	var run *batchv1.Job
	reached, deleted := make(chan struct{}), make(chan struct{})
	p := s.start(func(*link) fault {
		return atWrite(k, hold(func() {
			close(reached)
			<-deleted
		}))
	})
	run = s.run(f.job(s.namespace, "job"))
	<-reached
	if err := s.deleteRun(run); err != nil && s.read(run) != nil {
		s.t.Error(err)
	}
	// The finalizer goes with the report.
	stays := len(p.of(patchJob)) == 0 && what != patchJob && what != deleteJob
	if now := s.read(run); stays && now == nil {
		s.t.Error("a protected Job went before its results were reported")
	}
	close(deleted)

	want := s.clean[f.name]
	want.Job = nil
	s.leaves(run, want)
	second := s.run(f.job(s.namespace, "job"))
	s.leaves(second, s.clean[f.name].renamed("job-results", "job-results-<uid8>"))
	for _, d := range p.of(deleteJob) {
		if d.code != http.StatusOK && d.code != http.StatusNotFound && d.code != http.StatusConflict {
			s.t.Errorf("a deletion is answered %d", d.code)
		}
	}
}
