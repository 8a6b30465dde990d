package oracle_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// testCaptured has others be in the way of what is stored of a deleted pod before
// its Job ends.
func testCaptured(t *testing.T, w *world) {
	for i, taker := range takers {
		if !w.has(i%4 != 0) {
			continue
		}
		t.Run("its name: "+taker.name, func(t *testing.T) {
			t.Parallel()
			s := w.newScene(t)
			_, run := s.begin(capturedSuccess, func(*link) fault {
				return at(1, createCapture, s.take(func(cm *corev1.ConfigMap) {
					taker.alter(cm)
					cm.OwnerReferences = nil
				}))
			})
			// A process that has it all in memory too does not look at what is there.
			clean := w.clean[capturedSuccess.name]
			s.leaves(run, clean, clean.with("Warning ConfigMap job-capture-<uid>-0 is ignored, it does not hold logs of deleted pods of this Job"))
		})
	}
	if w.more {
		return
	}
	t.Run("deleted by a user, while it is in memory too", func(t *testing.T) {
		t.Parallel()
		s := w.newScene(t)
		_, run := s.begin(capturedSuccess, func(*link) fault {
			return at(1, createResults, before(func() { s.deleteCaptures() }))
		})
		s.leaves(run, w.clean[capturedSuccess.name])
	})
	t.Run("deleted by a user, when the process that wrote it is gone", func(t *testing.T) {
		t.Parallel()
		s := w.newScene(t)
		first, run := s.begin(capturedSuccess, func(l *link) fault {
			return at(1, createCapture, func(a asked, send answering) (*response, error) {
				drop(send())
				s.deleteCaptures()
				l.die()
				return nil, errDead
			})
		})
		s.replace(first, nil)
		s.leaves(run, w.clean[unseenPod.name])
	})
}

// deleteCaptures deletes what is stored of deleted pods in the scene's namespace.
func (s *scene) deleteCaptures() {
	err := s.DeleteAllOf(s.anytime(), &corev1.ConfigMap{}, client.InNamespace(s.namespace), client.HasLabels{api.CaptureOfLabel})
	if err != nil {
		s.t.Error(err)
	}
}
