package capture

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// TestStillComing has a log come so slowly that its pod's time is over long before:
// it is followed until it ends, or its pod is gone.
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
			<-time.After(time.Hour)
			synctest.Wait()
			if !c.Following(job) {
				t.Error("it is given up while its pod is there")
			}
			c.Gone(job, pod)
			<-time.After(Slack)
			synctest.Wait()
			if c.Following(job) {
				t.Error("it is still followed")
			}
		}, kept{Container: "main", Text: want, Capture: results.Capture{
			Reason: results.ReasonStillRunning, Message: "the manager stopped following the log before it ended",
		}}},
		"the pod is gone": {func(_ *node, c *Captures, pod *corev1.Pod) {
			c.Gone(job, pod)
			<-time.After(stillComing)
			synctest.Wait()
			if c.Following(job) {
				t.Error("it is still followed")
			}
		}, kept{Container: "main", Text: want, Capture: results.Capture{
			Reason: results.ReasonStillRunning, Message: "the manager stopped following the log before it ended",
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

// TestNotCompared has the end of a log be read, and its pod be gone before that can
// be compared with what the node kept: the last words from after the signal to end
// tell such a log from one of which something is known to be lost.
func TestNotCompared(t *testing.T) {
	notCompared := joblogs.NotCompared()
	podGone := results.Capture{Reason: results.ReasonPodGone, Message: `pods "p" not found`}
	type happening struct {
		n   *node
		c   *Captures
		pod *corev1.Pod
	}
	tests := map[string]struct {
		prepare func(h happening)
		happens func(ctx context.Context, h happening)
		want    results.Capture
	}{
		"its pod goes": {want: notCompared, happens: func(ctx context.Context, h happening) {
			h.c.Begin(ctx, job, ended(h.pod), true)
			h.n.remove("p")
			h.n.leave(false)
		}},
		"its end is told with the pod's": {want: notCompared, happens: func(_ context.Context, h happening) {
			h.n.remove("p")
			h.n.leave(false)
		}},
		"the kubelet stays away": {want: notCompared, happens: func(ctx context.Context, h happening) {
			h.c.Begin(ctx, job, ended(h.pod), true)
		}},
		"it can be compared after all": {want: whole, happens: func(ctx context.Context, h happening) {
			h.c.Begin(ctx, job, ended(h.pod), true)
			h.n.leave(false)
		}},
		"nothing was written after the signal": {want: podGone, prepare: func(h happening) {
			h.pod.DeletionTimestamp.Time = time.Unix(1_900_000_000, 0)
		}, happens: func(ctx context.Context, h happening) {
			h.c.Begin(ctx, job, ended(h.pod), true)
			h.n.remove("p")
			h.n.leave(false)
		}},
		"its stream broke off": {want: podGone, prepare: func(h happening) {
			h.n.cut["p/main"] = []int{len("work"), len("work"), len("working\ngot"), len("working\ngot")}
		}, happens: func(_ context.Context, h happening) {
			h.n.leave(false)
			<-time.After(firstPause * 3 / 2)
			h.n.remove("p")
		}},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
				h := happening{n, c, aPod("p", "main")}
				n.write("p/main", "working\n")
				if tc.prepare != nil {
					tc.prepare(h)
				}
				c.Begin(ctx, job, h.pod, true)
				synctest.Wait()
				n.leave(true)
				n.write("p/main", "got TERM\n")
				n.end("p/main")
				synctest.Wait()
				tc.happens(ctx, h)
				<-time.After(2 * longestPause)
				last := ended(h.pod)
				c.Gone(job, last)
				<-time.After(2 * time.Minute)
				synctest.Wait()
				got := keptOf(t, c, nil)[0][0]
				if got.Capture != tc.want || tc.want == notCompared && got.Text != "working\ngot TERM\n" {
					t.Errorf("%q, %+v", got.Text, got.Capture)
				}
			})
		})
	}
}

// TestNotComparedIsStored keeps that in what is stored beside the Job.
func TestNotComparedIsStored(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := ours(aPod("p", "main"))
		n.write("p/main", "got TERM\n")
		c.Begin(ctx, job, pod, true)
		synctest.Wait()
		n.leave(true)
		n.end("p/main")
		synctest.Wait()
		n.remove("p")
		n.leave(false)
		<-time.After(longestPause)
		synctest.Wait()
		c.Gone(job, ended(pod))
		got := restoredOf(t, packAll(t, c, 1<<20)...)
		if len(got) != 1 || got[0][0].Capture != joblogs.NotCompared() {
			t.Errorf("%+v", got)
		}
	})
}

// TestSlowMachine has a container end long after its pod's grace period.
func TestSlowMachine(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := aPod("p", "main")
		n.write("p/main", "working\n")
		c.Begin(ctx, job, pod, true)
		<-time.After(20 * time.Minute)
		n.write("p/main", "got TERM\n")
		n.end("p/main")
		synctest.Wait()
		c.Begin(ctx, job, ended(pod), true)
		n.remove("p")
		c.Gone(job, ended(pod))
		expect(t, c, []kept{{Container: "main", Text: "working\ngot TERM\n", Capture: whole}})
	})
}

// TestHungStream has a stream stay open though its container has ended: another one
// is opened, which ends.
func TestHungStream(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := aPod("p", "main")
		n.write("p/main", "working\n")
		n.hang("p/main")
		c.Begin(ctx, job, pod, true)
		synctest.Wait()
		n.write("p/main", "got TERM\n")
		n.end("p/main")
		c.Begin(ctx, job, ended(pod), true)
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if c.Following(job) {
			t.Error("it is still followed")
		}
		c.Gone(job, ended(pod))
		expect(t, c, []kept{{Container: "main", Text: "working\ngot TERM\n", Capture: whole}})
	})
}
