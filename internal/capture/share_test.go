package capture

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/results"
)

// stubborn returns deleted pods of a namespace with many containers each, which
// write nothing and have a week to end.
func stubborn(namespace string, pods, containers int) []*corev1.Pod {
	var all []*corev1.Pod
	for i := range pods {
		var names []string
		for j := range containers {
			names = append(names, fmt.Sprintf("c%03d", j))
		}
		pod := aPod(fmt.Sprintf("%s-%d", namespace, i), names...)
		pod.Namespace = namespace
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &metav1.Time{Time: time.Now().Add(7 * 24 * time.Hour)}, new(int64(604_800))
		all = append(all, pod)
	}
	return all
}

// textOf returns what is kept of the one log of a Job with one pod, which is gone.
func textOf(t *testing.T, c *Captures, job types.UID) (string, results.Capture) {
	t.Helper()
	captured, release := c.Of(job)
	defer release()
	logs := captured[0].Logs(nil)
	if logs[0].Text == nil {
		return "", logs[0].Capture
	}
	return string(logs[0].Text.Head()), logs[0].Capture
}

// TestOtherNamespaces has the Jobs of one namespace take every stream for a week,
// those for pods that are deleted or those for running ones: the logs of others are
// followed all the same, to their last words.
func TestOtherNamespaces(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprintf("running %t", running), func(t *testing.T) {
			told := &counts{}
			inTime(t, Options{Metrics: told, FollowStreams: DefaultStreams}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
				begin := func(job types.UID, pod *corev1.Pod) {
					if running {
						pod = pod.DeepCopy()
						pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = nil, nil
					}
					c.Begin(ctx, job, pod, true)
				}
				for i, pod := range stubborn("attack", 6, 100) {
					begin(types.UID(fmt.Sprintf("attack-%d", i)), pod)
				}
				synctest.Wait()
				told.is(t, DefaultStreams, 600-DefaultStreams, 0, 0)
				for i := range 20 {
					pod := aPod(name(i), "main")
					pod.Namespace = fmt.Sprintf("tenant-%d", i%5)
					n.write(name(i)+"/main", "working\n")
					begin(types.UID(name(i)), pod)
					<-time.After(time.Second)
					n.write(name(i)+"/main", "got TERM\n")
					n.end(name(i) + "/main")
					synctest.Wait()
					c.Begin(ctx, types.UID(name(i)), ended(pod), true)
					<-time.After(longestPause)
					synctest.Wait()
					n.remove(name(i))
					c.Gone(types.UID(name(i)), ended(pod))
					text, capture := textOf(t, c, types.UID(name(i)))
					if text != "working\ngot TERM\n" || !capture.Complete {
						t.Fatalf("tenant %d: %q, %+v", i, text, capture)
					}
				}
				if told.gaveUp == 0 || n.most > DefaultStreams {
					t.Errorf("%d streams given up, %d at once", told.gaveUp, n.most)
				}
			})
			if told.parked != 0 || told.following != 0 || told.waiting != 0 {
				t.Errorf("left: %+v", told)
			}
		})
	}
}

// TestParked has a log give up its stream, its container end meanwhile, and what it
// wrote until then be read from where it was left.
func TestParked(t *testing.T) {
	told := &counts{}
	inTime(t, Options{Metrics: told, Streams: 2}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pods := stubborn("batch", 3, 1)
		for i, pod := range pods {
			n.write(pod.Name+"/c000", "begins\n")
			c.Begin(ctx, types.UID(name(i)), pod, true)
			<-time.After(time.Second)
		}
		told.is(t, 2, 1, 0, 0)
		// The streams are silent, and those that wait take turns with them.
		<-time.After(2 * idleLimit)
		synctest.Wait()
		if told.gaveUp == 0 || told.parked != 1 || told.following != 2 {
			t.Fatalf("%+v", told)
		}
		for i, pod := range pods {
			n.write(pod.Name+"/c000", "got TERM\n")
			n.end(pod.Name + "/c000")
			c.Begin(ctx, types.UID(name(i)), ended(pod), true)
		}
		<-time.After(time.Second)
		synctest.Wait()
		for i, pod := range pods {
			n.remove(pod.Name)
			c.Gone(types.UID(name(i)), ended(pod))
			if text, capture := textOf(t, c, types.UID(name(i))); text != "begins\ngot TERM\n" || !capture.Complete {
				t.Errorf("%d: %q, %+v", i, text, capture)
			}
		}
	})
}

// TestGoneWhileParked has a pod go while its log waits for another stream: what was
// read is kept, and why there is no more.
func TestGoneWhileParked(t *testing.T) {
	told := &counts{}
	inTime(t, Options{Metrics: told, Streams: 1}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pods := stubborn("batch", 2, 1)
		for i, pod := range pods {
			n.write(pod.Name+"/c000", "begins\n")
			c.Begin(ctx, types.UID(name(i)), pod, true)
			<-time.After(time.Second)
		}
		<-time.After(idleLimit * 5 / 4)
		synctest.Wait()
		if told.parked != 1 {
			t.Fatalf("%+v", told)
		}
		c.Gone("p0000", pods[0])
		synctest.Wait()
		if c.Following("p0000") {
			t.Error("it is followed though it cannot be")
		}
		if text, capture := textOf(t, c, "p0000"); text != "begins\n" || capture.Reason != results.ReasonCaptureLimit || capture.Retryable {
			t.Errorf("%q, %+v", text, capture)
		}
	})
}

// TestFinishedWhileParked has a Job finish while a log of a pod that is there waits
// for another stream: it is for others to read, and its Job does not wait for that.
func TestFinishedWhileParked(t *testing.T) {
	told := &counts{}
	inTime(t, Options{Metrics: told, FollowStreams: 1}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		for i := range 2 {
			n.write(name(i)+"/main", "begins\n")
			c.Follow(ctx, types.UID(name(i)), runningPod(name(i), "main"))
			<-time.After(time.Second)
		}
		<-time.After(idleLimit * 5 / 4)
		synctest.Wait()
		if told.parked != 1 || told.following != 1 {
			t.Fatalf("%+v", told)
		}
		c.Follow(ctx, "p0000", ended(runningPod("p0000", "main")))
		synctest.Wait()
		if told.parked != 1 || !c.Following("p0000") {
			t.Error("it takes the stream of one at work")
		}
		c.Finish("p0000")
		synctest.Wait()
		if c.Following("p0000") {
			t.Error("the Job has to wait")
		}
		captured, release := c.Of("p0000")
		defer release()
		log := captured[0].Logs(ended(runningPod("p0000", "main")))[0]
		if log.Text.Seen() != int64(len("begins\n")) || log.Capture.Reason != results.ReasonCaptureLimit || !log.Capture.Retryable {
			t.Errorf("%+v", log)
		}
	})
}

func TestTimeLeft(t *testing.T) {
	c := New(nil, Options{})
	now := c.clock.Now()
	tests := map[string]struct {
		grace        *int64
		after        time.Duration
		least, most  time.Duration
		noneTold     bool
		notSignalled bool
	}{
		"nobody deletes it":          {noneTold: true, least: Slack, most: Slack, notSignalled: true},
		"30 seconds":                 {grace: new(int64(30)), after: time.Hour, least: time.Minute, most: time.Minute},
		"none":                       {grace: new(int64(0)), least: Slack, most: Slack},
		"less than none":             {grace: new(int64(math.MinInt64)), least: Slack, most: Slack},
		"the first that overflows":   {grace: new(int64(9_223_372_037)), least: longestGrace, most: longestGrace + Slack, notSignalled: true},
		"the greatest":               {grace: new(int64(math.MaxInt64)), least: longestGrace, most: longestGrace + Slack, notSignalled: true},
		"one that wraps to a second": {grace: new(int64(1<<55 + 1)), least: longestGrace, most: longestGrace + Slack, notSignalled: true},
		"unknown":                    {after: time.Hour, least: time.Hour, most: time.Hour + Slack, notSignalled: true},
		"unknown, and long ago":      {after: -time.Hour, least: Slack, most: Slack, notSignalled: true},
		"unknown, in 292 years":      {after: math.MaxInt64, least: longestGrace, most: longestGrace + Slack, notSignalled: true},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			pod := aPod("p", "main")
			pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &metav1.Time{Time: now.Add(tc.after)}, tc.grace
			if tc.noneTold {
				pod.DeletionTimestamp = nil
			}
			if left := timeLeft(pod, now); left < tc.least || left > tc.most {
				t.Errorf("%s, want %s to %s", left, tc.least, tc.most)
			}
			if at := signalled(pod); at.IsZero() != tc.notSignalled {
				t.Errorf("told to end at %s", at)
			}
		})
	}
}

// TestFarGrace follows the log of a pod whose grace period is longer than a Duration
// can be.
func TestFarGrace(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := aPod("p", "main")
		pod.DeletionGracePeriodSeconds = new(int64(math.MaxInt64))
		c.Begin(ctx, job, pod, true)
		<-time.After(time.Hour)
		n.write("p/main", strings.Repeat("late\n", 3))
		n.end("p/main")
		synctest.Wait()
		c.Gone(job, ended(pod))
		expect(t, c, []kept{{Container: "main", Text: "late\nlate\nlate\n", Capture: whole}})
	})
}

// TestTimersGo lets go of a log that is not followed any more, however long its pod
// has to end.
func TestTimersGo(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, _ *node, c *Captures) {
		pod := stubborn("batch", 1, 1)[0]
		c.Begin(ctx, job, pod, true)
		l := c.jobs[job][0].logs[0]
		if len(l.timers) == 0 {
			t.Fatal("nothing looks at it again")
		}
		c.Forget(job)
		synctest.Wait()
		if len(l.timers) != 0 {
			t.Error("timers are left")
		}
	})
}

// TestQuiet calls back when the last log of a Job that has finished has ended.
func TestQuiet(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		var quiet []string
		c.OnQuiet(func(pod *corev1.Pod) { quiet = append(quiet, pod.Name) })
		for i := range 2 {
			c.Begin(ctx, job, aPod(name(i), "main"), true)
		}
		c.Begin(ctx, "another", aPod("other", "main"), true)
		n.end("other/main")
		n.end(name(0) + "/main")
		synctest.Wait()
		c.Finish(job)
		c.Finish("unknown")
		synctest.Wait()
		if len(quiet) != 0 {
			t.Errorf("called early: %v", quiet)
		}
		n.end(name(1) + "/main")
		synctest.Wait()
		if len(quiet) != 1 || quiet[0] != name(1) {
			t.Errorf("called: %v", quiet)
		}
		c.Forget(job)
		if len(c.finished) != 0 {
			t.Error("it is remembered")
		}
	})
}

// TestMemoryShares has one namespace want all memory with many long logs: those of
// another one stay whole, as text while that is short, and compressed else.
func TestMemoryShares(t *testing.T) {
	m := newMemory(16 << 20)
	line := strings.Repeat("0123456789abcde\n", 8<<10)
	write := func(t *text, lines int) {
		for range lines {
			_, _ = t.Write([]byte(line))
		}
	}
	var greedy []*text
	for range 3 * m.mostPacking {
		one := m.open("attack")
		write(one, 8)
		greedy = append(greedy, one)
	}
	if m.packing != m.mostPacking {
		t.Fatalf("%d of %d are compressed", m.packing, m.mostPacking)
	}
	long, short := m.open("tenant"), m.open("tenant")
	write(long, 16)
	write(short, 2)
	for _, one := range greedy {
		write(one, 8)
	}
	for range 4 * m.mostPacking {
		write(m.open("attack"), 16)
	}
	long.end()
	short.end()
	if packed := long.Longer(); packed == nil || packed.Excerpt().OmittedBytes != 0 {
		t.Errorf("the long log is not kept: %+v", packed)
	}
	if !short.Text.Whole() || short.Text.Kept() != 2*len(line) {
		t.Errorf("%d bytes are kept of the short log", short.Text.Kept())
	}
	if m.used > m.limit || m.packing > m.mostPacking {
		t.Errorf("%d of %d bytes in use, %d compressed", m.used, m.limit, m.packing)
	}
	for one := range m.texts {
		one.drop()
	}
	if m.packing != 0 || len(m.packingOf) != 0 || m.used != 0 {
		t.Errorf("left: %d bytes, %d compressed, %v", m.used, m.packing, m.packingOf)
	}
}

// TestShortBy has those stored at once, when memory runs short, that take most.
func TestShortBy(t *testing.T) {
	m := newMemory(16 << 20)
	if m.shortBy() != nil {
		t.Error("memory is short at the start")
	}
	few := m.open("tenant")
	_, _ = few.Write([]byte("little\n"))
	for !m.short() {
		_, _ = m.open("attack").Write([]byte(strings.Repeat("y", 300<<10)))
	}
	if got := m.shortBy(); !got.Has("attack") || got.Has("tenant") {
		t.Errorf("short by %v", got)
	}
	for one := range m.texts {
		one.drop()
	}
	m.reserve(m.limit)
	few = m.open("tenant")
	_, _ = few.Write([]byte("little\n"))
	if got := m.shortBy(); !got.Has("tenant") {
		t.Errorf("short by %v", got)
	}
}

// TestPodsOfNamespaces drops, where there are too many pods, those of a namespace
// with many Jobs before the only one of another.
func TestPodsOfNamespaces(t *testing.T) {
	inTime(t, Options{}, func(_ *testing.T, _ context.Context, _ *node, c *Captures) {
		for i := range 2 {
			pod := aPod("tenant-"+name(i), "main")
			pod.Namespace = "tenant"
			c.Gone("tenant", pod)
		}
		for i := range maxPods + 10 {
			pod := aPod(name(i), "main")
			pod.Namespace = "attack"
			c.Gone(types.UID(name(i)), pod)
		}
		if len(c.Pods("tenant")) != 2 || c.pods != maxPods {
			t.Errorf("%d pods of the other namespace are kept, %d in all", len(c.Pods("tenant")), c.pods)
		}
	})
}
