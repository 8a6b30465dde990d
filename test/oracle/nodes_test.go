package oracle_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// nodeFault is how the logs of a Job on a node go away, and come back.
type nodeFault struct {
	name            string
	leave, comeBack func(ctx context.Context, k *kubelet, node string) error
}

var nodeFaults = []nodeFault{
	{
		name: "a kubelet that is stopped",
		leave: func(_ context.Context, k *kubelet, node string) error {
			return k.stopNode(node)
		},
		comeBack: func(_ context.Context, k *kubelet, node string) error {
			return k.startNode(node)
		},
	},
	{
		name: "a node whose object is deleted",
		leave: func(ctx context.Context, k *kubelet, node string) error {
			return k.admin.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}})
		},
		comeBack: func(ctx context.Context, k *kubelet, node string) error {
			return k.register(ctx, node)
		},
	},
}

// newNode makes a node for a scene alone.
func (s *scene) newNode() string {
	s.t.Helper()
	if err := s.kubelet.addNode(s.t.Context(), s.namespace); err != nil {
		s.t.Fatal(err)
	}
	return s.namespace
}

// on returns the flow on another node.
func (f flow) on(node string) flow {
	f.program.node = node
	return f
}

// testNodes has the node of a Job go away after it has finished.
func testNodes(t *testing.T, w *world) {
	const warned = "Warning Logs cannot be read yet"
	stopped, deleted := nodeFaults[0], nodeFaults[1]
	t.Run(stopped.name+" for a while", func(t *testing.T) {
		t.Parallel()
		s := w.newScene(t)
		run, node := s.nodeAway(stopped, warned)
		if err := stopped.comeBack(s.t.Context(), s.kubelet, node); err != nil {
			t.Fatal(err)
		}
		s.leaves(run, w.clean[success.name].with(warned))
	})
	t.Run(stopped.name+", and pods that go with it", func(t *testing.T) {
		t.Parallel()
		s := w.newScene(t)
		run, _ := s.nodeAway(stopped, warned)
		// As the garbage collector of pods does.
		err := s.DeleteAllOf(s.t.Context(), &corev1.Pod{}, client.InNamespace(s.namespace),
			client.MatchingLabels{batchv1.ControllerUidLabel: string(run.UID)}, client.GracePeriodSeconds(0))
		if err != nil {
			t.Fatal(err)
		}
		s.leaves(run, w.clean[success.name].withoutLog("DeletedBeforeCapture").with(warned))
	})
	t.Run(deleted.name+" for a while", func(t *testing.T) {
		t.Parallel()
		s := w.newScene(t)
		run, node := s.nodeAway(deleted, warned)
		if err := deleted.comeBack(s.t.Context(), s.kubelet, node); err != nil {
			t.Fatal(err)
		}
		s.leaves(run, w.clean[success.name].with(warned))
	})
	t.Run(deleted.name, func(t *testing.T) {
		t.Parallel()
		s := w.newScene(t)
		run, _ := s.nodeAway(deleted, warned)
		s.leaves(run, w.clean[success.name].withoutLog("NodeGone").with(warned))
	})
}

// withoutLog returns the state where the log could not be read, for a reason that
// does not heal.
func (e endState) withoutLog(why string) endState {
	e.Results = slices.Clone(e.Results)
	e.Results[0].Capture, e.Results[0].Shortened = "complete=false "+why, true
	e.Outcomes = append(slices.Clone(e.Outcomes), "Warning The logs in ConfigMap job-results are incomplete: "+why)
	return e
}

// nodeAway has the node of a Job that finished go away, which nobody else is held
// up by. With a Warning the Job stays so long.
func (s *scene) nodeAway(fault nodeFault, warning string) (run *batchv1.Job, node string) {
	s.t.Helper()
	node = s.newNode()
	run = s.run(success.on(node).job(s.namespace, "job"))
	if err := s.finishes(run); err != nil {
		s.t.Fatal(err)
	}
	if err := fault.leave(s.t.Context(), s.kubelet, node); err != nil {
		s.t.Fatal(err)
	}
	p := s.start(nil)
	s.await("its logs have been tried", func() bool { return len(p.of(createEvent)) > 0 })
	for i, f := range []flow{success, failure, keptSuccess} {
		other := s.run(f.job(s.namespace, fmt.Sprintf("job-%d", i)))
		s.leaves(other, s.clean[f.name].named(other.Name))
	}
	if now := s.read(run); warning != "" && (now == nil || now.DeletionTimestamp != nil) {
		s.t.Error("a Job whose logs cannot be read is gone")
	}
	return run, node
}
