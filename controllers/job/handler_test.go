package job_test

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/controllers/podlogs"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/ledger"
	"github.com/job-handler/job-handler/internal/pager"
	"github.com/job-handler/job-handler/internal/policy"
	"github.com/job-handler/job-handler/internal/resultstore"
)

const (
	ttlFloor        = time.Hour
	recheckInterval = 30 * time.Second
	logDeadline     = 15 * time.Minute
	protectDeadline = time.Hour

	// The writes by which a Job is handled, in their order.
	createResults = "create ConfigMap"
	createEvent   = "create Event"
	patchJob      = "patch Job"
	deleteJob     = "delete Job"

	// mostPasses is more than any Job needs until nothing is left to do.
	mostPasses = 100
)

// write is one writing request of a handler.
type write struct {
	// what is the verb and the kind.
	what   string
	object client.Object
	// deletion holds the options of a delete.
	deletion client.DeleteOptions
}

// beSlow is the wait before what people have to mend is tried again.
var beSlow = And(BeNumerically(">=", time.Minute), BeNumerically("<=", 4*time.Minute))

// handler is one process of the manager, called directly. It reads what the
// manager's cache would hold if that were never late, and its writes are
// recorded. Its hooks run in the middle of a pass, to change the world there
// or to have the API server answer with an error.
type handler struct {
	*job.Reconciler
	clock *clocktesting.FakePassiveClock
	logs  *logs
	base  client.WithWatch

	// before runs before a write; its error is returned instead of writing.
	before func(context.Context, write) error
	// after runs after a write; its error is returned as if the answer was lost.
	after func(context.Context, write) error
	// beforeRead runs before an object that is no Job is read, and before pods
	// are listed past the cache; its error is returned instead.
	beforeRead func(context.Context, types.NamespacedName, runtime.Object) error
	// late holds Jobs as a late cache still shows them.
	late map[types.NamespacedName]*batchv1.Job

	mu     sync.Mutex
	writes []write
	// liveLists counts the lists of pods that went past the cache.
	liveLists int
}

// newHandler returns a process with the manager's rights at the present time.
func newHandler(change ...func(*job.Options)) *handler {
	now := clocktesting.NewFakePassiveClock(time.Now().Truncate(time.Second))
	return handlerOf(manager, now, &logs{}, change...)
}

func handlerOf(base client.WithWatch, now *clocktesting.FakePassiveClock, logs *logs, change ...func(*job.Options)) *handler {
	h := &handler{base: base, clock: now, logs: logs, late: map[types.NamespacedName]*batchv1.Job{}}
	cached := interceptor.NewClient(base, interceptor.Funcs{
		Get: h.getCached, List: h.listCached,
		Create: h.create, Patch: h.patch, Delete: h.delete,
		Update: h.update,
	})
	live := interceptor.NewClient(base, interceptor.Funcs{Get: h.getLive, List: h.listLive})
	h.Reconciler = &job.Reconciler{
		Ledger: &ledger.Ledger{},
		Client: cached, Live: live, Warnings: events.NewWarnings(pager.Lister{Live: live}, clock.RealClock{}, nil),
		Logs: logs, Events: events.New(cached, now, "manager-0"), Clock: now,
		Store: &resultstore.Store{Client: cached, Live: live},
		Options: job.Options{
			TTLFloor: ttlFloor, RecheckInterval: recheckInterval, LogDeadline: logDeadline,
			ProtectDeadline: protectDeadline, Workers: 1,
		},
	}
	h.PodLogs = &podlogs.Keeper{Client: cached, Live: live, Events: h.Events, Clock: now, Ledger: h.Ledger}
	for _, f := range change {
		f(&h.Options)
	}
	return h
}

// podLogs returns what keeps logs of deleted pods, with the options of the handler.
func (h *handler) podLogs() *podlogs.Keeper {
	h.PodLogs.Store = h.Store
	h.PodLogs.Options = podlogs.Options{
		Defaults: h.Options.Defaults, ExcludedNamespaces: h.Options.ExcludedNamespaces,
		MaxResultsBytes: h.Options.MaxResultsBytes, Redact: h.Options.Redact,
	}
	return h.PodLogs
}

// save saves the captures that are due.
func (h *handler) save(ctx context.Context) time.Duration { return h.podLogs().Save(ctx) }

// saveAll saves all captures.
func (h *handler) saveAll(ctx context.Context) { h.podLogs().SaveAll(ctx) }

// restarted returns the process that takes over from h, with no hook.
func (h *handler) restarted() *handler {
	next := handlerOf(h.base, h.clock, h.logs)
	next.Options = h.Options
	return next
}

// pass looks at a Job once, after the watch has told of all Jobs as they are.
func (h *handler) pass(ctx context.Context, about client.Object) (ctrl.Result, error) {
	var jobs batchv1.JobList
	if err := h.base.List(ctx, &jobs, selectedAs(&batchv1.Job{}, client.ListOptions{Namespace: about.GetNamespace()})...); err != nil {
		return ctrl.Result{}, err
	}
	h.Watched(jobs.Items)
	h.podLogs()
	return h.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(about)})
}

// reconcile looks at a Job once and expects no error.
func (h *handler) reconcile(ctx context.Context, about client.Object) ctrl.Result {
	GinkgoHelper()
	result, err := h.pass(ctx, about)
	Expect(err).NotTo(HaveOccurred())
	return result
}

// settle looks at a Job, as often and as late as the handler wants to, until
// it wants no more.
func (h *handler) settle(ctx context.Context, about client.Object) {
	GinkgoHelper()
	for range mostPasses {
		result, err := h.pass(ctx, about)
		if err == nil && result.RequeueAfter == 0 {
			return
		}
		h.step(result.RequeueAfter)
	}
	Fail("the Job is not done with after many passes")
}

// step lets time pass.
func (h *handler) step(d time.Duration) {
	h.clock.SetTime(h.clock.Now().Add(d))
}

// written returns the writes so far, in words.
func (h *handler) written() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	what := make([]string, 0, len(h.writes))
	for _, w := range h.writes {
		what = append(what, w.what)
	}
	return what
}

// forgetWrites starts counting anew.
func (h *handler) forgetWrites() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes = nil
}

// deletions returns the options of every delete.
func (h *handler) deletions() []client.DeleteOptions {
	h.mu.Lock()
	defer h.mu.Unlock()
	var options []client.DeleteOptions
	for _, w := range h.writes {
		if w.what == deleteJob {
			options = append(options, w.deletion)
		}
	}
	return options
}

func (h *handler) create(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
	return h.write(ctx, "create", write{object: object}, func() error { return c.Create(ctx, object, opts...) })
}

func (h *handler) patch(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return h.write(ctx, "patch", write{object: object}, func() error { return c.Patch(ctx, object, patch, opts...) })
}

func (h *handler) update(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
	return h.write(ctx, "update", write{object: object}, func() error { return c.Update(ctx, object, opts...) })
}

func (h *handler) delete(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
	w := write{object: object}
	w.deletion.ApplyOptions(opts)
	return h.write(ctx, "delete", w, func() error { return c.Delete(ctx, object, opts...) })
}

func (h *handler) write(ctx context.Context, verb string, w write, apply func() error) error {
	kind, err := apiutil.GVKForObject(w.object, scheme.Scheme)
	if err != nil {
		return err
	}
	w.what = verb + " " + kind.Kind
	h.mu.Lock()
	h.writes = append(h.writes, w)
	h.mu.Unlock()
	if h.before != nil {
		if err := h.before(ctx, w); err != nil {
			return err
		}
	}
	if err := apply(); err != nil {
		return err
	}
	if h.after != nil {
		return h.after(ctx, w)
	}
	return nil
}

func (h *handler) getLive(ctx context.Context, c client.WithWatch, key types.NamespacedName, object client.Object, opts ...client.GetOption) error {
	if err := h.reading(ctx, key, object); err != nil {
		return err
	}
	return c.Get(ctx, key, object, opts...)
}

func (h *handler) reading(ctx context.Context, key types.NamespacedName, object runtime.Object) error {
	if h.beforeRead == nil {
		return nil
	}
	return h.beforeRead(ctx, key, object)
}

func (h *handler) listLive(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	h.mu.Lock()
	h.liveLists++
	h.mu.Unlock()
	if err := h.reading(ctx, types.NamespacedName{}, list); err != nil {
		return err
	}
	return c.List(ctx, list, opts...)
}

// getCached shows of Jobs what the cache selects and keeps.
func (h *handler) getCached(ctx context.Context, c client.WithWatch, key types.NamespacedName, object client.Object, opts ...client.GetOption) error {
	cached, isJob := object.(*batchv1.Job)
	if !isJob {
		return h.getLive(ctx, c, key, object, opts...)
	}
	if late := h.late[key]; late != nil {
		late.DeepCopyInto(cached)
	} else if err := c.Get(ctx, key, cached, opts...); err != nil {
		return err
	}
	options := cachedAs(cached)
	if !options.Label.Matches(labels.Set(cached.Labels)) {
		return apierrors.NewNotFound(batchv1.Resource("jobs"), key.Name)
	}
	_, err := options.Transform(cached)
	return err
}

// listCached lists of pods and Jobs those that the cache selects, by its indexes.
func (h *handler) listCached(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	var wanted client.ListOptions
	wanted.ApplyOptions(opts)
	switch list := list.(type) {
	case *corev1.PodList:
		err := c.List(ctx, list, selectedAs(&corev1.Pod{}, wanted)...)
		return cmp.Or(err, indexed(&list.Items, wanted, job.PodsByJob))
	default:
		return c.List(ctx, list, opts...)
	}
}

// selectedAs returns the options that list what the cache selects of objects of this
// kind.
func selectedAs(object client.Object, wanted client.ListOptions) []client.ListOption {
	return []client.ListOption{
		client.InNamespace(wanted.Namespace), client.MatchingLabelsSelector{Selector: cachedAs(object).Label},
	}
}

// indexed leaves of items those with the wanted controller by the index, as the
// cache keeps them.
func indexed[T any, P interface {
	*T
	client.Object
}](items *[]T, wanted client.ListOptions, index string) error {
	uid, is := wanted.FieldSelector.RequiresExactMatch(index)
	Expect(is).To(BeTrue(), "the cache is asked by its index")
	*items = slices.DeleteFunc(*items, func(item T) bool {
		owner := metav1.GetControllerOf(P(&item))
		if owner == nil && index == job.PodsByJob {
			return P(&item).GetLabels()[batchv1.ControllerUidLabel] != uid
		}
		return owner == nil || string(owner.UID) != uid
	})
	for i := range *items {
		object := P(&(*items)[i])
		if _, err := cachedAs(object).Transform(object); err != nil {
			return err
		}
	}
	return nil
}

// cachedAs returns the options with which objects of this kind are cached.
func cachedAs(object client.Object) cache.ByObject {
	for kind, options := range job.CacheOptions(policy.Defaults{PropagatableLabels: []string{"*"}}) {
		if reflect.TypeOf(kind) == reflect.TypeOf(object) {
			return options
		}
	}
	return cache.ByObject{}
}
