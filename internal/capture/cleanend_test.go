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

// TestGoneBeforeCompared has a stream end too early, and the pod be gone before the end
// of the log can be compared. Of a stream that ended after the container nothing is
// known to be missing.
func TestGoneBeforeCompared(t *testing.T) {
	podGone := `comparing the end of the log: pods "p" not found`
	tests := map[string]struct {
		steps []string
		text  string
		want  results.Capture
	}{
		"before the end of the container": {
			[]string{"cut", "more", "remove", "tell"}, "working\ngot TERM\n", results.Capture{Reason: results.ReasonPodGone, Message: podGone},
		},
		"after two streams have ended":   {[]string{"more", "remove", "tell"}, "working\ngot TERM\n", whole},
		"after the end of the container": {[]string{"mute", "more", "tell", "remove", "cut"}, "working\n", joblogs.NotCompared()},
		"and its end is never told": {[]string{"cut", "more", "remove", "gone"}, "working\ngot TERM\n", results.Capture{
			Reason: results.ReasonEndNotSeen, Message: "the pod was gone before its container was reported to have ended",
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
					"cut":    func() { n.abort("p/main", io.EOF) },
					"mute":   func() { n.mute("p/main") },
					"more":   func() { n.write("p/main", "got TERM\n"); n.end("p/main") },
					"remove": func() { n.remove("p") },
					"tell":   func() { pod = ended(pod); c.Begin(ctx, job, pod, true) },
					"gone":   func() {},
				}
				for _, step := range tc.steps {
					happens[step]()
					synctest.Wait()
				}
				c.Gone(job, pod)
				synctest.Wait()
				expect(t, c, []kept{{Container: "main", Text: tc.text, Capture: tc.want}})
			})
		})
	}
}

// TestEndNeverTold opens few streams for a log of a container that has ended, which
// is not told while its pod is there.
func TestEndNeverTold(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		pod := aPod("p", "main")
		n.write("p/main", "working\n")
		n.end("p/main")
		c.Begin(ctx, job, pod, true)
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if most := int(10 * time.Minute / endToldAfter); !c.Following(job) || len(n.followed) > most {
			t.Errorf("%d streams, followed: %t", len(n.followed), c.Following(job))
		}
		c.Gone(job, pod)
		synctest.Wait()
		expect(t, c, []kept{{Container: "main", Text: "working\n", Capture: results.Capture{
			Reason: results.ReasonEndNotSeen, Message: "the pod was gone before its container was reported to have ended",
		}}})
	})
}

// TestWaitsWithoutStream has a log of which the end is waited for hold no stream that
// another log could use.
func TestWaitsWithoutStream(t *testing.T) {
	told := &counts{}
	inTime(t, Options{FollowStreams: 1, Metrics: told}, func(t *testing.T, ctx context.Context, n *node, c *Captures) {
		n.write(name(0)+"/main", "working\n")
		n.cut[name(0)+"/main"] = []int{len("working\n")}
		c.Begin(ctx, job, runningPod(name(0), "main"), true)
		synctest.Wait()
		n.write(name(1)+"/main", "working\n")
		c.Begin(ctx, job, runningPod(name(1), "main"), true)
		synctest.Wait()
		told.is(t, 1, 0, 0, 0)
		<-time.After(endToldAfter + time.Second)
		n.end(name(1) + "/main")
		c.Begin(ctx, job, ended(runningPod(name(1), "main")), true)
		synctest.Wait()
		n.write(name(0)+"/main", "got TERM\n")
		n.end(name(0) + "/main")
		c.Begin(ctx, job, ended(runningPod(name(0), "main")), true)
		<-time.After(endToldAfter)
		synctest.Wait()
		told.is(t, 0, 0, 0, 1)
		for i, text := range []string{"working\ngot TERM\n", "working\n"} {
			c.Gone(job, ended(runningPod(name(i), "main")))
			if got := keptOf(t, c, nil)[i][0]; got.Text != text || got.Capture != whole {
				t.Errorf("%+v", got)
			}
		}
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
	// Two streams in a row that break off without an error, while nothing is written,
	// look as those of a container that has ended do.
	var hasEnded, told, gone, wasCut bool
	happens := map[string]func(){
		"cut": func() {
			if !wasCut {
				wasCut = true
				n.abort("p/main", io.EOF)
			}
		},
		"fail": func() { n.abort("p/main", io.ErrUnexpectedEOF) },
		"mute": func() { n.mute("p/main") },
		"wait": func() { <-time.After(endToldAfter + longestPause) },
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
		"remove": func() { n.remove("p") },
		"gone":   func() { gone = true; n.remove("p"); c.Gone(job, seen) },
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
