package oracle_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/localcluster"
)

// TestControlPlaneUpgrade replaces the control plane by that of the next minor of
// Kubernetes while the manager is in the middle of its work, and other Jobs run. It is
// for the older minors, of which `make test-versions` has both.
func TestControlPlaneUpgrade(t *testing.T) {
	next, err := nextMinor()
	if err != nil {
		t.Fatal(err)
	}
	if next == "" {
		t.Skip("there is no newer Kubernetes: make test-versions has older ones")
	}
	w := newWorld(t)
	if !t.Run("Clean", func(t *testing.T) { testClean(t, w) }) {
		t.FailNow()
	}
	s := w.newScene(t)
	var running []*batchv1.Job
	for i := range crowd / 2 {
		running = append(running, s.run(success.held(s.namespace, fmt.Sprintf("running-%d", i))))
	}
	s.outage(
		func(ctx context.Context) error { return w.Cluster().Upgrade(ctx, next) },
		func(context.Context) error { return nil })
	for _, run := range running {
		s.kubelet.end(t.Context(), run.UID)
	}
	for _, run := range running {
		s.endsWell(run)
	}
	t.Run("Quiet", func(t *testing.T) { w.quiet(t, longQuiet) })
}

// nextMinor returns the minor after that of the test, "" if that is the newest.
func nextMinor() (string, error) {
	minors, err := localcluster.Minors()
	if err != nil {
		return "", err
	}
	at := slices.Index(minors, cmp.Or(os.Getenv(localcluster.ReleaseVariable), minors[len(minors)-1]))
	if at < 0 {
		return "", fmt.Errorf("%s is none of %v", os.Getenv(localcluster.ReleaseVariable), minors)
	}
	if at+1 == len(minors) {
		return "", nil
	}
	return minors[at+1], nil
}

// endsWell waits until a Job is gone, and expects one results object that is whole. What
// else it says differs from minor to minor.
func (s *scene) endsWell(run *batchv1.Job) {
	s.t.Helper()
	var got endState
	s.await("the Job is gone and its results are there", func() bool {
		var err error
		got, err = s.look(s.anytime(), run)
		return err == nil && got.Job == nil && len(got.Results) > 0
	})
	if len(got.Results) != 1 || got.Results[0].Wrong != "" || got.Results[0].Missing != 0 || got.Results[0].Status != api.StatusCompleted {
		s.t.Errorf("job %s leaves %+v", run.Name, got)
	}
	s.runs = append(s.runs, expected{run, got})
}
