package capture

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// aLife is one that is drawn.
type aLife struct {
	// before each line, and before the end, so much time passes; then so much, in which
	// the container waits or has ended, until it is started again.
	gaps  []time.Duration
	pause time.Duration
	waits bool
	// behind is how late the watch tells of a change in it.
	behind time.Duration
}

func drawLife(t *rapid.T) aLife {
	upTo := func(most int) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.IntRange(0, most), func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond })
	}
	gap := rapid.OneOf(rapid.Just(time.Duration(0)), upTo(300), upTo(4000))
	return aLife{
		gaps:  rapid.SliceOfN(gap, 1, 4).Draw(t, "gaps"),
		pause: rapid.OneOf(rapid.Just(time.Duration(0)), upTo(300), upTo(3000)).Draw(t, "pause"),
		waits: rapid.Bool().Draw(t, "waits"),
		// Less than what the kubelet is given to tell of it.
		behind: rapid.OneOf(rapid.Just(time.Duration(0)), upTo(2500)).Draw(t, "behind"),
	}
}

// TestLivesProperty draws containers that are started again, watches that are late, and
// requests that take their time: whatever comes of it, of each instance everything is
// kept, or it is said that it is not; and no line is kept under another instance.
func TestLivesProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lives := rapid.SliceOfN(rapid.Custom(drawLife), 2, 8).Draw(rt, "lives")
		latencies := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{0, time.Millisecond, 300 * time.Millisecond, 1200 * time.Millisecond}), 4, 4).
			Draw(rt, "latencies")
		keepsAll := rapid.Bool().Draw(rt, "keeps all")
		if wrong, _ := outcomeOf(t, &restarting{keepsAll: keepsAll, latencies: latencies}, lives); wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// TestLivesOfALateWatch draws watches that are later than a kubelet is given to tell of a
// restart, of containers that write something each time and are started again a second
// after their end at the earliest: no line is kept under another instance.
func TestLivesOfALateWatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lives := rapid.SliceOfN(rapid.Custom(drawLife), 2, 8).Draw(rt, "lives")
		for i := range lives {
			lives[i].gaps = append(lives[i].gaps, 0)
			lives[i].pause += time.Second
			lives[i].behind += time.Duration(rapid.IntRange(0, 20_000).Draw(rt, "later")) * time.Millisecond
		}
		if wrong, _ := outcomeOf(t, &restarting{latencies: []time.Duration{0, 300 * time.Millisecond, 1200 * time.Millisecond}}, lives); wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// TestLongLivesProperty draws containers of which each instance runs for five seconds at
// least and writes something, whatever and when, with a watch that is a little late: all
// of it is kept.
func TestLongLivesProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lives := rapid.SliceOfN(rapid.Custom(drawLife), 2, 8).Draw(rt, "lives")
		for i := range lives {
			lives[i].gaps = append(lives[i].gaps, 0)
			lives[i].behind /= 10
			at := rapid.IntRange(0, len(lives[i].gaps)-1).Draw(rt, "long")
			lives[i].gaps[at] += 5 * time.Second
		}
		wrong, all := outcomeOf(t, &restarting{latencies: []time.Duration{0, 100 * time.Millisecond, 20 * time.Millisecond}}, lives)
		if wrong != "" || !all {
			rt.Fatalf("all %t, %s", all, wrong)
		}
	})
}

// outcomeOf has the container live so. It tells what is wrong in what is kept, "" if
// nothing is, and whether everything is kept.
func outcomeOf(t *testing.T, k *restarting, lives []aLife) (wrong string, all bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := New(joblogs.NewReader(k, joblogs.Options{}), Options{})
		ctx, cancel := context.WithCancel(t.Context())
		last := k.liveAll(lives, latestOf(ctx, c))
		<-time.After(time.Minute)
		wrong, all = k.wrong(c, last)
		cancel()
		c.Stop()
	})
	return wrong, all
}

// latestOf returns what has c be told of the states of the pod: of those that come due
// together, the last one only.
func latestOf(ctx context.Context, c *Captures) func(pod *corev1.Pod, behind time.Duration) {
	type state struct {
		pod *corev1.Pod
		due time.Time
	}
	states := make(chan state, 1000)
	go func() {
		var next state
		for {
			select {
			case next = <-states:
			case <-ctx.Done():
				return
			}
			<-time.After(time.Until(next.due))
			for len(states) > 0 {
				later := <-states
				if later.due.After(time.Now()) {
					c.Lives(ctx, job, next.pod)
					<-time.After(time.Until(later.due))
				}
				next = later
			}
			c.Lives(ctx, job, next.pod)
		}
	}()
	return func(pod *corev1.Pod, behind time.Duration) { states <- state{pod, time.Now().Add(behind)} }
}

// liveAll has the container live so, and returns the pod once it has ended.
func (k *restarting) liveAll(lives []aLife, tell func(pod *corev1.Pod, behind time.Duration)) *corev1.Pod {
	for i, life := range lives {
		k.start()
		tell(k.status(corev1.PodRunning), life.behind)
		for j, gap := range life.gaps {
			<-time.After(gap)
			if j < len(life.gaps)-1 {
				k.say(fmt.Sprintf("line %d of %d\n", j, i))
			}
		}
		if i == len(lives)-1 {
			break
		}
		k.end(1)
		tell(k.status(corev1.PodRunning), life.behind)
		if life.waits {
			k.wait()
			tell(k.status(corev1.PodRunning), life.behind)
		}
		<-time.After(life.pause)
	}
	k.end(0)
	last := k.status(corev1.PodSucceeded)
	tell(last, 0)
	return last
}

// wrong tells what is wrong in what is kept, "" if nothing is, and whether everything is
// kept.
func (k *restarting) wrong(c *Captures, last *corev1.Pod) (wrong string, all bool) {
	captured, release := c.Of(job)
	defer release()
	kept := map[int]results.ContainerLog{}
	logs := []results.ContainerLog{{Container: "main", Capture: whole}}
	for _, one := range captured {
		for _, l := range one.Logs(last) {
			logs = append(logs, l)
			at := len(k.lives) - 2
			if l.Earlier != nil {
				at = int(l.Earlier.Restart)
			}
			if _, twice := kept[at]; twice || !l.Previous && l.Earlier == nil || at < 0 || at >= len(k.lives)-1 {
				return fmt.Sprintf("a log of %d, %+v", at, l), false
			}
			kept[at] = l
		}
	}
	all = true
	for i, life := range k.lives[:len(k.lives)-1] {
		l, text := kept[i], ""
		if l.Text != nil {
			text = string(l.Text.Head())
		}
		if !strings.HasPrefix(life.text, text) || l.Capture.Complete && text != life.text {
			return fmt.Sprintf("of %d is kept %q, %+v; it wrote %q", i, text, l.Capture, life.text), false
		}
		all = all && text == life.text && l.Capture.Complete
	}
	said := results.Summarize(results.Run{Pods: []results.Pod{{Pod: last, Logs: logs}}})
	if said.Complete && !all {
		return fmt.Sprintf("it is said to be complete, with %+v", kept), false
	}
	return "", all
}
