package capture

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/joblogs"
	"github.com/job-handler/job-handler/internal/results"
)

// livesInTime runs a test with a container that is started again and again.
func livesInTime(t *testing.T, test func(t *testing.T, ctx context.Context, k *restarting, c *Captures)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := &restarting{}
		c := New(joblogs.NewReader(k, joblogs.Options{}), Options{})
		ctx, cancel := context.WithCancel(t.Context())
		test(t, ctx, k, c)
		cancel()
		c.Stop()
	})
}

// told is a log of an instance as tests compare it. Of an earlier one Restart is which,
// of the previous one -1.
type toldLife struct {
	Restart int
	Text    string
	Capture results.Capture
}

// livesOf returns what is kept, given the pod now.
func livesOf(c *Captures, now *corev1.Pod) []toldLife {
	captured, release := c.Of(job)
	defer release()
	return livesIn(captured, now)
}

func livesIn(captured []Captured, now *corev1.Pod) []toldLife {
	var lives []toldLife
	for _, one := range captured {
		for _, l := range one.Logs(now) {
			life := toldLife{Restart: -2, Capture: l.Capture}
			if l.Previous {
				life.Restart = -1
			}
			if l.Earlier != nil {
				life.Restart = int(l.Earlier.Restart)
			}
			if l.Text != nil {
				life.Text = string(l.Text.Head()) + string(l.Text.Tail())
			}
			lives = append(lives, life)
		}
	}
	return lives
}

// live has the container run for so long from now on, and write a line at its start.
func (k *restarting) live(length time.Duration, tell func(*corev1.Pod)) {
	k.start()
	tell(k.status(corev1.PodRunning))
	k.say(fmt.Sprintf("this is %d\n", len(k.lives)-1))
	<-time.After(length)
	k.end(1)
}

var replaced = joblogs.Replaced()

// watch returns what has c be told of states of the pod, each so much later, in order.
func watch(ctx context.Context, c *Captures, behind time.Duration) func(pod *corev1.Pod) {
	type state struct {
		pod *corev1.Pod
		at  time.Time
	}
	states := make(chan state, 1000)
	go func() {
		for {
			select {
			case s := <-states:
				<-time.After(time.Until(s.at))
				c.Lives(ctx, job, s.pod)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func(pod *corev1.Pod) {
		states <- state{pod, time.Now().Add(behind)}
		if behind == 0 {
			synctest.Wait()
		}
	}
}

// TestLives has containers be started again, with the watch behind.
func TestLives(t *testing.T) {
	tests := map[string]struct {
		// length is how long each runs, pause how long it takes to be started again,
		// behind how late the watch is.
		length, pause, behind time.Duration
		want                  []toldLife
	}{
		"some seconds each": {length: 5 * time.Second, want: []toldLife{
			{Restart: -1, Text: "this is 2\n", Capture: whole},
			{Restart: 0, Text: "this is 0\n", Capture: whole},
			{Restart: 1, Text: "this is 1\n", Capture: whole},
		}},
		"with backoff": {length: 5 * time.Second, pause: 10 * time.Second, want: []toldLife{
			{Restart: -1, Text: "this is 2\n", Capture: whole},
			{Restart: 0, Text: "this is 0\n", Capture: whole},
			{Restart: 1, Text: "this is 1\n", Capture: whole},
		}},
		"a watch that is behind": {length: 5 * time.Second, behind: 2 * time.Second, want: []toldLife{
			{Restart: -1, Text: "this is 2\n", Capture: whole},
			{Restart: 0, Text: "this is 0\n", Capture: whole},
			{Restart: 1, Text: "this is 1\n", Capture: whole},
		}},
		"a watch that tells of each too late": {length: 2 * time.Second, behind: 2500 * time.Millisecond, want: []toldLife{
			{Restart: -1, Text: "this is 2\n", Capture: whole},
			{Restart: 0, Capture: replaced},
			{Restart: 1, Capture: replaced},
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			livesInTime(t, func(t *testing.T, ctx context.Context, k *restarting, c *Captures) {
				tell := watch(ctx, c, tc.behind)
				for range 3 {
					k.live(tc.length, tell)
					tell(k.status(corev1.PodRunning))
					if tc.pause > 0 {
						k.wait()
						tell(k.status(corev1.PodRunning))
						<-time.After(tc.pause)
					}
				}
				k.start()
				tell(k.status(corev1.PodRunning))
				<-time.After(5 * time.Second)
				k.end(0)
				last := k.status(corev1.PodSucceeded)
				tell(last)
				<-time.After(time.Minute)
				if diff := cmp.Diff(tc.want, livesOf(c, last)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestLifeOfOneLine has a container write its only line as it ends, and be started again
// within the same second: the line may be one of the next instance.
func TestLifeOfOneLine(t *testing.T) {
	tests := map[string]struct {
		next time.Duration
		want toldLife
	}{
		"the next one runs on":    {10 * time.Second, toldLife{Text: "failed\n", Capture: whole}},
		"the next one ends soon":  {time.Second, toldLife{Text: "failed\n", Capture: whole}},
		"it ends before the read": {0, toldLife{Capture: replaced}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			livesInTime(t, func(t *testing.T, ctx context.Context, k *restarting, c *Captures) {
				k.start()
				<-time.After(5 * time.Second)
				k.say("failed\n")
				k.end(1)
				ended := k.status(corev1.PodRunning)
				if tc.next > 0 {
					c.Lives(ctx, job, ended)
					synctest.Wait()
				}
				for range 2 {
					<-time.After(time.Millisecond)
					k.start()
					if tc.next == 0 && len(k.lives) == 3 {
						c.Lives(ctx, job, ended)
						synctest.Wait()
					}
					c.Lives(ctx, job, k.status(corev1.PodRunning))
					k.say("another\n")
					<-time.After(tc.next)
					k.end(1)
					c.Lives(ctx, job, k.status(corev1.PodRunning))
				}
				<-time.After(time.Minute)
				k.start()
				if got := livesOf(c, k.status(corev1.PodRunning))[1]; got != tc.want {
					t.Errorf("%+v, not %+v", got, tc.want)
				}
			})
		})
	}
}

// TestLastLives has a container fail at once, and another time, or succeed, at once, as
// many do: the log of the first one is told from that of the last one by its first line.
func TestLastLives(t *testing.T) {
	tests := map[string]struct {
		last string
		late bool
		want toldLife
	}{
		"the last one writes":         {"second\n", false, toldLife{Restart: -1, Text: "first\n", Capture: whole}},
		"the last one writes nothing": {"", false, toldLife{Restart: -1, Text: "first\n", Capture: whole}},
		"it is read too late":         {"second\n", true, toldLife{Restart: -1, Capture: replaced}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			livesInTime(t, func(t *testing.T, ctx context.Context, k *restarting, c *Captures) {
				k.start()
				k.say("first\n")
				<-time.After(100 * time.Millisecond)
				k.end(1)
				ended := k.status(corev1.PodRunning)
				if !tc.late {
					c.Lives(ctx, job, ended)
				}
				<-time.After(100 * time.Millisecond)
				k.start()
				if tc.last != "" {
					k.say(tc.last)
				}
				if tc.late {
					c.Lives(ctx, job, ended)
				}
				<-time.After(100 * time.Millisecond)
				k.end(0)
				last := k.status(corev1.PodSucceeded)
				c.Lives(ctx, job, last)
				<-time.After(time.Second)
				synctest.Wait()
				if c.Following(job) {
					t.Error("the Job is held up")
				}
				if diff := cmp.Diff([]toldLife{tc.want}, livesOf(c, last)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestNoLives has containers not be started again: nothing is asked for, or kept.
func TestNoLives(t *testing.T) {
	livesInTime(t, func(t *testing.T, ctx context.Context, k *restarting, c *Captures) {
		k.start()
		k.say("working\n")
		c.Lives(ctx, job, k.status(corev1.PodRunning))
		<-time.After(time.Minute)
		k.end(0)
		c.Lives(ctx, job, k.status(corev1.PodRunning))
		c.Lives(ctx, job, k.status(corev1.PodSucceeded))
		<-time.After(time.Minute)
		if k.requests != 0 || len(c.Pods(job)) != 0 {
			t.Errorf("%d requests, %v kept", k.requests, c.Pods(job))
		}
	})
}

// TestLifeTriedAgain has requests fail.
func TestLifeTriedAgain(t *testing.T) {
	tests := map[string]struct {
		refused, requests int
		want              string
	}{
		"for a while": {3, 3 + 2, "this is 0\n"},
		"for long":    {100, lifeTries, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			livesInTime(t, func(t *testing.T, ctx context.Context, k *restarting, c *Captures) {
				k.refused = tc.refused
				k.live(5*time.Second, func(pod *corev1.Pod) { c.Lives(ctx, job, pod) })
				c.Lives(ctx, job, k.status(corev1.PodRunning))
				<-time.After(time.Minute)
				k.start()
				got := livesOf(c, k.status(corev1.PodRunning))
				if len(got) != 1 || got[0].Text != tc.want || got[0].Capture.Complete != (tc.want != "") || k.requests != tc.requests {
					t.Errorf("%d requests, %+v", k.requests, got)
				}
			})
		})
	}
}

// TestCrashLoop has a container be started again each second for hours: each instance is
// read once, the first and the last ones are kept, and nothing is stored while it runs.
func TestCrashLoop(t *testing.T) {
	const lives = 10_000
	livesInTime(t, func(t *testing.T, ctx context.Context, k *restarting, c *Captures) {
		tell := func(pod *corev1.Pod) { c.Lives(ctx, job, pod) }
		for range lives {
			k.live(time.Second, tell)
			tell(k.status(corev1.PodRunning))
			k.wait()
			tell(k.status(corev1.PodRunning))
			<-time.After(time.Second)
			if due, next := c.Due(); len(due) > 0 || next != 0 {
				t.Fatalf("%v are due, more in %s", due, next)
			}
		}
		if len(c.jobs[job][0].logs) != mostLives || c.earlier.all != mostLives-told || len(c.memory.texts) != mostLives {
			t.Errorf("%d logs are kept, %d earlier ones, %d texts", len(c.jobs[job][0].logs), c.earlier.all, len(c.memory.texts))
		}
		if k.requests > 3*lives {
			t.Errorf("%d requests", k.requests)
		}
		got := livesOf(c, k.status(corev1.PodRunning))
		if first, last := got[1], got[len(got)-1]; first.Text != "this is 0\n" || last.Restart != lives-2 || !last.Capture.Complete {
			t.Errorf("kept %+v to %+v", first, last)
		}
		c.Forget(job)
		if c.earlier.all != 0 || len(c.earlier.byNS) != 0 || len(c.memory.texts) != 0 {
			t.Errorf("%+v earlier ones are left", c.earlier)
		}
	})
}

// TestLivesStored has a manager end between two instances: what it had read is stored,
// and what another one reads is put to it. What was not stored is not made up.
func TestLivesStored(t *testing.T) {
	livesInTime(t, func(t *testing.T, ctx context.Context, k *restarting, c *Captures) {
		tell := func(pod *corev1.Pod) { c.Lives(ctx, job, pod) }
		for range 3 {
			k.live(5*time.Second, tell)
			tell(k.status(corev1.PodRunning))
		}
		k.wait()
		tell(k.status(corev1.PodRunning))
		synctest.Wait()
		if owed := c.Unstored(); len(owed) != 1 {
			t.Fatalf("to be stored: %v", owed)
		}
		stored := packAll(t, c, 1<<20)

		next := New(joblogs.NewReader(k, joblogs.Options{}), Options{})
		tell = func(pod *corev1.Pod) { next.Lives(ctx, job, pod) }
		k.live(5*time.Second, tell)
		tell(k.status(corev1.PodRunning))
		k.start()
		last := k.status(corev1.PodRunning)
		tell(last)
		synctest.Wait()
		here, release := next.Of(job)
		defer release()
		if diff := cmp.Diff([]toldLife{{Restart: -1, Text: "this is 3\n", Capture: whole}}, livesIn(here, last)[:1]); diff != "" {
			t.Errorf("without what is stored (-want +got):\n%s", diff)
		}
		all, done := mustRestore(t, New(nil, Options{}), stored...).With(here)
		defer done()
		if diff := cmp.Diff([]toldLife{
			{Restart: -1, Text: "this is 3\n", Capture: whole},
			{Restart: 0, Text: "this is 0\n", Capture: whole},
			{Restart: 1, Text: "this is 1\n", Capture: whole},
			{Restart: 2, Text: "this is 2\n", Capture: whole},
		}, livesIn(all, last)); diff != "" {
			t.Errorf("with what is stored (-want +got):\n%s", diff)
		}
		end := all[0].Logs(last)[1].Earlier.End
		if end == nil || end.ExitCode != 1 || end.Reason != "Error" || end.Message != "" || end.FinishedAt.Sub(end.StartedAt.Time) != 5*time.Second {
			t.Errorf("the first one ended so: %+v", end)
		}
	})
}

// TestLivesStoredWhenShort has a pod that runs be stored while memory is short, and not
// again for each instance.
func TestLivesStoredWhenShort(t *testing.T) {
	livesInTime(t, func(t *testing.T, ctx context.Context, k *restarting, c *Captures) {
		tell := func(pod *corev1.Pod) { c.Lives(ctx, job, pod) }
		live := func() {
			k.live(5*time.Second, tell)
			tell(k.status(corev1.PodRunning))
			synctest.Wait()
		}
		live()
		c.memory.reserve(c.memory.limit * 3 / 4)
		if due, _ := c.Due(); len(due) != 1 {
			t.Fatalf("due: %v", due)
		}
		packAll(t, c, 1<<20)
		stored := time.Now()
		for {
			live()
			if due, _ := c.Due(); len(due) > 0 {
				break
			}
		}
		if after := time.Since(stored); after < livesPause || after > livesPause+time.Minute {
			t.Errorf("stored again after %s", after)
		}
	})
}

// TestRestartingAll has all containers of a pod be removed and started again: the log of
// one that is at work is followed at once, and nothing of the next instance is taken for
// it.
func TestRestartingAll(t *testing.T) {
	tests := map[string]struct {
		behind bool
		want   []toldLife
	}{
		"in time":  {false, []toldLife{{Restart: -1, Text: "this is 0\n", Capture: whole}}},
		"too late": {true, []toldLife{{Restart: -1, Capture: replaced}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			livesInTime(t, func(t *testing.T, ctx context.Context, k *restarting, c *Captures) {
				k.start()
				k.say("this is 0\n")
				<-time.After(5 * time.Second)
				restarting := k.status(corev1.PodRunning)
				restarting.Status.Conditions = []corev1.PodCondition{{
					Type: corev1.AllContainersRestarting, Status: corev1.ConditionTrue, LastTransitionTime: second(time.Now()),
				}}
				tell := func() {
					c.Lives(ctx, job, restarting)
					synctest.Wait()
				}
				if !tc.behind {
					tell()
				}
				k.end(137)
				k.start()
				k.say("this is 1\n")
				if tc.behind {
					tell()
				}
				now := k.status(corev1.PodRunning)
				// The kubelet forgets what it removes.
				now.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
					Reason: "RestartingAllContainers", ExitCode: 137,
				}
				c.Lives(ctx, job, now)
				<-time.After(3 * catchUp)
				got := livesOf(c, now)
				if !tc.behind && len(got) == 1 && got[0].Capture.Reason == results.ReasonEndNotSeen {
					// Its stream ended before it was told that it had.
					got[0].Capture = whole
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestEarlierBounds keeps few logs of earlier instances where there are many.
func TestEarlierBounds(t *testing.T) {
	logs := func(containers, lives int) *pod {
		p := &pod{object: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "batch"}}}
		for i := range containers * lives {
			p.logs = append(p.logs, &followedLog{container: name(i % containers), instance: id(i / containers), cancel: func() {}})
		}
		return p
	}
	kept := func(p *pod) string {
		var ids []string
		for _, l := range p.logs {
			ids = append(ids, strings.TrimLeft(strings.TrimPrefix(l.instance, "containerd://life"), "0"))
		}
		return strings.Join(ids, " ")
	}
	c := New(nil, Options{})
	one := logs(1, 13)
	if c.forgetEarlier(one); kept(one) != " 4 5 6 7 8 9 10 11 12" {
		t.Errorf("of one container are kept: %s", kept(one))
	}
	many := logs(64, 20)
	if c.forgetEarlier(many); many.earlier > maxEarlierOfPod || many.earlier < maxEarlierOfPod/2 || len(many.byContainer()) != 64 {
		t.Errorf("of many containers %d are kept", many.earlier)
	}
	c.earlier.all, c.earlier.byNS["batch"] = maxEarlier, maxEarlier
	if c.forgetEarlier(one); kept(one) != "11 12" {
		t.Errorf("when there are too many are kept: %s", kept(one))
	}
}
