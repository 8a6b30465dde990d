package capture

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/results"
)

// TestStillComing has a log come so slowly that its pod's time is over long before:
// it is followed until nothing more of it comes, or its pod is gone.
func TestStillComing(t *testing.T) {
	const lines = 300
	want := strings.Repeat("working\n", lines)
	tests := map[string]struct {
		happens func(n *node, c *Captures, pod *corev1.Pod)
		want    kept
	}{
		"it ends": {func(n *node, c *Captures, pod *corev1.Pod) {
			n.end("p/main")
			synctest.Wait()
			c.Gone(job, ended(pod))
		}, kept{Container: "main", Text: want, Capture: whole}},
		"nothing more comes": {func(_ *node, c *Captures, pod *corev1.Pod) {
			<-time.After(2 * stillComing)
			synctest.Wait()
			if c.Following(job) {
				t.Error("it is still followed")
			}
			c.Gone(job, pod)
		}, kept{Container: "main", Text: want, Capture: results.Capture{
			Reason: results.ReasonStillRunning, Message: "following the log was given up before it had ended",
		}}},
		"the pod is gone": {func(_ *node, c *Captures, pod *corev1.Pod) {
			c.Gone(job, pod)
			<-time.After(stillComing)
			synctest.Wait()
			if c.Following(job) {
				t.Error("it is still followed")
			}
		}, kept{Container: "main", Text: want, Capture: results.Capture{
			Reason: results.ReasonStillRunning, Message: "following the log was given up before it had ended",
		}}},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
				pod := aPod("p", "main")
				c.Begin(ctx, job, pod, true)
				for range lines {
					<-time.After(time.Second)
					n.write("p/main", "working\n")
				}
				synctest.Wait()
				if !c.Following(job) {
					t.Error("it is given up while more comes")
				}
				tc.happens(n, c, pod)
				expect(t, c, []kept{tc.want})
			})
		})
	}
}

// TestKubeletAway has a kubelet be away for longer than the pod has time to end,
// and come back: until then nobody ends the container.
func TestKubeletAway(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.write("p/main", "working\n")
		n.leave(true)
		pod := aPod("p", "main")
		c.Begin(ctx, job, pod, true)
		<-time.After(time.Hour)
		n.leave(false)
		<-time.After(2 * longestPause)
		n.write("p/main", "got TERM\n")
		n.end("p/main")
		synctest.Wait()
		c.Begin(ctx, job, ended(pod), true)
		n.remove("p")
		c.Gone(job, ended(pod))
		expect(t, c, []kept{{Container: "main", Text: "working\ngot TERM\n", Capture: whole}})
	})
}

// TestKubeletLost has a kubelet be away until its pod is gone.
func TestKubeletLost(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.leave(true)
		pod := aPod("p", "main")
		c.Begin(ctx, job, pod, true)
		<-time.After(time.Hour)
		if !c.Following(job) {
			t.Error("the log is given up while its pod is there")
		}
		c.Gone(job, pod)
		<-time.After(Slack)
		synctest.Wait()
		if c.Following(job) {
			t.Error("the log is followed though its pod is gone")
		}
	})
}

// TestLateContainer has a container start just before its pod was deleted, which
// is told after that.
func TestLateContainer(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := aPod("p", "main")
		n.write("p/main", "hello\n")
		n.end("p/main")
		early := pod.DeepCopy()
		early.Status.ContainerStatuses[0] = corev1.ContainerStatus{
			Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}},
		}
		c.Begin(ctx, job, early, true)
		c.Begin(ctx, job, ended(pod), true)
		synctest.Wait()
		expect(t, c, []kept{{Container: "main", Text: "hello\n", Capture: whole}})
	})
}
