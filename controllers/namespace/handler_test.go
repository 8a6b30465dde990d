package namespace_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/controllers/namespace"
	"github.com/job-handler/job-handler/internal/events"
)

const (
	ttlFloor     = time.Hour
	scanInterval = 5 * time.Minute
)

// handler is one process of the manager, called directly: its cache is never
// late. Its hooks run in the middle of a pass.
type handler struct {
	*namespace.Reconciler
	clock *clocktesting.FakePassiveClock

	// before runs before every write; its error is returned instead of writing.
	before func(context.Context, client.Object) error
	// beforeJob runs before a Job is read from the API server.
	beforeJob func(context.Context, types.NamespacedName) error
	// list is returned instead of listing, if it is an error.
	list error

	writes   int
	jobReads int
}

func newHandler(change ...func(*namespace.Options)) *handler {
	return handlerOf(manager, change...)
}

func handlerOf(base client.WithWatch, change ...func(*namespace.Options)) *handler {
	h := &handler{clock: clocktesting.NewFakePassiveClock(time.Now().Truncate(time.Second))}
	writing := interceptor.NewClient(base, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
			return h.write(ctx, object, func() error { return c.Create(ctx, object, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return h.write(ctx, object, func() error { return c.Patch(ctx, object, patch, opts...) })
		},
	})
	live := interceptor.NewClient(base, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if _, isJob := object.(*batchv1.Job); isJob {
				h.jobReads++
				if h.beforeJob != nil {
					if err := h.beforeJob(ctx, key); err != nil {
						return err
					}
				}
			}
			return c.Get(ctx, key, object, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if h.list != nil {
				return h.list
			}
			return c.List(ctx, list, opts...)
		},
	})
	h.Reconciler = &namespace.Reconciler{
		Client: writing, Live: live, Clock: h.clock, Events: events.New(writing, h.clock, "manager-0"),
		Options: namespace.Options{TTLFloor: ttlFloor, ScanInterval: scanInterval},
	}
	for _, f := range change {
		f(&h.Options)
	}
	return h
}

func (h *handler) write(ctx context.Context, object client.Object, apply func() error) error {
	h.writes++
	if h.before != nil {
		if err := h.before(ctx, object); err != nil {
			return err
		}
	}
	return apply()
}

func (h *handler) pass(ctx context.Context, about client.Object) (ctrl.Result, error) {
	return h.Reconcile(ctx, ctrl.Request{NamespacedName: types.NamespacedName{Name: about.GetName()}})
}

func (h *handler) reconcile(ctx context.Context, about client.Object) ctrl.Result {
	GinkgoHelper()
	result, err := h.pass(ctx, about)
	Expect(err).NotTo(HaveOccurred())
	return result
}

// settle looks at a Namespace as often as its own writes bring it up again.
func (h *handler) settle(ctx context.Context, about client.Object) ctrl.Result {
	GinkgoHelper()
	const most = 5
	for range most {
		before := h.writes
		result := h.reconcile(ctx, about)
		if h.writes == before {
			return result
		}
	}
	Fail("the Namespace is written to again and again")
	return ctrl.Result{}
}

// step lets time pass.
func (h *handler) step(d time.Duration) {
	h.clock.SetTime(h.clock.Now().Add(d))
}
