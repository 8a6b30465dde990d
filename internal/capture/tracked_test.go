package capture

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// trackedPod is one that is being deleted, or not, before the Job controller counted it.
func trackedPod(leaving bool) *corev1.Pod {
	pod := ours(aPod("p", "main"))
	pod.Finalizers = []string{"example.com/other", batchv1.JobTrackingFinalizer}
	if !leaving {
		pod.DeletionTimestamp = nil
	}
	return pod
}

// TestSeen has it be known of a deleted pod whether the Job controller had not counted
// it when its deletion began.
func TestSeen(t *testing.T) {
	for name, test := range map[string]struct {
		before *corev1.Pod
		want   []string
	}{
		"deleted while tracked":           {trackedPod(true), []string{batchv1.JobTrackingFinalizer}},
		"not tracked any more by then":    {trackedPod(false), nil},
		"never seen with such finalizers": {ours(aPod("p", "main")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, Options{}, func(t *testing.T, ctx context.Context, _ *node, c *Captures) {
				now := ours(aPod("p", "main"))
				c.Begin(ctx, job, test.before, false)
				c.Begin(ctx, job, now, false)
				c.Gone(job, now)
				seen := c.Seen(job)
				if len(seen) != 1 {
					t.Fatalf("%d pods", len(seen))
				}
				if diff := cmp.Diff(test.want, seen[0].Finalizers); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
				if len(now.Finalizers) > 0 {
					t.Error("a pod was changed that belongs to others")
				}
			})
		})
	}
	if seen := (*Captures)(nil).Seen(job); seen != nil {
		t.Errorf("%d pods of no captures", len(seen))
	}
}

// TestSlimKeepsHowItWasCounted has a later process know it too.
func TestSlimKeepsHowItWasCounted(t *testing.T) {
	pod := trackedPod(true)
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionFalse},
		{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "anything"},
	}
	stored, err := newPodJSON(pod, nil).pod()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{batchv1.JobTrackingFinalizer}, stored.Finalizers); diff != "" {
		t.Errorf("finalizers: -want +got\n%s", diff)
	}
	want := []corev1.PodCondition{pod.Status.Conditions[1]}
	if diff := cmp.Diff(want, stored.Status.Conditions); diff != "" {
		t.Errorf("conditions: -want +got\n%s", diff)
	}
}
