package oracle_test

import (
	"encoding/json"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/results"
)

// deadlineSeconds is enough for a pod to be running.
const deadlineSeconds = 5

// testDeadline has Kubernetes end Jobs whose pods are at work. What is stored says how
// each container ended, whether or not the Job is called failed before that.
func testDeadline(t *testing.T, w *world) {
	for _, mode := range policy.LogModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := w.newScene(t)
			s.start(nil)
			job := program{hold: true}.job(s.namespace, "job")
			annotated(api.LogModeAnnotation, mode)(job)
			policy.Stamp(job, ttlFloor, true, policy.LeftAlone{})
			job.Spec.ActiveDeadlineSeconds = new(int64(deadlineSeconds))
			run := s.run(job)
			s.await("its results are reported", func() bool {
				now := s.jobState(run)
				return now != nil && now.Annotations[api.StatusAnnotation] == api.StatusFailed
			})
			s.endedByDeadline(run, mode)
		})
	}
}

func (s *scene) endedByDeadline(run *batchv1.Job, mode string) {
	s.t.Helper()
	stored := &corev1.ConfigMap{}
	if err := s.Get(s.t.Context(), client.ObjectKey{Namespace: run.Namespace, Name: "job-results"}, stored); err != nil {
		s.t.Fatal(err)
	}
	var record results.Record
	if err := json.Unmarshal([]byte(stored.Data[api.DataJobJSON]), &record); err != nil {
		s.t.Fatal(err)
	}
	if record.Reason != batchv1.JobReasonDeadlineExceeded || len(record.Pods) != 1 || !record.Capture.Complete {
		s.t.Fatalf("the results are %+v", record)
	}
	main := record.Pods[0].Containers[0]
	if main.State.ExitCode == nil || *main.State.ExitCode != killed {
		s.t.Errorf("the container's state is %+v", main.State)
	}
	said := strings.Contains(stored.Data[api.DataLogs], "hello from "+record.Pods[0].Name+"\n")
	if said != (mode != api.LogModeStatus) {
		s.t.Errorf("the logs are %q", stored.Data[api.DataLogs])
	}
}
