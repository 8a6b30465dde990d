package oracle_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// scene is a namespace with a manager that handles it alone, the Jobs that run
// there, and what they should leave.
type scene struct {
	*world
	t         *testing.T
	name      string
	namespace string
	// neighbour is another namespace of the same manager, if there is one.
	neighbour string
	account   *rest.Config
	settings  settings
	processes []*process
	runs      []expected
	// happening is what users do meanwhile.
	happening sync.WaitGroup

	mu sync.Mutex
	// others are objects of somebody else, which stay as they are.
	others []*corev1.ConfigMap
	// tolerated is a Warning that there may be, or not.
	tolerated string
	// busy tells how many writes the manager may still try in the quiet window.
	busy int
}

// expected is a run with what it should leave.
type expected struct {
	run  *batchv1.Job
	want endState
}

// newScene makes the scene of a test. Its manager goes on after the test: it has
// to be quiet then.
func (w *world) newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{world: w, account: w.account, t: t, name: t.Name()}
	s.namespace = w.newNamespace(s.t.Context(), t)
	t.Cleanup(s.explain)
	t.Cleanup(func() { s.judge(t) })
	t.Cleanup(s.happening.Wait)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scenes = append(w.scenes, s)
	return s
}

// anytime is a context that outlives the test.
func (s *scene) anytime() context.Context { return context.WithoutCancel(s.t.Context()) }

// start starts a manager with a fault of its link, none if nil.
func (s *scene) start(f func(*link) fault) *process {
	s.t.Helper()
	l := newLink(nil)
	if f != nil {
		l.use(f(l))
	}
	return s.startOn(l, s.namespace)
}

func (s *scene) startOn(l *link, namespaces ...string) *process {
	s.t.Helper()
	p, err := startProcess(context.WithoutCancel(s.t.Context()), s.account, l, s.settings, namespaces...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes = append(s.processes, p)
	return p
}

// started returns the processes that were started so far.
func (s *scene) started() []*process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.processes)
}

// replace waits until a process has died, and starts another in its place.
func (s *scene) replace(died *process, f func(*link) fault) *process {
	s.t.Helper()
	s.await("the process has died", func() bool { return died.died() })
	<-died.ended
	return s.start(f)
}

// wasHit expects that a write of the process was not answered.
func (s *scene) wasHit(p *process) {
	s.t.Helper()
	for _, w := range p.written() {
		if w.code == 0 {
			return
		}
	}
	s.t.Error("no write was hit")
}

func (s *scene) wroteAtMost(n int) {
	s.t.Helper()
	if got := s.writes(); got > n {
		s.t.Errorf("%d writes, want %d at most", got, n)
	}
}

// run creates a Job.
func (s *scene) run(job *batchv1.Job) *batchv1.Job {
	s.t.Helper()
	if err := s.Create(s.t.Context(), job); err != nil {
		s.t.Fatal(err)
	}
	return job.DeepCopy()
}

// leaves waits until a run has left what it should, one of wants, and expects that
// it stays so.
func (s *scene) leaves(run *batchv1.Job, wants ...endState) {
	s.t.Helper()
	var got endState
	err := s.eventually(func() (bool, error) {
		// Looked at first, since it costs least.
		job := s.jobState(run)
		if !slices.ContainsFunc(wants, func(want endState) bool { return cmp.Equal(want.Job, job) }) {
			return false, nil
		}
		var err error
		got, err = s.look(s.t.Context(), run)
		return err == nil && slices.ContainsFunc(wants, func(want endState) bool { return cmp.Equal(want, got) }), err
	})
	if foreign := s.othersUntouched(); foreign != nil {
		s.t.Error(foreign)
	}
	if err != nil {
		got, _ = s.look(s.t.Context(), run)
		s.t.Fatalf("%s/%s: %v\n-want +got\n%s", run.Namespace, run.Name, err, cmp.Diff(wants[0], got))
	}
	s.runs = append(s.runs, expected{run, got})
}

// look returns what a run has left by now, but for a Warning that is tolerated.
func (s *scene) look(ctx context.Context, run *batchv1.Job) (endState, error) {
	got, err := s.observe(ctx, run)
	got.Warnings = slices.DeleteFunc(slices.Clone(got.Warnings), func(warning string) bool { return warning == s.tolerated })
	if len(got.Warnings) == 0 {
		got.Warnings = nil
	}
	return got, err
}

// eventually waits until met is, and returns its last error if it never is.
func (s *scene) eventually(met func() (bool, error)) error { return s.within(soon, met) }

// within is eventually with a time of its own.
func (s *scene) within(limit time.Duration, met func() (bool, error)) error {
	var last error
	err := wait.PollUntilContextTimeout(s.t.Context(), poll, limit, true, func(context.Context) (bool, error) {
		var done bool
		done, last = met()
		return done, nil
	})
	return errors.Join(err, last)
}

// await fails the test unless met is met soon.
func (s *scene) await(what string, met func() bool) {
	s.t.Helper()
	if err := s.eventually(func() (bool, error) { return met(), nil }); err != nil {
		s.t.Fatalf("waiting until %s: %v", what, err)
	}
}

// read returns a run's Job as it is, nil if it is gone.
func (s *scene) read(run *batchv1.Job) *batchv1.Job {
	s.t.Helper()
	now := &batchv1.Job{}
	err := s.Get(s.t.Context(), client.ObjectKeyFromObject(run), now)
	if client.IgnoreNotFound(err) != nil {
		s.t.Fatal(err)
	}
	if err != nil || now.UID != run.UID {
		return nil
	}
	return now
}

// jobState returns what is of a run's Job, nil if it is gone or cannot be asked for.
func (s *scene) jobState(run *batchv1.Job) *jobState {
	now := &batchv1.Job{}
	err := s.Get(s.t.Context(), client.ObjectKeyFromObject(run), now)
	if err != nil || now.UID != run.UID {
		return nil
	}
	return jobStateOf(now, s.hider(run))
}

// writes returns how often the processes of the scene wrote, or tried to.
func (s *scene) writes() int {
	n := 0
	for _, p := range s.started() {
		n += len(p.written())
	}
	return n
}

// lastWrite returns when the processes of the scene wrote last, or tried to.
func (s *scene) lastWrite() time.Time {
	var last time.Time
	for _, p := range s.started() {
		for _, w := range p.written() {
			if w.at.After(last) {
				last = w.at
			}
		}
	}
	return last
}

// explain shows of a test that failed what its processes did last.
func (s *scene) explain() {
	if !s.t.Failed() {
		return
	}
	for i, p := range s.processes {
		s.t.Logf("process %d wrote", i)
		for _, w := range p.written() {
			s.t.Logf("  %s %s/%s: %d", w.what, w.namespace, w.name, w.code)
		}
		s.t.Logf("and logged\n%s", p.lines.last(40))
	}
}

// quiet expects of all scenes that nothing is written any more, and that what was
// left stays as it is.
func (w *world) quiet(t *testing.T, quietFor time.Duration) {
	ctx := t.Context()
	w.awaitLastRetries(t)
	before := map[*scene]int{}
	for _, s := range w.scenes {
		before[s] = s.writes()
	}
	pause(ctx, quietFor)
	for _, s := range w.scenes {
		if more := s.writes() - before[s]; more > s.busy {
			for _, p := range s.processes {
				written := p.written()
				for _, w := range written[max(0, len(written)-more):] {
					t.Errorf("%s: after the end: %s %s/%s: %d at %s", s.name, w.what, w.namespace, w.name, w.code, w.at.Format(time.TimeOnly))
				}
			}
		}
		for _, e := range s.runs {
			got, err := s.look(ctx, e.run)
			if err != nil || !cmp.Equal(e.want, got) {
				t.Errorf("%s: %v, -want +got\n%s", s.name, err, cmp.Diff(e.want, got))
			}
		}
		if err := s.othersUntouched(); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		s.judge(t)
		for _, p := range s.processes {
			p.cancel()
		}
	}
}

// awaitLastRetries waits as long as a write may be made again whose answer was
// lost: all is as it should be then, but the manager does not know.
func (w *world) awaitLastRetries(t *testing.T) {
	var last time.Time
	for _, s := range w.scenes {
		if written := s.lastWrite(); s.busy == 0 && written.After(last) {
			last = written
		}
	}
	pause(t.Context(), time.Until(last.Add(longestRetry)))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
