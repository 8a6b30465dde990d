package capture

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
)

// ours returns the pod with the Job as its controller.
func ours(pod *corev1.Pod) *corev1.Pod {
	pod.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "batch/v1", Kind: "Job", Name: "job", UID: job, Controller: new(true),
	}}
	return pod
}

// capture has a log be followed to its end, and its pod be gone.
func capture(ctx context.Context, n *node, c *Captures, name, text string) {
	pod := ours(aPod(name, "main"))
	n.write(name+"/main", text)
	n.end(name + "/main")
	c.Begin(ctx, job, pod, true)
	synctest.Wait()
	c.Gone(job, ended(pod))
}

func mustPack(t *testing.T, c *Captures, opts PackOptions) *Batch {
	t.Helper()
	b, ok, err := c.Pack(job, opts)
	if err != nil || !ok {
		t.Fatalf("packed %t, %v", ok, err)
	}
	return b
}

// packAll returns the values of all batches, stored.
func packAll(t *testing.T, c *Captures, maxBytes int) []map[string][]byte {
	t.Helper()
	var all []map[string][]byte
	for {
		b, ok, err := c.Pack(job, PackOptions{MaxBytes: maxBytes})
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		size := 0
		for _, value := range b.Values {
			size += len(value)
		}
		if size != b.Bytes || size > maxBytes || b.Pods == 0 {
			t.Fatalf("%d pods in %d bytes, of %d at most; it says %d", b.Pods, size, maxBytes, b.Bytes)
		}
		all = append(all, b.Values)
		b.Stored()
		b.Release()
	}
}

func mustRestore(t *testing.T, c *Captures, all ...map[string][]byte) *Restored {
	t.Helper()
	r := c.Restore(namespace, job)
	for _, values := range all {
		if err := r.Add(values); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(r.Release)
	return r
}

// restoredOf returns what another process finds in values.
func restoredOf(t *testing.T, all ...map[string][]byte) [][]kept {
	t.Helper()
	captured, release := mustRestore(t, New(nil, Options{}), all...).With(nil)
	defer release()
	return keptIn(captured, nil)
}

func keptIn(captured []Captured, now *corev1.Pod) [][]kept {
	var all [][]kept
	for _, one := range captured {
		var logs []kept
		for _, l := range one.Logs(now) {
			k := kept{Container: l.Container, Previous: l.Previous, Capture: l.Capture}
			if l.Text != nil {
				k.Text = string(l.Text.Head()) + string(l.Text.Tail())
			}
			logs = append(logs, k)
		}
		all = append(all, logs)
	}
	return all
}

func jobsOf(owed []Owed) (jobs []types.UID) {
	for _, o := range owed {
		jobs = append(jobs, o.Job)
	}
	return jobs
}

// TestDue has a pod be due 5 seconds after it has ended, and neither while one of
// its logs is followed nor while a container runs.
func TestDue(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		expect := func(jobs []types.UID, next time.Duration) {
			t.Helper()
			due, wait := c.Due()
			if !cmp.Equal(jobs, jobsOf(due)) || wait != next {
				t.Errorf("due %v, next %s; want %v, %s", jobsOf(due), wait, jobs, next)
			}
		}
		pod := ours(aPod("p", "main", "proxy"))
		c.Begin(ctx, job, pod, true)
		synctest.Wait()
		expect(nil, 0)
		n.end("p/main")
		synctest.Wait()
		expect(nil, 0)
		n.end("p/proxy")
		synctest.Wait()
		expect(nil, spillUnended)
		<-time.After(time.Second)
		c.Begin(ctx, job, ended(pod), true)
		expect(nil, SpillAfter)
		<-time.After(4 * time.Second)
		c.Gone(job, ended(pod))
		expect(nil, time.Second)
		<-time.After(time.Second)
		expect([]types.UID{job}, 0)
		if got := c.Unstored(); len(got) != 1 || got[0].Pod.Name != "p" {
			t.Errorf("unstored: %v", got)
		}
		packAll(t, c, 1<<20)
		expect(nil, 0)
		if len(c.Unstored()) != 0 {
			t.Error("what is stored is to be stored")
		}
	})
}

// TestDueUnended has a pod be due too of which nobody tells that it has ended.
func TestDueUnended(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.write("p/main", "working\n")
		c.Begin(ctx, job, ours(aPod("p", "main")), true)
		n.end("p/main")
		<-time.After(spillUnended)
		synctest.Wait()
		if due, _ := c.Due(); len(due) != 1 {
			t.Errorf("due: %v", due)
		}
		got := restoredOf(t, packAll(t, c, 1<<20)...)
		want := kept{Container: "main", Text: "working\n", Capture: results.Capture{
			Reason: results.ReasonEndNotSeen, Message: "the pod was gone before its container was reported to have ended",
		}}
		if diff := cmp.Diff([][]kept{{want}}, got); diff != "" {
			t.Errorf("restored (-want +got):\n%s", diff)
		}
	})
}

// TestDueAgain has another log of a pod be followed after it was stored.
func TestDueAgain(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := ours(aPod("p", "main", "late"))
		late := pod.Status.ContainerStatuses[1].State
		pod.Status.ContainerStatuses[1].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
		n.write("p/main", "early\n")
		n.end("p/main")
		c.Begin(ctx, job, pod.DeepCopy(), true)
		synctest.Wait()
		first := mustPack(t, c, PackOptions{MaxBytes: 1 << 20})
		pod.Status.ContainerStatuses[1].State = late
		c.Begin(ctx, job, pod.DeepCopy(), true)
		first.Stored()
		first.Release()
		if due := c.Unstored(); len(due) != 0 {
			t.Errorf("due while it is followed: %v", due)
		}
		n.write("p/late", "late\n")
		n.end("p/late")
		synctest.Wait()
		second := packAll(t, c, 1<<20)
		if len(second) != 1 {
			t.Fatalf("%d objects", len(second))
		}
		c.Gone(job, ended(pod))
		r := mustRestore(t, New(nil, Options{}), second[0], first.Values)
		captured, release := r.With(nil)
		defer release()
		got := keptIn(captured, ended(pod))
		if len(got) != 1 || got[0][0].Text != "early\n" || got[0][1].Text != "late\n" {
			t.Errorf("restored %v", got)
		}
	})
}

// TestRoundTrip compares what was kept with what is restored, in one object and
// in many.
func TestRoundTrip(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		for i := range 20 {
			capture(ctx, n, c, name(i), strings.Repeat(fmt.Sprintf("%s writes, and \x00\xff\n", name(i)), 1+i*i*10))
		}
		pod := ours(aPod("restarted", "main"))
		pod.Status.ContainerStatuses[0].LastTerminationState = corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ContainerID: "containerd://before", ExitCode: 2},
		}
		n.write("restarted/main", "again\n")
		n.write("restarted/main/previous", "first\n")
		c.Begin(ctx, job, pod, true)
		n.end("restarted/main")
		n.end("restarted/main/previous")
		synctest.Wait()
		c.Gone(job, ended(pod))
		c.Gone(job, ours(aPod("unseen", "main")))
		never := ours(aPod("never", "main"))
		never.Spec.NodeName = ""
		c.Gone(job, never)
		whole := keptOf(t, c, nil)
		for _, maxBytes := range []int{1 << 20, 8 << 10} {
			c.mu.Lock()
			for _, p := range c.jobs[job] {
				p.stored = false
			}
			c.mu.Unlock()
			objects := packAll(t, c, maxBytes)
			if many := len(objects) > 1; many != (maxBytes < 1<<20) {
				t.Errorf("%d objects of %d bytes", len(objects), maxBytes)
			}
			if diff := cmp.Diff(whole, restoredOf(t, objects...)); diff != "" {
				t.Errorf("restored from %d bytes (-want +got):\n%s", maxBytes, diff)
			}
		}
	})
}

// TestStoredCut has a log lose its middle three times: in memory, in the object,
// and where it is restored. Head and tail, and the counts, are those of the log.
func TestStoredCut(t *testing.T) {
	const limit = 8 << 20
	inTime(t, Options{MemoryBytes: limit}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		text := string(noise(3<<20)) + "end\n"
		capture(ctx, n, c, "p", text)
		objects := packAll(t, c, 256<<10)
		if len(objects) != 1 {
			t.Fatalf("%d objects", len(objects))
		}
		for _, size := range []int{limit, 512 << 10} {
			captured, release := mustRestore(t, New(nil, Options{MemoryBytes: size}), objects...).With(nil)
			log := captured[0].Logs(nil)[0]
			if log.Text.Seen() != int64(len(text)) || log.Text.Lines() != int64(strings.Count(text, "\n")) ||
				!strings.HasPrefix(text, string(log.Text.Head())) || !strings.HasSuffix(text, string(log.Text.Tail())) ||
				log.Text.Kept() < 16<<10 || len(log.Text.Tail()) == 0 {
				t.Errorf("in %d bytes: %d bytes and %d lines seen, %d kept", size, log.Text.Seen(), log.Text.Lines(), log.Text.Kept())
			}
			release()
		}
	})
}

// TestStoredPacked has a log be compressed in memory, of which the text has less.
func TestStoredPacked(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		text := strings.Repeat("a line of a log that is rather long\n", 200_000)
		capture(ctx, n, c, "p", text)
		if packed := c.jobs[job][0].logs[0].text.Packed; packed == nil {
			t.Fatal("it is not compressed in memory")
		}
		objects := packAll(t, c, 1<<20)
		if !c.OnlyStored(job) {
			t.Error("it takes memory for compressed logs though it is stored")
		}
		r := mustRestore(t, c, objects...)
		here, releaseHere := c.Of(job)
		defer releaseHere()
		captured, release := r.With(here)
		defer release()
		log := captured[0].Logs(nil)[0]
		if log.Packed == nil || log.Packed.Excerpt().Kept() != int64(len(text)) {
			t.Fatalf("packed %v", log.Packed)
		}
		if log.Text.Seen() != int64(len(text)) || !strings.HasPrefix(text, string(log.Text.Head())) ||
			!strings.HasSuffix(text, string(log.Text.Tail())) || log.Text.Kept() != maxText {
			t.Errorf("%d bytes seen, %d kept", log.Text.Seen(), log.Text.Kept())
		}
	})
}

// TestNothingElseIsStored looks for what results do not tell.
func TestNothingElseIsStored(t *testing.T) {
	rules, err := redact.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	inTime(t, Options{}, func(t *testing.T, _ context.Context, _ *node, c *Captures) {
		pod := ended(ours(aPod("p", "main")))
		pod.Annotations = map[string]string{"example.com/note": "private", batchv1.JobCompletionIndexAnnotation: "7"}
		pod.Labels = map[string]string{"team": "private"}
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "KEY", Value: "private"}}
		pod.Spec.Containers[0].Args = []string{"private"}
		const secret = "password=hunter2hunter2"
		pod.Status.Message = secret
		pod.Status.ContainerStatuses[0].State.Terminated.Message = secret
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Message: secret}, {Type: "Other", Message: "private"}}
		before := pod.DeepCopy()
		c.Gone(job, pod)
		b := mustPack(t, c, PackOptions{MaxBytes: 1 << 20, Redact: rules})
		records, err := logpack.Unpack(bytes.NewReader(b.Values[PodsKey]), maxPodsText)
		if err != nil {
			t.Fatal(err)
		}
		text := string(records)
		for _, word := range []string{"private", "hunter2"} {
			if strings.Contains(text, word) {
				t.Errorf("%q is stored: %s", word, text)
			}
		}
		if !strings.Contains(text, `"7"`) || !cmp.Equal(before, pod) {
			t.Error("the index is not there, or the pod was changed")
		}
	})
}

// TestInterrupted ends in the middle of a log, and goes on with another process:
// where that finds the pod there still the log is whole, else it says why not.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		first := New(joblogs.NewReader(n, joblogs.Options{}), Options{Streams: 1})
		ctx, stop := context.WithCancel(t.Context())
		n.write("p/main", "working\n")
		first.Begin(ctx, job, ours(aPod("p", "main")), true)
		synctest.Wait()
		first.Begin(ctx, job, ours(aPod("waiting", "main")), true)
		synctest.Wait()
		if stats := first.Stats(); stats.Pods != 2 || len(n.followed) != 1 {
			t.Errorf("%+v", stats)
		}
		stop()
		first.Stop()
		objects := packAll(t, first, 1<<20)

		interrupted := results.Capture{Reason: results.ReasonStillRunning, Message: "the manager ended while the log was being followed"}
		got := restoredOf(t, objects...)
		if diff := cmp.Diff([][]kept{
			{{Container: "main", Text: "working\n", Capture: interrupted}}, {{Container: "main", Capture: interrupted}},
		}, got); diff != "" {
			t.Errorf("gone (-want +got):\n%s", diff)
		}

		second := New(joblogs.NewReader(n, joblogs.Options{}), Options{})
		n.write("p/main", "got TERM\n")
		n.end("p/main")
		second.Begin(t.Context(), job, ours(aPod("p", "main")), true)
		synctest.Wait()
		second.Gone(job, ended(ours(aPod("p", "main"))))
		captured, release := second.Of(job)
		defer release()
		all, releaseAll := mustRestore(t, second, objects...).With(captured)
		defer releaseAll()
		if got := keptIn(all, nil); len(all) != 2 || got[0][0] != (kept{Container: "main", Text: "working\ngot TERM\n", Capture: whole}) {
			t.Errorf("there still: %v", got)
		}
		there, releaseThere := mustRestore(t, second, objects...).With(nil)
		defer releaseThere()
		if log := there[0].Logs(ours(aPod("p", "main")))[0]; !log.Capture.Retryable || log.Capture.Reason != results.ReasonStillRunning {
			t.Errorf("not followed again: %+v", log.Capture)
		}
	})
}

// TestStoredPodsGoFirst has room be made by pods that are stored.
func TestStoredPodsGoFirst(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, _ context.Context, _ *node, c *Captures) {
		gone := func(i int) { c.Gone(job, ended(ours(aPod(name(i), "main")))) }
		gone(0)
		c.jobs[job][0].unfit = true
		for i := range maxPodsOfJob - 1 {
			gone(1 + i)
		}
		objects := packAll(t, c, 1<<20)
		if len(objects) != 1 {
			t.Errorf("%d objects for %d pods", len(objects), maxPodsOfJob)
		}
		gone(maxPodsOfJob)
		if kept := c.Pods(job); kept[0] != types.UID("uid-of-"+name(0)) || kept[1] != types.UID("uid-of-"+name(2)) || len(kept) != maxPodsOfJob {
			t.Errorf("%d pods are kept, from %s and %s on", len(kept), kept[0], kept[1])
		}
		if !c.OnlyStored(job) || c.Stats().Dropped != 0 {
			t.Error("a pod that is stored counts as lost")
		}
	})
}

// TestUnfit has a pod that no object can hold.
func TestUnfit(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, _ context.Context, _ *node, c *Captures) {
		c.Gone(job, ended(ours(aPod("p", "main"))))
		if _, ok, err := c.Pack(job, PackOptions{MaxBytes: 100}); ok || err != nil {
			t.Errorf("packed %t, %v", ok, err)
		}
		if len(c.Unstored()) != 0 || c.memory.used != 0 {
			t.Errorf("it is to be stored still, or %d bytes are in use", c.memory.used)
		}
	})
}
