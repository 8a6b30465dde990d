package oracle_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

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
	// unseen is what admission missed of the Job.
	unseen missed
	// secret is true if the results go into a Secret.
	secret bool
	// early is what happens to the Job before there is a manager, nil: it is
	// created when one runs.
	early func(*scene, *batchv1.Job) error
	// meanwhile is what happens to it while managers come and go.
	meanwhile func(*scene, *batchv1.Job) error
	// goes is true if the Job is gone in the end though the manager does not delete
	// it.
	goes bool
	// fragile is the flow to whose end it comes if the process dies before its
	// first write, since what that stores is in its memory only.
	fragile string
	// untold is true if the Job itself claims that its Event was sent: a process
	// that finds its results there believes that.
	untold bool
	// warned are the Warnings that it leaves.
	warned []string
	writes []string
}

// missed says what admission missed of a Job.
type missed int

const (
	missedNothing missed = iota
	missedTTL
	missedFinalizer
	missedAll
)

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
		name: "success with a TTL", asked: []func(*batchv1.Job){ttl(3)}, goes: true,
		writes: []string{createResults, createEvent, patchJob},
	}
	unseenTTL = flow{
		name: "failure with a TTL that admission missed", program: program{exit: 1}, asked: []func(*batchv1.Job){ttl(1500)}, unseen: missedTTL,
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

// gone reports whether the Job is gone in the end.
func (f flow) gone() bool { return f.goes || f.writes[len(f.writes)-1] == deleteJob }

// job returns a Job that takes the flow, as admission leaves it.
func (f flow) job(namespace, name string, change ...func(*batchv1.Job)) *batchv1.Job {
	job := f.program.job(namespace, name)
	for _, ask := range f.asked {
		ask(job)
	}
	for _, c := range change {
		c(job)
	}
	own := job.Spec.TTLSecondsAfterFinished
	if f.unseen == missedAll {
		return job
	}
	wanted, _ := policy.Resolve(job, nil, policy.Defaults{})
	policy.Stamp(job, ttlFloor, true, policy.LeftAlone{})
	policy.Protect(job, wanted.Protect.Wanted && f.unseen != missedFinalizer)
	if f.unseen == missedTTL {
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

// begin starts a manager with a fault of its link, and a Job that takes the flow,
// in the order that is due.
func (s *scene) begin(f flow, fault func(*link) fault) (*process, *batchv1.Job) {
	s.t.Helper()
	s.prepare(f)
	if f.early == nil {
		p := s.start(fault)
		return p, s.create(f, f.job(s.namespace, "job"))
	}
	run := s.create(f, f.job(s.namespace, "job"))
	return s.start(fault), run
}

// create creates a Job that takes the flow, and has happen to it what should.
func (s *scene) create(f flow, job *batchv1.Job) *batchv1.Job {
	s.t.Helper()
	run := s.run(job)
	if f.early != nil {
		if err := f.early(s, run); err != nil {
			s.t.Fatal(err)
		}
	}
	if f.meanwhile != nil {
		s.happening.Go(func() {
			if err := f.meanwhile(s, run); err != nil {
				s.t.Error(err)
			}
		})
	}
	return run
}

// wants returns what the flow may leave, if nothing is lost.
func (w *world) wants(f flow) []endState {
	want := w.clean[f.name]
	if !f.untold {
		return []endState{want}
	}
	untold := want
	untold.Outcomes = nil
	return []endState{want, untold}
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
	for _, f := range slices.Concat(flows, moreFlows, apiFlows, lossyFlows) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := w.newScene(t)
			p, run := s.begin(f, nil)
			var got endState
			s.await("the Job is done with", func() bool {
				var err error
				got, err = s.observe(s.t.Context(), run)
				return err == nil && len(got.Outcomes) > 0 && (f.gone() && got.Job == nil && got.Captures == 0 ||
					!f.gone() && len(got.Results) > 0 && got.Job.Annotations[api.StatusAnnotation] != "" &&
						len(whatOf(p.written())) >= len(f.writes))
			})
			if diff := cmp.Diff(f.writes, whatOf(s.onTime(f, run, p.written()))); diff != "" {
				t.Errorf("writes: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(f.warned, got.Warnings); diff != "" {
				t.Errorf("warnings: -want +got\n%s", diff)
			}
			f.leavesAllOf(t, got)
			s.leaves(run, got)
			mu.Lock()
			defer mu.Unlock()
			w.clean[f.name] = got
		})
	}
}

// savedAfter is how long after its end the log of a deleted pod is saved beside a Job
// that has not finished, less a second, to which its end is known.
const savedAfter = 4 * time.Second

// onTime returns what was written, but for a capture that the flow does not need: on a
// busy machine the Job controller may take longer to finish a Job than the manager
// waits before it saves what it read.
func (s *scene) onTime(f flow, run *batchv1.Job, written []answered) []answered {
	var ended time.Time
	for _, pod := range s.kubelet.objectsOf(run.UID) {
		for _, status := range pod.Status.ContainerStatuses {
			if t := status.State.Terminated; t != nil && t.FinishedAt.After(ended) {
				ended = t.FinishedAt.Time
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(written), func(a answered) bool {
		return a.what == createCapture && !slices.Contains(f.writes, createCapture) && a.at.Sub(ended) >= savedAfter
	})
}

// leavesAllOf expects that what a run left is whole.
func (f flow) leavesAllOf(t *testing.T, got endState) {
	t.Helper()
	lost, outcomes := 0, 1
	if slices.ContainsFunc(lossyFlows, func(lossy flow) bool { return f.name == lossy.name }) {
		lost, outcomes = 1, 2
	}
	if len(got.Results) != 1 || len(got.Outcomes) != outcomes {
		t.Fatalf("a run without faults leaves %+v", got)
	}
	if r := got.Results[0]; r.Wrong != "" || r.Shortened || r.Missing != lost || r.Leftover != 0 {
		t.Errorf("a run without faults leaves %+v", got)
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
