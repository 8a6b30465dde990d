package main

import (
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobstatus"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// settleRounds is how often wait looks for the results of a Job that is gone
// before it gives up: the manager may be about to write them.
const settleRounds = 6

// awaited is the run that wait waits for. Its methods do no I/O.
type awaited struct {
	// fresh is true for a run that is not known at the start.
	fresh bool
	known map[string]bool
	in    string
	// tells is true where a Job that is deleted as soon as it says its outcome is
	// seen to say so.
	tells bool
	// job is the Job of the run, as it was seen last.
	job *batchv1.Job
	// rounds counts how often it was not there.
	rounds int
}

// decision is what a look led to. At most one of its fields is set, or text alone.
type decision struct {
	// found and run are the results: their metadata, or read.
	found *stored
	run   *resultsview.Run
	// told is a Job that tells its outcome; its results cannot be read.
	told *batchv1.Job
	// never says why nothing can come any more.
	never string
	// text says what wait waits for; soon is true if the next look comes soon.
	text string
	soon bool
}

// start records the state at the start.
func (a *awaited) start(s *subject) {
	a.known = map[string]bool{}
	if !a.fresh {
		return
	}
	for i := range s.runs {
		a.known[s.runs[i].uid()] = true
	}
	if s.object != nil {
		a.known[s.object.Job.UID] = true
	}
	if job := s.job.job; job != nil && jobstatus.Of(job).Finished() && s.job.whyNever(a.in, job.Name) != "" {
		a.known[string(job.UID)] = true
	}
}

// notice records a Job that the watch reported.
func (a *awaited) notice(s *subject, job *batchv1.Job) {
	if a.wanted(s, string(job.UID)) && (a.job == nil || a.job.UID == job.UID) {
		a.job = job
	}
}

// wanted reports whether the run can be the one that wait waits for.
func (a *awaited) wanted(s *subject, uid string) bool {
	return strings.HasPrefix(uid, s.target.run) && !a.known[uid] && (a.job == nil || string(a.job.UID) == uid)
}

// decide returns the decision for the look s.
func (a *awaited) decide(s *subject) decision {
	there := s.job.job != nil && a.wanted(s, string(s.job.job.UID))
	if there {
		a.job, a.rounds = s.job.job, 0
	}
	if s.object != nil && a.wanted(s, s.object.Job.UID) {
		return decision{run: s.object}
	}
	for i := range s.runs {
		if a.wanted(s, s.runs[i].uid()) {
			return decision{found: &s.runs[i]}
		}
	}
	switch {
	case there:
		return a.ofJob(s)
	case a.job != nil:
		return a.afterJob(s)
	default:
		return a.withoutJob(s)
	}
}

// ofJob decides for a Job that exists and has no visible results.
func (a *awaited) ofJob(s *subject) decision {
	name := a.job.Name
	if why := s.job.whyNever(a.in, name); why != "" {
		return decision{never: why}
	}
	concealed := s.job.concealed()
	switch {
	case concealed && s.job.stored():
		return decision{told: a.job}
	case concealed && !a.tells:
		return decision{never: s.job.whyConcealed(a.in, name) + "; with the right to list and watch Jobs the command could print its outcome without them"}
	}
	text := fmt.Sprintf("job %s, run %s, %s", name, a.job.UID, phase(a.job))
	if concealed {
		text += "; its results will be in a Secret that you may not read, but the Job itself shows its outcome"
	}
	return decision{text: text}
}

// phase returns what the Job is doing.
func phase(job *batchv1.Job) string {
	switch jobstatus.Of(job).Phase {
	case jobstatus.Running:
		return "which is running"
	case jobstatus.Suspended:
		return "which is suspended"
	default:
		return "which has finished; its results are about to be stored"
	}
}

// afterJob decides for a Job that existed and is gone.
func (a *awaited) afterJob(s *subject) decision {
	last := sight{job: a.job, namespace: s.job.namespace, unlisted: s.job.unlisted}
	if last.stored() && last.concealed() {
		return decision{told: a.job}
	}
	name := a.job.Name
	if a.rounds++; a.rounds < settleRounds {
		return decision{text: fmt.Sprintf("job %s, which was deleted; looking for its results once more", name), soon: true}
	}
	if a.fresh && s.target.run == "" {
		a.known[string(a.job.UID)] = true
		a.job, a.rounds = nil, 0
		return a.withoutJob(s)
	}
	why := "was deleted before it finished, and left no results"
	switch {
	case last.stored():
		why = "and its results were deleted"
	case jobstatus.Of(a.job).Finished():
		why = "was deleted before its results were stored"
	case last.concealed():
		why = "is gone, and its results, if there are any, are in a Secret: you lack the " + secretsRight(a.in)
	}
	return decision{never: fmt.Sprintf("job %s, run %s, %s. For its next run: kubectl job-results wait %s", name, a.job.UID, why, name)}
}

// withoutJob decides without a Job that could bring the results.
func (a *awaited) withoutJob(s *subject) decision {
	name, run := s.target.name, s.target.run
	switch {
	case s.named && a.fresh:
		return decision{never: fmt.Sprintf("%s exists already, and never changes: --new waits for a run by its Job's name, which is %s",
			s.object.Object, s.object.Job.Name)}
	case s.named:
		return decision{never: s.anotherRun().Error()}
	case s.job.hidden && s.job.concealed():
		return decision{never: fmt.Sprintf("the results of job %s will be stored in a Secret, as the annotation %s=%s of namespace %s says, and you lack the %s",
			name, api.ResultsKindAnnotation, api.ResultsKindSecret, a.in, secretsRight(a.in))}
	case run != "" && !s.job.hidden:
		return decision{never: fmt.Sprintf("there is no Job %s of run %s any more, and no results of it%s", name, run, s.others())}
	}
	text := fmt.Sprintf("job %s in namespace %s; there is no such Job and there are no results yet", name, a.in)
	if a.fresh {
		text = fmt.Sprintf("a new run of job %s in namespace %s; it does not exist yet", name, a.in)
	}
	if s.job.hidden {
		text = fmt.Sprintf("results of %s in namespace %s; without the right to get Jobs there the command cannot tell whether they will come", name, a.in)
	}
	return decision{text: text + s.job.perhapsConcealed(a.in)}
}

// others names the existing runs.
func (s *subject) others() string {
	if len(s.runs) == 0 {
		return "; kubectl job-results list shows all of them"
	}
	uids := make([]string, 0, len(s.runs))
	for i := range s.runs {
		uids = append(uids, s.runs[i].uid())
	}
	return "; there are, newest first:\n" + list(uids, "")
}
