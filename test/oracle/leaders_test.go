package oracle_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/hostmanager"
)

// longerThanLease is how long a leader is stopped: another one leads by then.
const longerThanLease = 60 * time.Second

// TestLeaders has managers, as processes of their own, take over from each other
// in the middle of their work.
func TestLeaders(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes: make test-oracle")
	}
	w := newWorld(t)
	if !t.Run("Clean", func(t *testing.T) { testClean(t, w) }) {
		t.FailNow()
	}
	binary := filepath.Join(t.TempDir(), "job-handler")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/manager")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	l := &leaders{scene: w.newScene(t), binary: binary}
	// A leader that was stopped may be in the middle of a log.
	l.tolerated = "Warning Logs cannot be read yet"
	first, second := l.startManager(), l.startManager()

	l.workAcross(func() {
		if err := first.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
	})

	third := l.startManager()
	l.workAcross(func() {
		holder := l.holder()
		if err := second.Pause(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(longerThanLease) //nolint:forbidigo // the fault lasts so long
		if l.holder() == holder {
			t.Error("nobody took over from a leader that is stopped")
		}
		if err := second.Resume(); err != nil {
			t.Fatal(err)
		}
	})
	select {
	case <-second.Done():
	case <-time.After(soon):
		t.Error("a leader goes on that another one took over from")
	}

	l.startManager()
	l.workAcross(func() {
		if err := third.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("Quiet", func(t *testing.T) { w.quiet(t, longQuiet) })
}

// leaders is a scene whose managers are processes.
type leaders struct {
	*scene
	binary string
	jobs   int
}

// startManager starts one more, and waits until somebody leads.
func (l *leaders) startManager() *hostmanager.Manager {
	l.t.Helper()
	dir := l.t.TempDir()
	log, err := os.Create(filepath.Join(dir, "manager.log"))
	if err != nil {
		l.t.Fatal(err)
	}
	manager, err := hostmanager.Start(l.anytime(), hostmanager.Options{
		Cluster: l.Cluster(), Binary: l.binary, Dir: dir, Output: log,
		Args: []string{"--leader-elect", "--max-results-size", "2Mi", "--log-memory", "64Mi"},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = manager.Kill(l.anytime())
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && l.t.Failed() {
			l.t.Logf("%s", text[max(0, len(text)-4000):])
		}
	})
	l.await("somebody leads", func() bool { return l.holder() != "" })
	return manager
}

// holder returns who leads, "" if nobody ever did.
func (l *leaders) holder() string {
	lease := &coordinationv1.Lease{}
	err := l.Get(l.t.Context(), client.ObjectKey{Namespace: api.ManagerNamespace, Name: api.ManagerName}, lease)
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// workAcross has Jobs end before, while and after something happens to the
// leader, and expects of all of them what they should leave.
func (l *leaders) workAcross(happens func()) {
	l.t.Helper()
	runs := map[*batchv1.Job]flow{}
	begin := func() {
		for range crowd / 2 {
			f := []flow{success, failure, successInParts, keptSuccess}[l.jobs%4]
			runs[l.run(f.job(l.namespace, fmt.Sprintf("job-%d", l.jobs)))] = f
			l.jobs++
		}
	}
	begin()
	// Some are being handled, some are not.
	l.await("a Job is done with", func() bool {
		for run := range runs {
			if got, err := l.observe(l.t.Context(), run); err == nil && len(got.Outcomes) > 0 {
				return true
			}
		}
		return false
	})
	happens()
	begin()
	for run, f := range runs {
		l.leaves(run, l.clean[f.name].named(run.Name))
	}
}
