package oracle_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/policy"
)

// flow is a way that Jobs take, with the writes that it needs.
type flow struct {
	name    string
	program program
	// asked is how a user asks for it.
	asked []func(*batchv1.Job)
	// unseen is true if admission missed the Job's TTL.
	unseen bool
	// secret is true if the results go into a Secret.
	secret bool
	writes []string
}

// longLog is more than one object holds, however it is compressed.
const longLog = 1_500_000

var (
	success = flow{name: "success", writes: []string{createResults, createEvent, patchJob, deleteJob}}
	failure = flow{
		name: "failure", program: program{exit: 1},
		writes: []string{createResults, createEvent, patchJob},
	}
	successInParts = flow{
		name: "success in parts", program: program{bytes: longLog},
		writes: []string{createPart, createPart, createResults, createEvent, patchJob, deleteJob},
	}
	failureInParts = flow{
		name: "failure in parts", program: program{exit: 1, bytes: longLog},
		writes: []string{createPart, createPart, createResults, createEvent, patchJob},
	}
	keptSuccess = flow{
		name: "success that is kept", asked: []func(*batchv1.Job){annotated(api.DeleteAfterSuccessAnnotation, api.Never)},
		writes: []string{createResults, createEvent, patchJob},
	}
	delayed = flow{
		name: "success with a TTL", asked: []func(*batchv1.Job){ttl(3)},
		writes: []string{createResults, createEvent, patchJob},
	}
	unseenTTL = flow{
		name: "failure with a TTL that admission missed", program: program{exit: 1}, asked: []func(*batchv1.Job){ttl(1500)}, unseen: true,
		writes: []string{patchJob, createResults, createEvent, patchJob},
	}
	inSecret = flow{
		name: "success in a Secret", asked: []func(*batchv1.Job){annotated(api.ResultsKindAnnotation, api.ResultsKindSecret)}, secret: true,
		writes: []string{createResults, createEvent, patchJob, deleteJob},
	}
)

var flows = []flow{success, failure, successInParts, failureInParts, keptSuccess, delayed, unseenTTL, inSecret}

func ttl(seconds int32) func(*batchv1.Job) {
	return func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = &seconds }
}

// job returns a Job that takes the flow.
func (f flow) job(namespace, name string, change ...func(*batchv1.Job)) *batchv1.Job {
	job := f.program.job(namespace, name)
	for _, ask := range f.asked {
		ask(job)
	}
	for _, c := range change {
		c(job)
	}
	own := job.Spec.TTLSecondsAfterFinished
	policy.Stamp(job, ttlFloor, true)
	if f.unseen {
		job.Spec.TTLSecondsAfterFinished = own
		delete(job.Annotations, api.TTLAnnotation)
	}
	return job
}

// held returns a Job that takes the flow and runs until its pods are ended.
func (f flow) held(namespace, name string) *batchv1.Job {
	f.program.hold = true
	return f.job(namespace, name)
}

// prepare gives the manager what it needs in the scene's namespace for the flow.
func (s *scene) prepare(f flow) {
	s.t.Helper()
	if !f.secret {
		return
	}
	if err := s.GrantSecretResults(s.t.Context(), s.namespace); err != nil {
		s.t.Fatal(err)
	}
}

// testClean runs each flow without a fault, and remembers what it left.
func testClean(t *testing.T, w *world) {
	var mu sync.Mutex
	for _, f := range flows {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := w.newScene(t)
			s.prepare(f)
			p := s.start(nil)
			run := s.run(f.job(s.namespace, "job"))
			var got endState
			s.await("the Job is done with", func() bool {
				var err error
				got, err = s.observe(s.t.Context(), run)
				gone := f.writes[len(f.writes)-1] == deleteJob || f.name == delayed.name
				return err == nil && len(got.Outcomes) > 0 &&
					(gone && got.Job == nil || !gone && got.Job.Annotations[api.StatusAnnotation] != "")
			})
			if diff := cmp.Diff(f.writes, whatOf(p.written())); diff != "" {
				t.Errorf("writes: -want +got\n%s", diff)
			}
			if len(got.Results) != 1 || got.Results[0].Wrong != "" || got.Results[0].Shortened || len(got.Outcomes) != 1 || len(got.Warnings) > 0 {
				t.Errorf("a run without faults leaves %+v", got)
			}
			s.leaves(run, got)
			mu.Lock()
			defer mu.Unlock()
			w.clean[f.name] = got
		})
	}
}

// whatOf returns what was written, but for the second deletion of a Job that the
// cache shows a moment longer than it is there, and for a patch of one that the
// Job controller changed meanwhile.
func whatOf(written []answered) []string {
	var what []string
	for _, a := range written {
		gone := a.what == deleteJob && a.code == http.StatusNotFound
		changed := a.what == patchJob && a.code == http.StatusConflict
		if !gone && !changed {
			what = append(what, a.what)
		}
	}
	return what
}
