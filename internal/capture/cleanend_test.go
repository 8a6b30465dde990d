package capture

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// TestCleanEnd has a stream end without an error while its container runs, when all
// that the container has written is read. The container writes more and ends.
func TestCleanEnd(t *testing.T) {
	pods := map[string]func() *corev1.Pod{
		"of a pod that is deleted": func() *corev1.Pod { return aPod("p", "main") },
		"of a running pod":         func() *corev1.Pod { return runningPod("p", "main") },
	}
	for title, newPod := range pods {
		for _, after := range []time.Duration{0, time.Second, time.Minute} {
			t.Run(fmt.Sprint(title, ", more after ", after), func(t *testing.T) {
				inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
					pod := newPod()
					n.write("p/main", "working\n")
					n.cut["p/main"] = []int{len("working\n")}
					c.Begin(ctx, job, pod, true)
					synctest.Wait()
					<-time.After(after)
					if !c.Following(job) {
						t.Error("it is not followed any more")
					}
					n.write("p/main", "got TERM\n")
					n.end("p/main")
					c.Begin(ctx, job, ended(pod), true)
					<-time.After(time.Minute)
					synctest.Wait()
					if c.Following(job) {
						t.Error("it is still followed")
					}
					n.remove("p")
					c.Gone(job, ended(pod))
					expect(t, c, []kept{{Container: "main", Text: "working\ngot TERM\n", Capture: whole}})
				})
			})
		}
	}
}

// TestCleanEndOfFinished has a stream end without an error while its container runs,
// and its Job finish.
func TestCleanEndOfFinished(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := runningPod("p", "main")
		n.write("p/main", "working\n")
		c.Follow(ctx, job, pod)
		synctest.Wait()
		c.Finish(job)
		n.abort("p/main", io.EOF)
		synctest.Wait()
		n.write("p/main", "got TERM\n")
		n.end("p/main")
		c.Follow(ctx, job, ended(pod))
		<-time.After(time.Minute)
		synctest.Wait()
		n.remove("p")
		c.Gone(job, ended(pod))
		expect(t, c, []kept{{Container: "main", Text: "working\ngot TERM\n", Capture: whole}})
	})
}

// TestGone has a stream end too early, and the log be removed at different times.
func TestGone(t *testing.T) {
	tests := map[string]struct {
		steps []string
		text  string
		want  results.Capture
	}{
		"after the end of the second stream": {[]string{"cut", "late", "more", "remove", "tell"}, "working\ngot TERM\n", whole},
		"in a pause between streams": {[]string{"cut", "more", "remove", "tell"}, "working\ngot TERM\n", results.Capture{
			Reason: results.ReasonPodGone, Message: `pods "p" not found`,
		}},
		"just after the end": {[]string{"more", "remove", "tell"}, "working\ngot TERM\n", whole},
		"as the stream ends": {[]string{"removed, more", "tell"}, "working\ngot TERM\n", whole},
		"after words that no stream brought": {[]string{"mute", "more", "tell", "cut", "remove"}, "working\n", results.Capture{
			Reason: results.ReasonPodGone, Message: `pods "p" not found`,
		}},
		"and the end is never told": {[]string{"cut", "late", "more", "remove"}, "working\ngot TERM\n", results.Capture{
			Reason: results.ReasonEndNotSeen, Message: "the pod was gone before its container was reported to have ended",
		}},
		"long after a stream that ended where the log did": {[]string{"cut", "away", "long", "remove"}, "working\n", results.Capture{
			Reason: results.ReasonPodGone, Message: `pods "p" not found`,
		}},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
				pod := aPod("p", "main")
				// By the clock of the node all was written before the signal to end.
				pod.DeletionTimestamp.Time = time.Unix(1_900_000_000, 0)
				n.write("p/main", "working\n")
				c.Begin(ctx, job, pod, true)
				synctest.Wait()
				happens := map[string]func(){
					"cut":           func() { n.abort("p/main", io.EOF) },
					"mute":          func() { n.mute("p/main") },
					"more":          func() { n.write("p/main", "got TERM\n"); n.end("p/main") },
					"removed, more": func() { n.remove("p"); n.write("p/main", "got TERM\n"); n.end("p/main") },
					"remove":        func() { n.remove("p") },
					"away":          func() { n.leave(true); n.abort("p/main", io.EOF) },
					"late":          func() { <-time.After(2 * endsAtOnce) },
					"long":          func() { <-time.After(2 * endsAtOnce); n.leave(false) },
					"tell":          func() { pod = ended(pod); c.Begin(ctx, job, pod, true) },
				}
				for _, step := range tc.steps {
					happens[step]()
					synctest.Wait()
				}
				<-time.After(2 * longestPause)
				c.Gone(job, pod)
				synctest.Wait()
				expect(t, c, []kept{{Container: "main", Text: tc.text, Capture: tc.want}})
			})
		})
	}
}

// TestEndNeverTold opens one more stream for a log of a container that has ended, which
// is not told while its pod is there.
func TestEndNeverTold(t *testing.T) {
	for title, newPod := range map[string]func(name string, containers ...string) *corev1.Pod{"running": runningPod, "deleted": aPod} {
		t.Run(title, func(t *testing.T) {
			inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
				pod := newPod("p", "main")
				n.write("p/main", "working\n")
				n.end("p/main")
				c.Begin(ctx, job, pod, true)
				<-time.After(10 * time.Minute)
				synctest.Wait()
				if c.Following(job) || len(n.followed) != 2 {
					t.Errorf("%d streams, followed: %t", len(n.followed), c.Following(job))
				}
				c.Gone(job, pod)
				expect(t, c, []kept{{Container: "main", Text: "working\n", Capture: results.Capture{
					Reason: results.ReasonEndNotSeen, Message: "the pod was gone before its container was reported to have ended",
				}}})
			})
		})
	}
}

// TestCutAgainAndAgain has each stream of a container that writes on end at once: of
// two streams one is opened after a pause.
func TestCutAgainAndAgain(t *testing.T) {
	const lines = 1000
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := aPod("p", "main")
		for i := range lines {
			n.cut["p/main"] = append(n.cut["p/main"], (i+1)*len("line\n"))
		}
		n.write("p/main", strings.Repeat("line\n", lines))
		start := time.Now()
		c.Begin(ctx, job, pod, true)
		for n.requests() < lines {
			<-time.After(time.Second)
		}
		if took := time.Since(start); took < lines/2*longestPause*9/10 {
			t.Errorf("%d streams in %s", lines, took)
		}
		n.end("p/main")
		c.Begin(ctx, job, ended(pod), true)
		<-time.After(2 * longestPause)
		synctest.Wait()
		c.Gone(job, ended(pod))
		expect(t, c, []kept{{Container: "main", Text: strings.Repeat("line\n", lines), Capture: whole}})
	})
}

// TestOrders has the ends of streams, of the container and of the pod come in any
// order: a log that is complete has all that was written, of a container that is known
// to have ended.
func TestOrders(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		deleted := rapid.Bool().Draw(r, "deleted")
		working := rapid.SampledFrom([]string{"cut", "fail", "mute", "write", "wait", "delete", "finish"})
		ending := rapid.SampledFrom([]string{"cut", "cut", "mute", "write", "write", "wait", "end", "tell", "tell", "remove", "gone"})
		steps := rapid.SliceOfN(working, 0, 6).Draw(r, "steps")
		steps = append(steps, rapid.SliceOfN(ending, 4, 12).Draw(r, "last steps")...)
		var failure string
		synctest.Test(t, func(t *testing.T) { failure = order(t, deleted, steps) })
		if failure != "" {
			r.Fatal(failure)
		}
	})
}

// order takes the steps that are possible, and returns what is wrong with what is kept.
func order(t *testing.T, deleted bool, steps []string) string {
	t.Helper()
	n := newNode()
	c := New(joblogs.NewReader(n, joblogs.Options{}), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer c.Stop()
	defer cancel()
	seen := runningPod("p", "main")
	if deleted {
		seen = leaving(seen)
	}
	// Two streams that break off without an error, one at once after the other, look as
	// those of a container that has ended do. So does one that brings less than there is
	// and breaks off just before the log is removed.
	var hasEnded, told, gone, removed, muted, wasCut bool
	happens := map[string]func(){}
	happens = map[string]func(){
		"cut": func() {
			if wasCut || removed && muted {
				return
			}
			wasCut, muted = true, false
			n.abort("p/main", io.EOF)
		},
		"fail": func() { n.abort("p/main", io.ErrUnexpectedEOF) },
		"mute": func() { muted = true; n.mute("p/main") },
		"wait": func() { wasCut = false; <-time.After(endToldAfter + endsAtOnce + longestPause) },
		"end":  func() { hasEnded = true; n.end("p/main") },
		"write": func() {
			if !hasEnded {
				wasCut = false
				n.write("p/main", fmt.Sprintf("line %d\n", len(n.log("p/main").text)))
			}
		},
		"tell": func() {
			if hasEnded && !gone {
				seen, told = ended(seen), true
				c.Begin(ctx, job, seen, true)
			}
		},
		"delete": func() {
			if !gone {
				seen = leaving(seen)
				c.Begin(ctx, job, seen, true)
			}
		},
		"finish": func() { c.Finish(job) },
		"remove": func() {
			// The kubelet removes logs of deleted pods whose containers have ended.
			happens["delete"]()
			synctest.Wait()
			if hasEnded {
				removed = true
				n.remove("p")
			}
		},
		"gone": func() { gone, removed = true, true; n.remove("p"); c.Gone(job, seen) },
	}
	n.write("p/main", "begun\n")
	c.Begin(ctx, job, seen, true)
	synctest.Wait()
	for _, step := range steps {
		happens[step]()
		synctest.Wait()
	}
	now := seen
	if gone {
		now = nil
	}
	got, written := keptOf(t, c, now)[0][0], n.log("p/main").text
	if got.Capture.Complete && (!told || got.Text != written) {
		return fmt.Sprintf("complete with %q of %q, its end told: %t", got.Text, written, told)
	}
	if !strings.HasPrefix(written, got.Text) {
		return fmt.Sprintf("%q of %q", got.Text, written)
	}
	return ""
}
