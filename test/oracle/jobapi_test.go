package oracle_test

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/jobtest/versions"
)

// apiFlows are of Jobs that use what the Job API has got in recent years. They are the
// same on every Kubernetes, but for how such a Job ends.
var apiFlows = []flow{
	{
		name: "success, whose pods are replaced once they have ended", program: program{hold: true, retries: 1},
		asked: []func(*batchv1.Job){replacedWhenEnded}, meanwhile: (*scene).losesAPod,
		writes: []string{createCapture, createResults, createEvent, patchJob, deleteJob},
	},
	{
		name: "success of one index", program: program{hold: true},
		asked: []func(*batchv1.Job){indexed(2), succeedsByFirstIndex}, meanwhile: (*scene).firstIndexEnds,
		writes: []string{createResults, createEvent, patchJob, deleteJob},
	},
	{
		name: "failure of one index", program: program{exit: 1},
		asked:  []func(*batchv1.Job){indexed(2), failsByIndex("1")},
		writes: []string{createResults, createEvent, patchJob},
	},
	{
		name: "success of more indexes than in the beginning", program: program{hold: true},
		asked: []func(*batchv1.Job){indexed(1)}, meanwhile: (*scene).grows,
		writes: []string{createResults, createEvent, patchJob, deleteJob},
	},
}

func replacedWhenEnded(job *batchv1.Job) { job.Spec.PodReplacementPolicy = new(batchv1.Failed) }

// indexed has a Job run so many pods at a time, each with an index.
func indexed(completions int32) func(*batchv1.Job) {
	return func(job *batchv1.Job) {
		job.Spec.CompletionMode = new(batchv1.IndexedCompletion)
		job.Spec.Completions, job.Spec.Parallelism = &completions, &completions
	}
}

func succeedsByFirstIndex(job *batchv1.Job) {
	job.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededIndexes: new("0")}}}
}

// failsByIndex has no index be tried again, and only this one fail.
func failsByIndex(index string) func(*batchv1.Job) {
	return func(job *batchv1.Job) {
		job.Spec.BackoffLimit, job.Spec.BackoffLimitPerIndex = nil, new(int32)
		job.Spec.Template.Annotations[exitIndexAnnotation] = index
	}
}

// firstIndexEnds ends the pod of the first index once all run, and the others where
// that is not enough.
func (s *scene) firstIndexEnds(run *batchv1.Job) error {
	if err := s.podsRun(run, 2); err != nil {
		return err
	}
	s.kubelet.endIndex(s.anytime(), run.UID, "0")
	if !versions.Has(versions.SuccessPolicy) {
		s.kubelet.end(s.anytime(), run.UID)
	}
	return nil
}

// grows has a user ask for a second index while the first one runs.
func (s *scene) grows(run *batchv1.Job) error {
	if err := s.podsRun(run, 1); err != nil {
		return err
	}
	now, err := s.find(run)
	if err != nil || now == nil {
		return err
	}
	from := now.DeepCopy()
	indexed(2)(now)
	if err := s.Patch(s.anytime(), now, client.MergeFrom(from)); err != nil {
		return err
	}
	if err := s.podsRun(run, 2); err != nil {
		return err
	}
	s.kubelet.end(s.anytime(), run.UID)
	return nil
}

// podsRun waits until so many pods of a Job run.
func (s *scene) podsRun(run *batchv1.Job, pods int) error {
	return s.eventually(func() (bool, error) {
		running := 0
		for _, pod := range s.kubelet.objectsOf(run.UID) {
			if pod.Status.Phase == corev1.PodRunning {
				running++
			}
		}
		return running == pods, nil
	})
}
