package job

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/plan"
)

// held is a LogStreamer of logs that end when it is closed.
type held chan struct{}

// OpenLog implements joblogs.LogStreamer.
func (h held) OpenLog(ctx context.Context, _, _ string, _ *corev1.PodLogOptions) (io.ReadCloser, error) {
	reader, writer := io.Pipe()
	go func() {
		select {
		case <-h:
			_ = writer.Close()
		case <-ctx.Done():
			_ = writer.CloseWithError(ctx.Err())
		}
	}()
	return reader, nil
}

// atWork is a pod of the Job that is deleted while its container runs.
func atWork(job *batchv1.Job) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: "pod", UID: "uid-of-pod",
			DeletionTimestamp: &metav1.Time{Time: time.Now().Add(time.Hour)}, DeletionGracePeriodSeconds: new(int64(3600)),
			OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: job.Name, UID: job.UID, Controller: new(true)}},
		},
		Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "main", ContainerID: "containerd://main", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}},
	}
}

// TestAwaitLogs has a Job with a log that is followed be looked at when that ends,
// and besides seldom: some times, not thousands, until the deadline.
func TestAwaitLogs(t *testing.T) {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "batch", Name: "job", UID: "uid"}}
	again := func(r *Reconciler) time.Duration {
		return r.patience(job).FollowedLogs(job, r.PodLogs.Following(job.UID))
	}
	follow := func(t *testing.T, test func(r *Reconciler, logs held, asked func() int)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			logs := held(make(chan struct{}))
			r := &Reconciler{
				Ledger:  &ledger.Ledger{},
				PodLogs: &podlogs.Keeper{Captures: capture.New(joblogs.NewReader(logs, joblogs.Options{}), capture.Options{})},
				Clock:   clock.RealClock{}, Options: Options{LogDeadline: 15 * time.Minute},
			}
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
			defer queue.ShutDown()
			r.PodLogs.Captures.OnQuiet(lookWhenQuiet(queue))
			r.PodLogs.Captures.Begin(ctx, job.UID, atWork(job), true)
			test(r, logs, func() int {
				synctest.Wait()
				return queue.Len()
			})
			cancel()
			r.PodLogs.Captures.Stop()
			if got, _ := queue.Get(); queue.Len() == 0 && got.NamespacedName != (types.NamespacedName{Namespace: "batch", Name: "job"}) {
				t.Errorf("asked to look at %v", got)
			}
		})
	}

	t.Run("until it ends", func(t *testing.T) {
		follow(t, func(r *Reconciler, logs held, asked func() int) {
			if next := again(r); next <= 0 || next > time.Second || asked() != 0 {
				t.Errorf("again after %s", next)
			}
			<-time.After(5 * time.Minute)
			if next := again(r); next != 20*time.Second || asked() != 0 {
				t.Errorf("again after %s", next)
			}
			close(logs)
			<-time.After(2 * plan.SoonAgain)
			if asked() != 1 || again(r) != 0 {
				t.Error("it is not looked at when the log has ended")
			}
		})
	})
	t.Run("until the deadline", func(t *testing.T) {
		follow(t, func(r *Reconciler, _ held, _ func() int) {
			began, looks := r.Clock.Now(), 0
			for next := again(r); next > 0; next = again(r) {
				looks++
				<-time.After(next)
			}
			if took := r.Clock.Since(began); took != r.Options.LogDeadline+capture.Slack || looks > 60 {
				t.Errorf("%d looks in %s", looks, took)
			}
		})
	})
}
