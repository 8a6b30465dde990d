package oracle_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// measured is how many Jobs are measured at a time, atOnce how many of them
	// there are at the same time, and stuck how many are beside them whose logs
	// cannot be read.
	measured = 200
	atOnce   = 4
	stuck    = 20
	// farBeyond is by how much the 99th percentile may grow. The promise is twice;
	// what a busy machine adds is no reason to fail.
	farBeyond = 5
	// noise is what the 99th percentile may be anyway.
	noise = 500 * time.Millisecond
)

// worseFaults are nodeFaults and what is worse for a reader of logs.
var worseFaults = append(slices.Clone(nodeFaults), nodeFault{
	name: "a kubelet that answers nobody",
	leave: func(_ context.Context, k *kubelet, node string) error {
		k.hang(node, true)
		return nil
	},
	comeBack: func(_ context.Context, k *kubelet, node string) error {
		k.hang(node, false)
		return nil
	},
})

// TestNeighbours measures how long Jobs are there after they have finished, alone
// and beside others whose logs cannot be read, in one run.
func TestNeighbours(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes: make test-oracle")
	}
	w := newWorld(t)
	s := w.newScene(t)
	s.settings.workers = 64
	s.start(nil)
	s.measure("warm-up")
	alone := s.measure("alone")
	report := func(what string, beside time.Duration) {
		t.Logf("%s: the 99th percentile is %s, %.1f times that of %s alone", what, beside, float64(beside)/float64(alone), alone)
		if beside > farBeyond*alone && beside > noise {
			t.Errorf("%s: others wait %s instead of %s", what, beside, alone)
		}
	}

	one := s.run(success.held(s.namespace, "one"))
	s.kubelet.goAway(one.UID, true)
	s.kubelet.end(t.Context(), one.UID)
	if err := s.finishes(one); err != nil {
		t.Fatal(err)
	}
	report("the logs of one Job cannot be read", s.measure("one"))
	s.kubelet.goAway(one.UID, false)

	for i, fault := range worseFaults {
		node := fmt.Sprintf("node-%d", i)
		if err := w.kubelet.addNode(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		var runs []*batchv1.Job
		for j := range stuck {
			runs = append(runs, s.run(success.on(node).held(s.namespace, fmt.Sprintf("stuck-%d-%d", i, j))))
		}
		for _, run := range runs {
			s.await("its pod runs", func() bool { return len(s.kubelet.of(run.UID)) > 0 })
		}
		if err := fault.leave(t.Context(), w.kubelet, node); err != nil {
			t.Fatal(err)
		}
		for _, run := range runs {
			s.kubelet.end(t.Context(), run.UID)
		}
		report(fmt.Sprintf("%s, with %d Jobs", fault.name, stuck), s.measure(fmt.Sprint("beside-", i)))
		for _, run := range runs {
			if s.read(run) == nil && fault.name != nodeFaults[1].name {
				t.Errorf("%s: a Job is gone whose logs cannot be read", fault.name)
			}
		}
		if err := fault.comeBack(t.Context(), w.kubelet, node); err != nil {
			t.Fatal(err)
		}
		for _, run := range runs {
			s.await("the Job is done with", func() bool { return s.read(run) == nil })
		}
	}
}

// measure runs Jobs and returns the 99th percentile of how long they are there
// after they have finished.
func (s *scene) measure(name string) time.Duration {
	s.t.Helper()
	watching, err := client.NewWithWatch(s.Cluster().RESTConfig(), client.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	changes, err := watching.Watch(s.t.Context(), &batchv1.JobList{}, client.InNamespace(s.namespace))
	if err != nil {
		s.t.Fatal(err)
	}
	defer changes.Stop()
	var running sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	running.Go(func() {
		for i := range measured {
			turns <- struct{}{}
			if err := s.Create(s.t.Context(), success.job(s.namespace, fmt.Sprintf("%s-%d", name, i))); err != nil {
				s.t.Error(err)
			}
		}
	})
	took := waits(changes, name, turns)
	running.Wait()
	if len(took) != measured {
		s.t.Fatalf("%d of %d Jobs went", len(took), measured)
	}
	slices.Sort(took)
	return took[measured*99/100].Round(time.Millisecond)
}

// waits returns how long the Jobs of a name were there after they had finished,
// and gives a turn back for each.
func waits(changes watch.Interface, name string, turns <-chan struct{}) []time.Duration {
	var took []time.Duration
	ended := map[string]time.Time{}
	patience := time.After(soon)
	for len(took) < measured {
		select {
		case <-patience:
			return took
		case change, open := <-changes.ResultChan():
			job, is := change.Object.(*batchv1.Job)
			if !open {
				return took
			}
			if !is || len(job.Name) <= len(name) || job.Name[:len(name)+1] != name+"-" {
				continue
			}
			if finished(job) && ended[job.Name].IsZero() {
				ended[job.Name] = time.Now()
			}
			if change.Type == watch.Deleted {
				took = append(took, time.Since(ended[job.Name]))
				<-turns
			}
		}
	}
	return took
}
