package capture

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	namespace           = "ns"
	job       types.UID = "uid-of-job"
)

// aPod returns a running pod that has just been deleted, with 30 seconds to end.
func aPod(name string, containers ...string) *corev1.Pod {
	grace := int64(30)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "batch", Name: name, UID: types.UID("uid-of-" + name),
			DeletionTimestamp: &metav1.Time{Time: time.Now().Add(30 * time.Second)}, DeletionGracePeriodSeconds: &grace,
		},
		Spec:   corev1.PodSpec{NodeName: "node-1"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, c := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: c})
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c, ContainerID: "containerd://" + c,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
	return pod
}

// ended returns the pod with all containers ended.
func ended(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.Status.Phase = corev1.PodFailed
	for i := range pod.Status.ContainerStatuses {
		c := &pod.Status.ContainerStatuses[i]
		c.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ContainerID: c.ContainerID, ExitCode: 1, StartedAt: metav1.Now(), FinishedAt: metav1.Now(),
		}}
	}
	return pod
}

// failed returns the pod in the phase in which the kubelet reports its end.
func failed(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.Status.Phase = corev1.PodFailed
	return pod
}

// lost returns the pod with containers that the kubelet cannot find any more.
func lost(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	for i := range pod.Status.ContainerStatuses {
		pod.Status.ContainerStatuses[i].ContainerID = ""
		pod.Status.ContainerStatuses[i].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 137, Reason: "ContainerStatusUnknown",
		}}
	}
	return pod
}

// kept is a ContainerLog as tests compare it.
type kept struct {
	Container string
	Previous  bool
	Text      string
	Capture   results.Capture
}

func keptOf(t *testing.T, c *Captures, now *corev1.Pod) [][]kept {
	t.Helper()
	captured, release := c.Of(job)
	defer release()
	return keptIn(captured, now)
}

// expect compares what is kept of pods that are gone.
func expect(t *testing.T, c *Captures, want ...[]kept) {
	t.Helper()
	if diff := cmp.Diff(want, keptOf(t, c, nil)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

var whole = results.Capture{Complete: true}

// inTime runs a test with a clock that is stepped by waiting, and with captures
// that end with it.
func inTime(t *testing.T, opts Options, test func(t *testing.T, ctx context.Context, n *node, c *Captures)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		c := New(joblogs.NewReader(n, joblogs.Options{}), opts)
		ctx, cancel := context.WithCancel(t.Context())
		test(t, ctx, n, c)
		cancel()
		c.Stop()
		if n.open != 0 {
			t.Errorf("%d streams left open", n.open)
		}
	})
}

func TestLastWords(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.write("p/main", "working\n")
		n.write("p/proxy", "open\n")
		pod := aPod("p", "main", "proxy")
		c.Begin(ctx, job, pod, true)
		<-time.After(10 * time.Second)
		n.write("p/main", "got TERM\n")
		n.end("p/main")
		synctest.Wait()
		if !c.Following(job) {
			t.Error("the sidecar is not followed any more")
		}
		n.write("p/proxy", "closed\n")
		n.end("p/proxy")
		n.remove("p")
		synctest.Wait()
		if c.Following(job) || c.Following("another") {
			t.Error("a log that has ended is followed")
		}
		c.Begin(ctx, job, ended(pod), true)
		c.Gone(job, ended(pod))
		expect(t, c, []kept{
			{Container: "main", Text: "working\ngot TERM\n", Capture: whole},
			{Container: "proxy", Text: "open\nclosed\n", Capture: whole},
		})
		if want := []string{"p/main", "p/main", "p/proxy"}; !cmp.Equal(want, sorted(n.followed)) {
			t.Errorf("followed %v", n.followed)
		}
	})
}

// TestFollowedAgain has streams break off without an error.
func TestFollowedAgain(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.cut["p/main"] = []int{8, 3, 12}
		pod := aPod("p", "main")
		c.Begin(ctx, job, pod, true)
		n.write("p/main", "working\ngot TERM\n")
		<-time.After(10 * time.Second)
		n.end("p/main")
		synctest.Wait()
		c.Gone(job, ended(pod))
		expect(t, c, []kept{{Container: "main", Text: "working\ngot TERM\n", Capture: whole}})
		if c.memory.used != smallestText {
			t.Errorf("%d bytes are in use", c.memory.used)
		}
	})
}

// TestNotWhole holds why a log is not whole, and that a pod that is gone has no
// cause that could heal.
func TestNotWhole(t *testing.T) {
	running := results.Capture{Reason: results.ReasonStillRunning, Message: "the manager stopped following the log before it ended"}
	tests := map[string]struct {
		happens func(ctx context.Context, n *node, c *Captures, pod *corev1.Pod)
		want    kept
	}{
		"the container does not end": {func(ctx context.Context, n *node, c *Captures, pod *corev1.Pod) {
			n.write("p/main", "working\n")
			c.Begin(ctx, job, pod, true)
			<-time.After(time.Hour)
			if !c.Following(job) {
				t.Error("given up while the pod is there")
			}
			c.Gone(job, pod)
			<-time.After(Slack)
			synctest.Wait()
		}, kept{Text: "working\n", Capture: running}},
		"its end was not seen": {func(ctx context.Context, n *node, c *Captures, pod *corev1.Pod) {
			n.write("p/main", "working\n")
			c.Begin(ctx, job, pod, true)
			synctest.Wait()
			n.remove("p")
			n.end("p/main")
			synctest.Wait()
			c.Gone(job, pod)
		}, kept{Text: "working\n", Capture: results.Capture{
			Reason: results.ReasonEndNotSeen, Message: "the pod was gone before its container was reported to have ended",
		}}},
		"the pod was gone at once": {func(_ context.Context, _ *node, c *Captures, pod *corev1.Pod) {
			c.Gone(job, ended(pod))
		}, kept{Capture: deletedBeforeCapture("the pod was gone before its log could be read")}},
		"the pod was deleted by force": {func(_ context.Context, _ *node, c *Captures, pod *corev1.Pod) {
			pod.DeletionTimestamp = nil
			c.Gone(job, pod)
		}, kept{Capture: deletedBeforeCapture("the pod was gone before its log could be read")}},
		"the pod was gone before it could be read": {func(ctx context.Context, n *node, c *Captures, pod *corev1.Pod) {
			n.remove("p")
			c.Begin(ctx, job, pod, true)
			synctest.Wait()
			c.Gone(job, ended(pod))
		}, kept{Capture: deletedBeforeCapture(`nothing could be read: pods "p" not found`)}},
		"the stream breaks off before the pod goes": {func(ctx context.Context, n *node, c *Captures, pod *corev1.Pod) {
			n.cut["p/main"] = []int{4, 4}
			n.write("p/main", "working\n")
			c.Begin(ctx, job, pod, true)
			synctest.Wait()
			n.remove("p")
			<-time.After(time.Second)
			c.Gone(job, ended(pod))
		}, kept{Text: "work", Capture: results.Capture{Reason: results.ReasonPodGone, Message: `pods "p" not found`}}},
		"it never started": {func(ctx context.Context, _ *node, c *Captures, pod *corev1.Pod) {
			pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"},
			}
			c.Begin(ctx, job, pod, true)
			c.Gone(job, failed(pod))
		}, kept{Capture: results.Capture{Complete: true, Reason: results.ReasonNeverStarted, Message: "ErrImagePull: no such image"}}},
		"it had not started when it was deleted by force": {func(_ context.Context, _ *node, c *Captures, pod *corev1.Pod) {
			pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"},
			}
			c.Gone(job, pod)
		}, kept{Capture: results.Capture{
			Reason: results.ReasonNeverStarted, Message: "the node did not report the end of the pod: ContainerCreating",
		}}},
		"it never started, and the kubelet takes back why": {func(ctx context.Context, _ *node, c *Captures, pod *corev1.Pod) {
			told := pod.DeepCopy()
			told.Status.ContainerStatuses[0].State = corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "InvalidImageName", Message: "must be lowercase"},
			}
			pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"},
			}
			c.Remember(job, told)
			c.Begin(ctx, job, pod, true)
			c.Gone(job, failed(pod))
		}, kept{Capture: results.Capture{Complete: true, Reason: results.ReasonNeverStarted, Message: "InvalidImageName: must be lowercase"}}},
		"it never started, and the kubelet does not know": {func(ctx context.Context, _ *node, c *Captures, pod *corev1.Pod) {
			pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"},
			}
			c.Begin(ctx, job, pod, true)
			c.Begin(ctx, job, lost(pod), true)
			c.Gone(job, failed(lost(pod)))
		}, kept{Capture: results.Capture{Complete: true, Reason: results.ReasonNeverStarted, Message: "ImagePullBackOff"}}},
		"the kubelet lost it before": {func(ctx context.Context, _ *node, c *Captures, pod *corev1.Pod) {
			c.Begin(ctx, job, lost(pod), true)
			c.Gone(job, lost(pod))
		}, kept{Capture: results.Capture{Reason: results.ReasonContainerGone, Message: "the kubelet lost the container"}}},
		"the kubelet lost it while it was followed": {func(ctx context.Context, n *node, c *Captures, pod *corev1.Pod) {
			n.write("p/main", "working\n")
			c.Begin(ctx, job, pod, true)
			n.end("p/main")
			synctest.Wait()
			c.Gone(job, lost(pod))
		}, kept{Text: "working\n", Capture: results.Capture{
			Reason: results.ReasonEndNotSeen, Message: "the pod was gone before its container was reported to have ended",
		}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
				tc.happens(ctx, n, c, aPod("p", "main"))
				if c.Following(job) {
					t.Error("still followed")
				}
				tc.want.Container = "main"
				expect(t, c, []kept{tc.want})
			})
		})
	}
}

// TestRestarted has an instance become the previous one while it is followed.
func TestRestarted(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := aPod("p", "main")
		n.write("p/main", "first\n")
		n.end("p/main")
		c.Begin(ctx, job, pod, true)
		synctest.Wait()
		pod = ended(pod)
		status := &pod.Status.ContainerStatuses[0]
		status.LastTerminationState, status.RestartCount = status.State, 1
		status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
		c.Begin(ctx, job, pod, true)
		synctest.Wait()
		expect(t, c, []kept{
			{Container: "main", Previous: true, Text: "first\n", Capture: whole},
			{Container: "main", Capture: results.Capture{
				Complete: true, Reason: results.ReasonNotStartedAgain, Message: "CrashLoopBackOff",
			}},
		})
	})
}

// TestStillThere is about a pod that can still be seen: what was not captured of
// it is for others to read, and what is not known to be whole could heal.
func TestStillThere(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := aPod("p", "main")
		n.write("p/main", "all\n")
		n.end("p/main")
		c.Begin(ctx, job, pod, true)
		synctest.Wait()
		now := ended(aPod("p", "main", "another"))
		want := [][]kept{{{Container: "main", Text: "all\n", Capture: whole}}}
		if diff := cmp.Diff(want, keptOf(t, c, now)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		want[0][0].Capture = results.Capture{
			Reason: results.ReasonStillRunning, Message: "the container was not reported to have ended", Retryable: true,
		}
		if diff := cmp.Diff(want, keptOf(t, c, pod)); diff != "" {
			t.Errorf("not reported to have ended (-want +got):\n%s", diff)
		}
		evicted := lost(pod)
		evicted.Status.Phase = corev1.PodFailed
		want[0][0].Capture = results.Capture{
			Reason: results.ReasonEndNotSeen, Message: "the pod ended, but the end of its container was not reported",
		}
		if diff := cmp.Diff(want, keptOf(t, c, evicted)); diff != "" {
			t.Errorf("the kubelet has lost it (-want +got):\n%s", diff)
		}
	})
}

// TestNoLogs keeps the pod and reads nothing.
func TestNoLogs(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		c.Begin(ctx, job, aPod("p", "main"), false)
		synctest.Wait()
		if c.Following(job) || len(n.followed) > 0 {
			t.Errorf("followed %v", n.followed)
		}
		if diff := cmp.Diff([]types.UID{"uid-of-p"}, c.Pods(job)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestTaken has a Job be stored while a log is followed: what there is counts,
// and nothing is added any more.
func TestTaken(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.write("p/main", "working\n")
		c.Begin(ctx, job, aPod("p", "main"), true)
		synctest.Wait()
		captured, release := c.Of(job)
		n.write("p/main", "too late\n")
		synctest.Wait()
		log := captured[0].Logs(nil)[0]
		if got := string(log.Text.Head()); got != "working\n" || log.Capture.Complete || c.Following(job) {
			t.Errorf("%q, %+v", got, log.Capture)
		}
		c.Forget(job)
		if got := string(log.Text.Head()); got != "working\n" {
			t.Errorf("forgotten while it is used: %q", got)
		}
		release()
		release()
		if c.memory.used != 0 || len(c.memory.texts) != 0 {
			t.Errorf("%d bytes are in use", c.memory.used)
		}
	})
}

// TestTakenAtItsEnd has a Job be stored when its container has ended, and the log
// has not: more may come, so that it does not count as whole.
func TestTakenAtItsEnd(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := aPod("p", "main")
		n.write("p/main", "working\n")
		c.Begin(ctx, job, pod, true)
		synctest.Wait()
		c.Begin(ctx, job, ended(pod), true)
		captured, release := c.Of(job)
		defer release()
		log := captured[0].Logs(ended(pod))[0]
		if log.Capture.Complete || log.Capture.Reason != results.ReasonStillRunning || string(log.Text.Head()) != "working\n" {
			t.Errorf("%q, %+v", log.Text.Head(), log.Capture)
		}
	})
}

func TestForget(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.write("p/main", "working\n")
		c.Begin(ctx, job, aPod("p", "main"), true)
		synctest.Wait()
		c.Forget(job)
		synctest.Wait()
		if c.Following(job) || n.open != 0 || len(c.Pods(job)) != 0 || c.pods != 0 || c.memory.used != 0 {
			t.Errorf("%d streams, %d pods and %d bytes are left", n.open, c.pods, c.memory.used)
		}
	})
}

func TestNothingAfterStop(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		c.Stop()
		c.Begin(ctx, job, aPod("p", "main"), true)
		synctest.Wait()
		if len(n.followed) > 0 || c.Following(job) {
			t.Errorf("followed %v", n.followed)
		}
	})
}

func TestNilCaptures(t *testing.T) {
	var c *Captures
	c.Begin(t.Context(), job, aPod("p", "main"), true)
	c.Gone(job, aPod("p", "main"))
	c.Forget(job)
	captured, release := c.Of(job)
	release()
	if len(captured) > 0 || len(c.Pods(job)) > 0 || c.Following(job) {
		t.Error("nothing captures something")
	}
}
