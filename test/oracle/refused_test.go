package oracle_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/policy"
)

// passing are answers after which the same request is good again.
var passing = []struct {
	name   string
	answer fault
}{
	{"429", answer(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests")},
	{"500", answer(http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcdserver: leader changed")},
	{"503", answer(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "apiserver is shutting down")},
	{"504", answer(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "timeout")},
	{"409", answer(http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified")},
	{"NOSPACE", answer(http.StatusInternalServerError, "", "etcdserver: mvcc: database space exceeded")},
}

// tooLarge are answers to what is too large.
var tooLarge = []struct {
	name   string
	answer fault
}{
	{"413", answer(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "limit is 3145728")},
	{"422", answer(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "Too long: may not be more than 1048576 bytes")},
	{"500", answer(http.StatusInternalServerError, "", "etcdserver: request is too large")},
}

// times is how often in a row an answer comes.
const times = 3

// testAnswers has the API server answer otherwise.
func testAnswers(t *testing.T, w *world) {
	if w.more {
		for _, a := range passing[:3] {
			t.Run(a.name+" to everything for a minute", func(t *testing.T) {
				t.Parallel()
				w.newScene(t).awayFor(a.answer, awayLonger, triesWhileAwayLonger)
			})
		}
		return
	}
	for _, f := range []flow{success, failure} {
		for _, a := range passing {
			for _, what := range append([]string{getResults, listPods}, f.writes...) {
				if what == getResults && f.name == failure.name {
					// Nothing is looked at of a run that is kept.
					continue
				}
				t.Run(fmt.Sprintf("%s, %s to %s, %d times", f.name, a.name, what, times), func(t *testing.T) {
					t.Parallel()
					s := w.newScene(t)
					run := s.run(f.held(s.namespace, "job"))
					s.start(func(*link) fault { return first(times, what, a.answer) })
					s.kubelet.end(s.t.Context(), run.UID)
					s.leaves(run, w.clean[f.name])
					s.wroteAtMost(times*3 + 2*len(f.writes))
				})
			}
		}
	}
	for _, a := range passing {
		t.Run(a.name+" to everything for a while", func(t *testing.T) {
			t.Parallel()
			w.newScene(t).awayFor(a.answer, awayTime, triesWhileAway)
		})
	}
	for _, a := range tooLarge {
		t.Run(a.name+" to results of more than 300 KiB", func(t *testing.T) {
			t.Parallel()
			w.newScene(t).shrunk(a.answer)
		})
		t.Run(a.name+" to results of any size", func(t *testing.T) {
			t.Parallel()
			w.newScene(t).neverSmallEnough(a.answer)
		})
	}
}

// first has f hit the first n requests for what.
func first(n int32, what string, f fault) fault {
	var seen atomic.Int32
	return always(func(a asked) bool { return a.what == what && seen.Add(1) <= n }, f)
}

const (
	// awayTime and awayLonger are how long everything is answered so.
	awayTime   = 8 * time.Second
	awayLonger = time.Minute
	// triesWhileAway are those of one Job in that time, with pauses that double from
	// 100 ms to 20 s.
	triesWhileAway       = 9
	triesWhileAwayLonger = 13
	// triesWhileItChanges are those of a Job whose results are refused, with pauses
	// of a minute and more, until it is at rest: what comes in about it during a try
	// has it be tried at once.
	triesWhileItChanges = 3
)

// awayFor has every request be answered so for a while, watches included: what
// was begun is done soon after, and is tried with growing pauses until then, so
// often at most for each Job.
func (s *scene) awayFor(answer fault, long time.Duration, tries int) {
	s.t.Helper()
	runs := map[*batchv1.Job]flow{}
	for i, f := range []flow{success, failure, keptSuccess} {
		runs[s.run(f.held(s.namespace, fmt.Sprintf("job-%d", i)))] = f
	}
	var away atomic.Bool
	p := s.start(func(*link) fault {
		return always(func(asked) bool { return away.Load() }, answer)
	})
	s.await("the Jobs have been seen", func() bool { return p.count(`"why"="running"`) >= len(runs) })
	away.Store(true)
	for run := range runs {
		s.kubelet.end(s.t.Context(), run.UID)
	}
	time.Sleep(long) //nolint:forbidigo // the fault lasts so long
	tried := len(p.written())
	away.Store(false)
	over := time.Now()
	for run, f := range runs {
		s.leaves(run, s.clean[f.name].named(run.Name))
	}
	if took := time.Since(over); took > drained {
		s.t.Errorf("the Jobs were done with %s afterwards, want %s at most", took, drained)
	}
	if most := tries * len(runs); tried > most {
		s.t.Errorf("while the API server was away, %d writes were tried, want %d at most", tried, most)
	}
}

// shrunk has results be refused above a size: they are stored smaller.
func (s *scene) shrunk(answer fault) {
	s.t.Helper()
	const limit = 300 << 10
	p := s.start(func(*link) fault {
		return always(func(a asked) bool { return a.what == createResults && a.size > limit }, answer)
	})
	run := s.run(program{bytes: 700_000}.stamped(s.namespace))
	want := s.clean[success.name].named(run.Name)
	want.Results[0].Shortened = true
	want.Results[0].Keys = slices.Sorted(slices.Values(append(slices.Clone(want.Results[0].Keys), api.DataLogsGzip)))
	want.Results[0].Capture = "complete=false ShortenedToFit"
	want.Outcomes = append(slices.Clone(want.Outcomes),
		"Warning The logs in ConfigMap job-results are incomplete: ShortenedToFit")
	s.leaves(run, want)
	// Once in parts would be possible, once as large as an object may be.
	if tries := len(p.of(createResults)); tries != 3 {
		s.t.Errorf("results were created %d times, want 3", tries)
	}
}

// neverSmallEnough has results be refused whatever their size: the Job stays, one
// Warning says why, whatever becomes of the process, and it is tried slowly.
func (s *scene) neverSmallEnough(answer fault) {
	s.t.Helper()
	never := func(*link) fault {
		return always(func(a asked) bool { return a.what == createResults }, answer)
	}
	p := s.start(never)
	run := s.run(success.job(s.namespace, "job"))
	s.leaves(run, s.unstored())
	p.die()
	s.start(never)
	s.await("the next process has tried", func() bool {
		return len(s.processes[1].of(createEvent)) > 0
	})
	// A try is of four sizes, and each process sends a Warning. The first one sees
	// the Job change, the second one finds it at rest. One more try may be due in
	// the quiet window.
	s.wroteAtMost((triesWhileItChanges+1)*4 + 2)
	s.busy = 4
}

// unstored is what there is of a Job whose results are refused.
func (s *scene) unstored() endState {
	return endState{
		Job: &jobState{
			Labels:      map[string]string{api.EnabledLabel: api.True},
			Annotations: map[string]string{api.ResultsNameAnnotation: "job-results"}, TTL: -1,
		},
		Warnings: []string{"Warning This Job could not be handled yet, trying again"},
	}
}

func (p program) stamped(namespace string) *batchv1.Job {
	job := p.job(namespace, "job")
	policy.Stamp(job, ttlFloor, true, policy.LeftAlone{})
	return job
}

// testRefused has the API server refuse what concerns one namespace: its Jobs
// stay, with a Warning, and those of another namespace are handled by the same
// manager as if nothing was. When the cause has gone they are done with.
func testRefused(t *testing.T, w *world) {
	t.Run("a quota", func(t *testing.T) {
		t.Parallel()
		s := w.newScene(t)
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "none"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("0")}},
		}
		if err := s.Create(s.t.Context(), quota); err != nil {
			t.Fatal(err)
		}
		s.await("the quota is in force", func() bool {
			return s.Get(s.t.Context(), client.ObjectKeyFromObject(quota), quota) == nil && len(quota.Status.Hard) > 0
		})
		s.refusedHere(func() {
			if err := s.Delete(s.t.Context(), quota); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("no right", func(t *testing.T) {
		t.Parallel()
		s := w.newScene(t)
		user := "oracle:" + s.namespace
		var err error
		s.account, err = s.Manager(s.t.Context(), user, apiserver.Right{Resource: "configmaps", Verb: "create"})
		if err != nil {
			t.Fatal(err)
		}
		s.neighbour = w.newNamespace(s.t.Context(), t)
		s.grant(user, s.neighbour)
		s.refusedHere(func() { s.grant(user, s.namespace) })
	})
	t.Run("the logs of one Job", func(t *testing.T) {
		t.Parallel()
		w.newScene(t).logsAway()
	})
	t.Run("a namespace that ends", func(t *testing.T) {
		t.Parallel()
		w.newScene(t).namespaceEnds()
	})
}

// logsAway has the logs of one Job not be readable for a while. It stays so long,
// with one Warning, and others are not held up.
func (s *scene) logsAway() {
	s.t.Helper()
	p := s.start(nil)
	run := s.run(success.held(s.namespace, "job"))
	s.kubelet.goAway(run.UID, true)
	s.kubelet.end(s.t.Context(), run.UID)
	s.await("its logs have been tried", func() bool { return len(p.of(createEvent)) > 0 })
	for i, f := range []flow{success, failure, keptSuccess} {
		other := s.run(f.job(s.namespace, fmt.Sprintf("job-%d", i)))
		s.leaves(other, s.clean[f.name].named(other.Name))
	}
	if now := s.read(run); now == nil || now.Annotations[api.StatusAnnotation] != "" {
		s.t.Error("a Job whose logs cannot be read is done with")
	}
	s.kubelet.goAway(run.UID, false)
	s.leaves(run, s.clean[success.name].with("Warning Logs cannot be read yet"))
}

// grant lets user create ConfigMaps in a namespace.
func (s *scene) grant(user, namespace string) {
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "store"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}}},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: role.ObjectMeta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := s.Create(s.t.Context(), object); err != nil {
			s.t.Error(err)
		}
	}
}

// refusedHere has a manager at work in the scene's namespace, where it is refused
// to create results until mend is called, and in another one.
func (s *scene) refusedHere(mend func()) {
	s.t.Helper()
	if s.neighbour == "" {
		s.neighbour = s.newNamespace(s.t.Context(), s.t)
	}
	p := s.startOn(newLink(nil), s.namespace, s.neighbour)
	run := s.run(success.job(s.namespace, "job"))
	s.await("it is refused", func() bool { return len(p.of(createEvent)) > 0 })
	for i, f := range []flow{success, failure} {
		other := s.run(f.job(s.neighbour, fmt.Sprintf("job-%d", i)))
		s.leaves(other, s.clean[f.name].named(other.Name))
	}
	s.leaves(run, s.unstored())
	s.runs = s.runs[:len(s.runs)-1]
	refusals := 0
	for _, a := range p.of(createResults) {
		if a.namespace == s.namespace {
			refusals++
		}
	}
	if refusals > triesWhileItChanges {
		s.t.Errorf("what is refused is tried %d times", refusals)
	}
	mend()
	var last time.Time
	s.await("it is done with", func() bool {
		if time.Since(last) > 2*time.Second {
			last = time.Now()
			// Any change has the manager look at once. The Job may be gone by now.
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/mended":%q}}}`, last)
			err := s.Patch(s.t.Context(), run.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
			if client.IgnoreNotFound(err) != nil {
				s.t.Error(err)
			}
		}
		return s.read(run) == nil
	})
	s.leaves(run, s.clean[success.name].with(s.unstored().Warnings...))
}

// namespaceEnds deletes a namespace while results are about to be created in it.
func (s *scene) namespaceEnds() {
	s.t.Helper()
	const hold = "example.com/hold"
	reached, ending := make(chan struct{}), make(chan struct{})
	p := s.start(func(*link) fault {
		return at(1, createResults, before(func() {
			close(reached)
			<-ending
		}))
	})
	run := s.run(success.job(s.namespace, "job", func(job *batchv1.Job) { job.Finalizers = []string{hold} }))
	<-reached
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	if err := s.Delete(s.t.Context(), namespace); err != nil {
		s.t.Fatal(err)
	}
	s.await("the Job is being deleted", func() bool { return s.read(run).DeletionTimestamp != nil })
	close(ending)
	s.await("the request is answered", func() bool { return len(p.of(createResults)) > 0 })
	if code := p.of(createResults)[0].code; code != http.StatusForbidden {
		s.t.Errorf("creating results in a namespace that ends is answered %d", code)
	}
	s.change(run, func(job *batchv1.Job) { job.Finalizers = nil })
	s.await("the namespace is gone", func() bool {
		return apierrors.IsNotFound(s.Get(s.t.Context(), client.ObjectKeyFromObject(namespace), namespace))
	})
	for _, w := range p.written() {
		if w.code < http.StatusBadRequest && !strings.HasPrefix(w.what, createEvent) {
			s.t.Errorf("in a namespace that ends: %v", w)
		}
	}
	s.wroteAtMost(6)
}
