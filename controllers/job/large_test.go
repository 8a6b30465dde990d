package job

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/plan"
	"github.com/job-handler/job-handler/internal/policy"
)

// slowServer answers patches when answer is closed.
type slowServer struct {
	client.Client

	answer         chan struct{}
	patching, most atomic.Int32
}

func newSlowServer(jobs ...client.Object) *slowServer {
	s := &slowServer{answer: make(chan struct{})}
	s.Client = fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(jobs...).WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			s.most.Store(max(s.most.Load(), s.patching.Add(1)))
			defer s.patching.Add(-1)
			<-s.answer
			return c.Patch(ctx, object, patch, options...)
		},
	}).Build()
	return s
}

// suspendedJobs are so many that lack a stamp, as the cache has them.
func suspendedJobs(t *testing.T, name string, jobs, bytes int) (whole []client.Object, cached []*batchv1.Job) {
	t.Helper()
	for i := range jobs {
		job := jobtest.MakeJob("team", fmt.Sprintf("%s-%d", name, i)).Label(api.EnabledLabel, api.True).Suspended().
			Annotation("note", strings.Repeat("x", bytes)).Obj()
		job.ResourceVersion = "1"
		whole = append(whole, job)
		job = job.DeepCopy()
		pruneJob(job, policy.Defaults{})
		cached = append(cached, job)
	}
	return whole, cached
}

// changeOf is a decision to put a label on a Job.
func changeOf(job *batchv1.Job) (plan.Observation, plan.Decision) {
	desired := job.DeepCopy()
	desired.Labels["job-handler/other"] = "x"
	return plan.Observation{Job: job}, plan.Decision{Action: plan.Change, Desired: desired}
}

// Large Jobs are written a few at a time, leave workers for others, and are all
// handled in the end. Other Jobs are written beside them.
func TestLargeJobsLeaveRoom(t *testing.T) {
	const count = 3 * largeAtWork
	huge, hugeCached := suspendedJobs(t, "huge", count, 2*largeBytes)
	small, smallCached := suspendedJobs(t, "small", count, largeBytes/2)
	synctest.Test(t, func(t *testing.T) {
		server := newSlowServer(append(huge, small...)...)
		r := &Reconciler{Ledger: &ledger.Ledger{}, PodLogs: &podlogs.Keeper{}, Client: server, Clock: clock.RealClock{}}
		var group sync.WaitGroup
		var later atomic.Int32
		handle := func(job *batchv1.Job) {
			group.Go(func() {
				observed, decision := changeOf(job)
				result, err := r.act(t.Context(), observed, decision)
				if err != nil {
					t.Error(err)
				}
				if result.RequeueAfter > 0 {
					later.Add(1)
				}
			})
		}
		for _, job := range hugeCached {
			handle(job)
		}
		synctest.Wait()
		if got := server.patching.Load(); got != largeWrites {
			t.Errorf("%d large Jobs are written at once, want %d", got, largeWrites)
		}
		if got := later.Load(); got != count-largeAtWork {
			t.Errorf("%d large Jobs are put off, want %d of %d", got, count-largeAtWork, count)
		}
		for _, job := range smallCached {
			handle(job)
		}
		synctest.Wait()
		if got := server.patching.Load(); got != largeWrites+count {
			t.Errorf("%d Jobs are written at once, want %d large ones and %d others", got, largeWrites, count)
		}
		close(server.answer)
		group.Wait()
		if _, entered := r.large.enter(hugeCached[0]); !entered {
			t.Error("no large Job can be handled any more")
		}
	})
}

// A large Job that waits for others ends with its context.
func TestLargeJobWaitsWithinContext(t *testing.T) {
	_, cached := suspendedJobs(t, "huge", largeWrites+1, 2*largeBytes)
	var l large
	for _, job := range cached[:largeWrites] {
		if _, err := l.write(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.write(ctx, cached[largeWrites]); err == nil {
		t.Error("one more is written")
	}
}

// That a Job is large is known of the pruned one, and of what a patch answers.
func TestLargeIsKnown(t *testing.T) {
	for bytes, want := range map[int]bool{0: false, largeBytes / 2: false, largeBytes: true, 10 * largeBytes: true} {
		whole, cached := suspendedJobs(t, "job", 1, bytes)
		job, is := whole[0].(*batchv1.Job)
		if !is || isLarge(job) != want || isLarge(cached[0]) != want {
			t.Errorf("%d bytes: large %t, pruned %t, want %t", bytes, isLarge(job), isLarge(cached[0]), want)
		}
		if pruneJob(cached[0], policy.Defaults{}); isLarge(cached[0]) != want {
			t.Errorf("%d bytes: pruned twice it is not known", bytes)
		}
	}
}

// Jobs whose label went away are read whole, few at once: a tenant can take the label
// from hundreds of large ones.
func TestReleasedJobsAreReadFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		var reading, most atomic.Int32
		live := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				most.Store(max(most.Load(), reading.Add(1)))
				defer reading.Add(-1)
				<-answer
				return c.Get(ctx, key, object, options...)
			},
		}).Build()
		r := &Reconciler{Ledger: &ledger.Ledger{}, PodLogs: &podlogs.Keeper{}, Live: live, Client: live, Clock: clock.RealClock{}}
		var all sync.WaitGroup
		for i := range 10 * wholeReads {
			all.Go(func() {
				if _, err := r.release(t.Context(), client.ObjectKey{Namespace: "team", Name: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(answer)
		all.Wait()
		if got := most.Load(); got != wholeReads {
			t.Errorf("%d Jobs were read at once, want %d", got, wholeReads)
		}
	})
}
