package job_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/internal/policy"
)

// slowestBackoff is how far apart the queue tries again after an error.
const slowestBackoff = 20 * time.Second

// leastFloor is the least that --ttl-floor takes.
const leastFloor = 5 * time.Minute

// A Job whose own TTL is 0 is kept ahead of it for as long as it is not stored,
// whatever stands against that: each pass comes before the TTL ends that the pass
// before it left.
var _ = Describe("The TTL of a finished Job that is not stored", func() {
	// trouble makes storing fail until the function that it returns is called.
	type trouble func(ctx SpecContext, h *handler) (end func())

	quota := func(ctx SpecContext, _ *handler) func() { return forbidConfigMaps(ctx) }
	unreadable := func(_ SpecContext, h *handler) func() {
		h.logs.read = everyLog(unreachable)
		return func() { h.logs.read = nil }
	}
	busy := func(_ SpecContext, h *handler) func() {
		h.before = failing(createResults, apierrors.NewServiceUnavailable("away"))
		return func() { h.before = nil }
	}
	noEvents := func(_ SpecContext, h *handler) func() {
		h.before = failing(createEvent, apierrors.NewForbidden(batchv1.Resource("events"), "", errors.New("not here")))
		return func() { h.before = nil }
	}

	// end is when Kubernetes deletes the Job.
	end := func(ctx context.Context, object *batchv1.Job) time.Time {
		GinkgoHelper()
		now := read(ctx, object)
		Expect(now.Spec.TTLSecondsAfterFinished).NotTo(BeNil())
		return now.Status.CompletionTime.Add(time.Duration(*now.Spec.TTLSecondsAfterFinished) * time.Second)
	}

	DescribeTable("stays ahead of each pass for three floors", func(ctx SpecContext, floor time.Duration, cause trouble) {
		h := newHandler(func(o *job.Options) { o.TTLFloor, o.LogDeadline = floor, 24*time.Hour })
		mend := cause(ctx, h)
		object := aJob().TTL(0).Obj()
		policy.Stamp(object, floor, true, policy.LeftAlone{})
		object = create(ctx, object)
		start(ctx, object)
		addPod(ctx, object, ended(0))
		complete(ctx, object, 1)

		least := floor
		for began := h.clock.Now(); h.clock.Now().Sub(began) < 3*floor; {
			result, err := h.pass(ctx, object)
			next := result.RequeueAfter
			if err != nil {
				next = slowestBackoff
			}
			Expect(next).To(BeNumerically(">", 0))
			h.step(next)
			left := end(ctx, object).Sub(h.clock.Now())
			least = min(least, left)
			Expect(left).To(BeNumerically(">", 0), "the TTL ended before the next pass, %s after the last", next)
		}
		Expect(least).To(BeNumerically(">=", floor/4), "what is left for a pass that is late")

		mend()
		h.settle(ctx, object)
		expectStored(ctx, object)
		expectGone(ctx, object)
	},
		Entry("a quota, the least floor", leastFloor, trouble(quota), SpecTimeout(specTimeout)),
		Entry("a quota, the default", ttlFloor, trouble(quota), SpecTimeout(specTimeout)),
		Entry("logs that cannot be read, the least floor", leastFloor, trouble(unreadable), SpecTimeout(specTimeout)),
		Entry("an API server that is busy, the least floor", leastFloor, trouble(busy), SpecTimeout(specTimeout)),
		Entry("Events that are refused, the least floor", leastFloor, trouble(noEvents), SpecTimeout(specTimeout)),
	)

	It("is looked after again however long its logs take to read", func(ctx SpecContext) {
		h := newHandler()
		object := completed(ctx, aJob().TTL(0))
		var left time.Duration
		h.logs.during = func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			return nil
		}
		h.settle(ctx, object)
		Expect(left).To(And(BeNumerically(">", 0), BeNumerically("<=", ttlFloor/4)), "a pass begins with half of the floor left")
		expectStored(ctx, object)
	})

	It("was raised at creation, so that a manager that is away for less than the floor finds it", func(ctx SpecContext) {
		object := completed(ctx, aJob().TTL(0))
		Expect(end(ctx, object)).To(BeTemporally(">=", object.Status.CompletionTime.Add(ttlFloor)))

		h := newHandler()
		h.step(ttlFloor - time.Second)
		lift := forbidConfigMaps(ctx)
		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
		Expect(end(ctx, object).Sub(h.clock.Now())).To(BeNumerically(">=", ttlFloor))
		lift()
		h.settle(ctx, object)
		expectStored(ctx, object)
	})
})
