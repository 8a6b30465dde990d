package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/results"
)

// runningPod returns a pod at work that nobody has deleted.
func runningPod(name string, containers ...string) *corev1.Pod {
	pod := aPod(name, containers...)
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = nil, nil
	return pod
}

// leaving returns the pod with 30 seconds to end.
func leaving(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &metav1.Time{Time: time.Now().Add(30 * time.Second)}, new(int64(30))
	return pod
}

// restarted returns the pod with its containers started again, as second
// instances: what was written is the previous log.
func (n *node) restarted(pod *corev1.Pod, instance string) *corev1.Pod {
	pod = ended(pod)
	pod.Status.Phase = corev1.PodRunning
	for i := range pod.Status.ContainerStatuses {
		c := &pod.Status.ContainerStatuses[i]
		c.LastTerminationState, c.ContainerID = c.State, instance
		c.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		c.RestartCount++
		n.end(pod.Name + "/" + c.Name)
		n.mu.Lock()
		n.logs[pod.Name+"/"+c.Name+"/previous"] = n.logs[pod.Name+"/"+c.Name]
		delete(n.logs, pod.Name+"/"+c.Name)
		n.mu.Unlock()
	}
	return pod
}

// counts are Metrics that tests look at.
type counts struct {
	mu                                       sync.Mutex
	following, waiting, fellBack, reconnects int
	gaveUp, parked                           int
}

func (c *counts) add(to *int, more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*to += more
}

func (c *counts) Following(more int) { c.add(&c.following, more) }
func (c *counts) Waiting(more int)   { c.add(&c.waiting, more) }
func (c *counts) FellBack()          { c.add(&c.fellBack, 1) }
func (c *counts) GaveUp()            { c.add(&c.gaveUp, 1) }
func (c *counts) Parked(more int)    { c.add(&c.parked, more) }
func (c *counts) Reconnected()       { c.add(&c.reconnects, 1) }

func (c *counts) is(t *testing.T, following, waiting, fellBack, reconnects int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	got, want := []int{c.following, c.waiting, c.fellBack, c.reconnects}, []int{following, waiting, fellBack, reconnects}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("following, waiting, fallen back, reconnected: %v, not %v", got, want)
	}
}

// TestFollowFromStart follows a container for a day, over streams that break off,
// and another one that has ended, and asks for no end before it is told.
func TestFollowFromStart(t *testing.T) {
	told := &counts{}
	inTime(t, Options{Metrics: told}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.write("p/init", "prepared\n")
		n.end("p/init")
		n.cut["p/main"] = []int{3, 9, 9, 12}
		pod := runningPod("p", "init", "main")
		pod.Status.ContainerStatuses[0] = ended(pod).Status.ContainerStatuses[0]
		c.Follow(ctx, job, pod)
		synctest.Wait()
		told.is(t, 1, 0, 0, 0)
		for hour := range 24 {
			n.write("p/main", fmt.Sprintf("hour %d\n", hour))
			<-time.After(time.Hour)
		}
		c.Follow(ctx, job, pod)
		if upTo := c.jobs[job][0].logs[1].following.UpTo(); upTo.IsZero() {
			t.Error("nobody knows how far it was read")
		}
		n.end("p/main")
		c.Follow(ctx, job, ended(pod))
		synctest.Wait()
		told.is(t, 0, 0, 0, 4)
		if c.Following(job) {
			t.Error("it is still followed")
		}
		var want strings.Builder
		for hour := range 24 {
			fmt.Fprintf(&want, "hour %d\n", hour)
		}
		n.remove("p")
		c.Gone(job, ended(pod))
		expect(t, c, []kept{
			{Container: "init", Text: "prepared\n", Capture: whole},
			{Container: "main", Text: want.String(), Capture: whole},
		})
	})
}

// TestFollowRestarts has a container be started again and again: the end of each
// instance is compared with its own log, and all of a few are kept.
func TestFollowRestarts(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := runningPod("p", "main")
		for i := range 4 {
			n.write("p/main", fmt.Sprintf("this is %d\n", i))
			c.Follow(ctx, job, pod)
			synctest.Wait()
			if i == 3 {
				break
			}
			// The stream ends before the watch tells of it.
			n.end("p/main")
			synctest.Wait()
			pod = n.restarted(pod, fmt.Sprintf("containerd://%d", i+2))
			c.Follow(ctx, job, pod)
			synctest.Wait()
		}
		n.end("p/main")
		pod = leaving(pod)
		c.Begin(ctx, job, pod, true)
		synctest.Wait()
		last := pod.DeepCopy()
		last.Status.ContainerStatuses[0].State = ended(pod).Status.ContainerStatuses[0].State
		c.Gone(job, last)
		expect(t, c, []kept{
			{Container: "main", Previous: true, Text: "this is 2\n", Capture: whole},
			{Container: "main", Text: "this is 3\n", Capture: whole},
			{Container: "main", Text: "this is 0\n", Capture: whole},
			{Container: "main", Text: "this is 1\n", Capture: whole},
		})
		if len(c.memory.texts) != 4 {
			t.Errorf("%d texts are kept", len(c.memory.texts))
		}
	})
}

// TestFollowEndThenDeleted has a log end before anything is told of its container,
// and then its pod be deleted: nobody waits for the container's end any more.
func TestFollowEndThenDeleted(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.write("p/main", "working\n")
		pod := runningPod("p", "main")
		c.Follow(ctx, job, pod)
		n.end("p/main")
		synctest.Wait()
		if !c.Following(job) {
			t.Fatal("the end of its container is not waited for")
		}
		pod = leaving(pod)
		c.Begin(ctx, job, pod, true)
		synctest.Wait()
		if c.Following(job) {
			t.Error("it is still followed")
		}
		c.Gone(job, ended(pod))
		expect(t, c, []kept{{Container: "main", Text: "working\n", Capture: whole}})
	})
}

// TestFollowInTurn has more containers than may be followed at once: one that
// waits gets its turn, from the start of its log; one that is deleted meanwhile
// waits no longer; and one that does not get its turn is for others to read.
func TestFollowInTurn(t *testing.T) {
	told := &counts{}
	inTime(t, Options{FollowStreams: 1, Metrics: told}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		var pods []*corev1.Pod
		for i := range 4 {
			n.write(name(i)+"/main", "this is "+name(i)+"\n")
			pods = append(pods, runningPod(name(i), "main"))
			c.Follow(ctx, job, pods[i])
			synctest.Wait()
		}
		told.is(t, 1, 3, 0, 0)
		pods[2] = leaving(pods[2])
		c.Begin(ctx, job, pods[2], true)
		synctest.Wait()
		told.is(t, 2, 2, 0, 0)
		n.end(name(2) + "/main")
		// It is followed once more, before the next one gets its turn.
		synctest.Wait()
		n.end(name(0) + "/main")
		c.Follow(ctx, job, ended(pods[0]))
		synctest.Wait()
		told.is(t, 1, 1, 0, 0)
		if n.most != 2 || strings.Join(n.followed, " ") != "p0000/main p0002/main p0002/main p0001/main" {
			t.Errorf("%d at once, followed %v", n.most, n.followed)
		}
		c.Finish(job)
		synctest.Wait()
		told.is(t, 1, 0, 1, 0)
		n.end(name(1) + "/main")
		<-time.After(endToldAfter)
		synctest.Wait()
		if c.Following(job) {
			t.Error("the Job is waited for")
		}
		captured, release := c.Of(job)
		defer release()
		for i, one := range captured {
			log := one.Logs(ended(pods[i]))[0]
			if i == 3 {
				if log.Text != nil || log.Capture.Reason != results.ReasonNotFollowed || !log.Capture.Retryable {
					t.Errorf("the last: %+v", log)
				}
				continue
			}
			if got := string(log.Text.Head()); got != "this is "+name(i)+"\n" || !log.Capture.Complete {
				t.Errorf("%q, %+v", got, log.Capture)
			}
		}
	})
}

// TestFollowFinished has a Job finish though a container of it does not end.
func TestFollowFinished(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.write("p/main", "working\n")
		pod := runningPod("p", "main")
		c.Follow(ctx, job, pod)
		<-time.After(24 * time.Hour)
		c.Finish(job)
		c.Finish(job)
		if !c.Following(job) {
			t.Error("it is followed no longer")
		}
		<-time.After(catchUp)
		synctest.Wait()
		if c.Following(job) {
			t.Error("it is still followed")
		}
		expect(t, c, []kept{{Container: "main", Text: "working\n", Capture: results.Capture{
			Reason: results.ReasonStillRunning, Message: "the manager stopped following the log before it ended",
		}}})
	})
}

// TestFollowLost has what was read be kept where its end cannot be seen.
func TestFollowLost(t *testing.T) {
	tests := map[string]struct {
		happens func(ctx context.Context, n *node, c *Captures, pod *corev1.Pod)
		want    results.Capture
	}{
		"the node goes away": {func(ctx context.Context, n *node, c *Captures, pod *corev1.Pod) {
			n.lose(pod.Spec.NodeName)
			<-time.After(time.Hour)
			c.Begin(ctx, job, leaving(pod), true)
			<-time.After(time.Minute)
			c.Gone(job, leaving(pod))
		}, results.Capture{Reason: results.ReasonNodeGone, Message: `nodes "node-1" not found`}},
		"it is evicted, and nothing is told of its containers": {func(ctx context.Context, n *node, c *Captures, pod *corev1.Pod) {
			pod = pod.DeepCopy()
			pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}
			c.Follow(ctx, job, pod)
			n.end("p/main")
			n.remove("p")
			<-time.After(time.Minute)
			c.Gone(job, pod)
		}, results.Capture{Reason: results.ReasonEndNotSeen, Message: "the container was gone before its log was known to have ended"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
				n.write("p/main", "working\n")
				pod := runningPod("p", "main")
				c.Follow(ctx, job, pod)
				synctest.Wait()
				tc.happens(ctx, n, c, pod)
				synctest.Wait()
				expect(t, c, []kept{{Container: "main", Text: "working\n", Capture: tc.want}})
			})
		})
	}
}

// TestNodeReturns has a log be followed on whose Node object registers again, at the
// latest just before time is over.
func TestNodeReturns(t *testing.T) {
	for _, away := range []time.Duration{time.Second, 38 * time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
				n.write("p/main", "before\n")
				pod := runningPod("p", "main")
				c.Follow(ctx, job, pod)
				synctest.Wait()
				for range 2 {
					n.lose(pod.Spec.NodeName)
					<-time.After(away)
					n.lose("")
					<-time.After(time.Minute)
				}
				n.write("p/main", "after\n")
				n.end("p/main")
				c.Follow(ctx, job, ended(pod))
				<-time.After(time.Minute)
				synctest.Wait()
				expect(t, c, []kept{{Container: "main", Text: "before\nafter\n", Capture: results.Capture{Complete: true}}})
			})
		})
	}
}

// TestFollowLong keeps a log of 50 MiB whole, in the memory that there is.
func TestFollowLong(t *testing.T) {
	var all strings.Builder
	for i := 0; all.Len() < 50<<20; i++ {
		fmt.Fprintf(&all, "%07d level=info msg=\"request served\" path=/api/v1/things/%d status=200 duration=%dms\n", i, i*7919%10_000, i*31%500)
	}
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.write("p/main", all.String())
		n.cut["p/main"] = []int{10 << 20, 20<<20 + 17, 30<<20 + 5}
		n.end("p/main")
		pod := ended(runningPod("p", "main"))
		c.Follow(ctx, job, pod)
		<-time.After(time.Minute)
		synctest.Wait()
		captured, release := c.Of(job)
		defer release()
		log := captured[0].Logs(pod)[0]
		if !log.Capture.Complete || log.Text.Seen() != int64(all.Len()) {
			t.Fatalf("%d bytes, %+v", log.Text.Seen(), log.Capture)
		}
		unpacked, err := gzip.NewReader(bytes.NewReader(bytes.Join(log.Packed.Members(), nil)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(unpacked)
		if err != nil || string(got) != all.String() {
			t.Errorf("%d bytes of %d are kept, %v", len(got), all.Len(), err)
		}
		if c.memory.packing != 0 {
			t.Errorf("%d logs are being compressed", c.memory.packing)
		}
	})
}

// TestPacking bounds how many logs are compressed at once, gives that back, and
// compresses what has ended and must be cut.
func TestPacking(t *testing.T) {
	m := newMemory(16 << 20)
	short := m.open("batch")
	_, _ = short.Write([]byte(strings.Repeat("short\n", 20_000)))
	short.end()
	var long []*text
	for range m.mostPacking + 2 {
		one := m.open("batch")
		for range 16 {
			_, _ = one.Write([]byte(strings.Repeat("0123456789abcde\n", 8<<10)))
		}
		long = append(long, one)
	}
	if m.packing != m.mostPacking || m.used > m.limit {
		t.Errorf("%d of %d, %d of %d bytes", m.packing, m.mostPacking, m.used, m.limit)
	}
	for i, one := range long {
		one.end()
		if (one.Longer() != nil) != (i < m.mostPacking) {
			t.Errorf("number %d: %v", i, one.Longer())
		}
	}
	for range 40 {
		other := m.open("batch")
		_, _ = other.Write([]byte(strings.Repeat("y", 700<<10)))
		long = append(long, other)
	}
	if short.Text.Whole() || short.Longer() == nil || short.Longer().Excerpt().Kept() != 120_000 {
		t.Errorf("%d bytes as text, %+v", short.Text.Kept(), short.Longer())
	}
	for _, one := range append(long, short) {
		one.drop()
		one.end()
	}
	if m.packing != 0 {
		t.Errorf("%d logs are being compressed", m.packing)
	}
}

// TestDropsWhatIsThere drops, where there are too many pods, those first whose
// logs can still be read.
func TestDropsWhatIsThere(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		c.Gone(job, aPod("deleted", "main"))
		for i := range maxPodsOfJob {
			n.end(name(i) + "/main")
			c.Follow(ctx, job, ended(runningPod(name(i), "main")))
			synctest.Wait()
		}
		kept := c.Pods(job)
		if len(kept) != maxPodsOfJob || kept[0] != "uid-of-deleted" || kept[1] != "uid-of-p0001" {
			t.Errorf("%d pods are kept, from %s, %s on", len(kept), kept[0], kept[1])
		}
	})
}
