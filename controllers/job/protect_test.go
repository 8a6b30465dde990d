package job_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/controllers/job"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/metrics"
	"github.com/job-handler/job-handler/internal/plan"
)

const foreign = "example.com/somebody-else"

// protect makes the Job what admission makes of one that asks for protection.
func protect(b *jobtest.JobBuilder) *jobtest.JobBuilder {
	return b.Annotation(api.ProtectAnnotation, api.True).Finalizer(api.ResultsFinalizer)
}

// deleted deletes the Job as kubectl does, and returns it if it is there still.
func deleted(ctx context.Context, object *batchv1.Job) *batchv1.Job {
	GinkgoHelper()
	Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
	now := read(ctx, object)
	Expect(now.DeletionTimestamp).NotTo(BeNil())
	return now
}

// terminating has the spec's Namespace go. Nobody empties it.
func terminating(ctx context.Context) {
	GinkgoHelper()
	Expect(kube.Delete(ctx, jobtest.MakeNamespace(namespace).Obj())).To(Succeed())
}

// counted has the process count, and returns how many Jobs lost the finalizer by
// reason, and how many deletions it holds up.
func counted(h *handler) (released func() map[string]float64, held func() float64) {
	GinkgoHelper()
	registry := prometheus.NewRegistry()
	measures, err := metrics.NewProtection(registry)
	Expect(err).NotTo(HaveOccurred())
	h.Protection = measures
	gather := func(name string) map[string]float64 {
		GinkgoHelper()
		families, err := registry.Gather()
		Expect(err).NotTo(HaveOccurred())
		values := map[string]float64{}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				value := metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
				if family.GetName() != name || value == 0 {
					continue
				}
				label := ""
				for _, pair := range metric.GetLabel() {
					label = pair.GetValue()
				}
				values[label] = value
			}
		}
		return values
	}
	return func() map[string]float64 { return gather("job_handler_protect_releases_total") },
		func() float64 { return gather("job_handler_protect_held_deletions")[""] }
}

func only(why plan.Released) map[string]float64 { return map[string]float64{string(why): 1} }

var _ = Describe("A protected Job", func() {
	var h *handler
	var released func() map[string]float64
	var held func() float64

	BeforeEach(func() {
		h = newHandler()
		released, held = counted(h)
	})

	It("is let go in the change that reports its results", func(ctx SpecContext) {
		object := failed(ctx, protect(aJob()))

		h.settle(ctx, object)

		Expect(h.written()).To(Equal([]string{createResults, createEvent, patchJob}))
		expectStored(ctx, object)
		now := read(ctx, object)
		Expect(now.Annotations).To(HaveKeyWithValue(api.StatusAnnotation, api.StatusFailed))
		Expect(now.Finalizers).To(BeEmpty())
		Expect(released()).To(Equal(only(plan.ReleasedStored)))
	})

	It("keeps the finalizers of others", func(ctx SpecContext) {
		object := failed(ctx, protect(aJob()))
		change(ctx, object, func(j *batchv1.Job) { j.Finalizers = append(j.Finalizers, foreign) })
		h.settle(ctx, object)
		Expect(read(ctx, object).Finalizers).To(ConsistOf(foreign))
	})

	It("keeps a finalizer that somebody adds in the middle", func(ctx SpecContext) {
		object := failed(ctx, protect(aJob()))
		h.before = func(ctx context.Context, w write) error {
			if w.what == patchJob {
				h.before = nil
				change(ctx, object, func(j *batchv1.Job) { j.Finalizers = append(j.Finalizers, foreign) })
			}
			return nil
		}
		h.settle(ctx, object)
		Expect(read(ctx, object).Finalizers).To(ConsistOf(foreign))
		expectStored(ctx, object)
	})

	It("that is deleted before its results can be stored waits for them, and then goes", func(ctx SpecContext) {
		lift := forbidConfigMaps(ctx)
		object := completed(ctx, protect(aJob()))
		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
		deleted(ctx, object)

		for range 5 {
			wait := h.reconcile(ctx, object).RequeueAfter
			Expect(wait).To(beSlow)
			Expect(read(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))
			Expect(held()).To(BeEquivalentTo(1))
			h.step(wait)
		}
		lift()
		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		Expect(stored.Data[api.DataLogs]).To(ContainSubstring("hello from"))
		Expect(recordOf(stored).Capture.Complete).To(BeTrue())
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
		expectGone(ctx, object)
		Expect(released()).To(Equal(only(plan.ReleasedStored)))
		Expect(held()).To(BeZero())
	}, SpecTimeout(specTimeout))

	It("that is deleted has its logs tried again, as long as they may heal", func(ctx SpecContext) {
		h.logs.read = everyLog(unreachable)
		object := deleted(ctx, completed(ctx, protect(aJob())))

		for range 6 {
			wait := h.reconcile(ctx, object).RequeueAfter
			Expect(wait).To(BeNumerically(">", 0))
			Expect(read(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))
			h.step(wait)
		}
		h.logs.read = nil
		h.settle(ctx, object)

		Expect(recordOf(expectStored(ctx, object)).Capture.Complete).To(BeTrue())
		expectGone(ctx, object)
	})

	It("that is deleted before it finished goes at once", func(ctx SpecContext) {
		object := deleted(ctx, running(ctx, protect(aJob())))

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		expectGone(ctx, object)
		Expect(h.written()).To(Equal([]string{patchJob}))
		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(eventsOf(ctx, object, "")).To(BeEmpty())
		Expect(released()).To(Equal(only(plan.ReleasedUnfinished)))
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())
		Expect(held()).To(BeZero())
	})

	DescribeTable("that opts out goes at once", func(ctx SpecContext, optOut func(context.Context, *batchv1.Job)) {
		forbidConfigMaps(ctx)
		// A Job without labels would get those of its template.
		object := completed(ctx, protect(aJob().Label("app", "batch")))
		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
		deleted(ctx, object)
		optOut(ctx, object)

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		expectGone(ctx, object)
		Expect(released()).To(Equal(only(plan.ReleasedOptedOut)))
	},
		Entry("by label", func(ctx context.Context, object *batchv1.Job) {
			change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False })
		}),
		Entry("by annotation", func(ctx context.Context, object *batchv1.Job) {
			change(ctx, object, func(j *batchv1.Job) {
				delete(j.Labels, api.EnabledLabel)
				j.Annotations[api.EnabledAnnotation] = api.False
			})
		}),
		Entry("with its Namespace", func(ctx context.Context, object *batchv1.Job) {
			disableNamespace(ctx)
			change(ctx, object, func(j *batchv1.Job) { delete(j.Labels, api.EnabledLabel) })
		}),
	)

	It("that lost its label is held, and handled, while its Namespace opts in", func(ctx SpecContext) {
		object := deleted(ctx, completed(ctx, protect(aJob().Label("app", "batch"))))
		change(ctx, object, func(j *batchv1.Job) { delete(j.Labels, api.EnabledLabel) })

		h.reconcile(ctx, object)
		Expect(read(ctx, object).Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
		h.settle(ctx, object)

		expectStored(ctx, object)
		expectGone(ctx, object)
	})

	It("in a Namespace that is excluded by now goes", func(ctx SpecContext) {
		object := deleted(ctx, completed(ctx, protect(aJob())))
		h.Options.ExcludedNamespaces = []string{namespace}

		h.settle(ctx, object)

		expectGone(ctx, object)
		Expect(resultsIn(ctx)).To(BeEmpty())
	})

	DescribeTable("whose Namespace goes does not hold it up", func(ctx SpecContext, finish func(context.Context, *jobtest.JobBuilder) *batchv1.Job) {
		object := deleted(ctx, finish(ctx, protect(aJob())))
		terminating(ctx)

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		expectGone(ctx, object)
		Expect(h.written()).To(Equal([]string{patchJob}))
		Expect(released()).To(Equal(only(plan.ReleasedNamespace)))
	},
		Entry("while it runs", running), Entry("when it has completed", completed), Entry("when it has failed", failed),
	)

	It("whose Namespace goes in the middle does not hold it up", func(ctx SpecContext) {
		object := deleted(ctx, completed(ctx, protect(aJob())))
		h.before = func(ctx context.Context, w write) error {
			if w.what == createResults {
				terminating(ctx)
			}
			return nil
		}

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		expectGone(ctx, object)
		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(released()).To(Equal(only(plan.ReleasedNamespace)))
	})

	It("is not held any more once its Namespace goes, whoever deletes it then", func(ctx SpecContext) {
		object := running(ctx, protect(aJob()))
		terminating(ctx)
		h.reconcile(ctx, object)
		Expect(read(ctx, object).Finalizers).To(BeEmpty())
		h.forgetWrites()
		h.reconcile(ctx, object)
		Expect(h.written()).To(BeEmpty())
	})

	It("goes at once when protection is taken back", func(ctx SpecContext) {
		forbidConfigMaps(ctx)
		object := deleted(ctx, completed(ctx, protect(aJob())))
		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
		annotate(ctx, object, api.ProtectAnnotation, api.False)

		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		expectGone(ctx, object)
		Expect(released()).To(Equal(only(plan.ReleasedWithdrawn)))
	})

	It("loses the finalizer when protection is taken back, and has it again when it is given", func(ctx SpecContext) {
		forbidConfigMaps(ctx)
		unfinished, finished := running(ctx, protect(aJobCalled("unfinished"))), completed(ctx, protect(aJobCalled("finished")))
		for _, object := range []*batchv1.Job{unfinished, finished} {
			annotate(ctx, object, api.ProtectAnnotation, api.False)
			h.reconcile(ctx, object)
			Expect(read(ctx, object).Finalizers).To(BeEmpty())
			annotate(ctx, object, api.ProtectAnnotation, api.True)
			h.reconcile(ctx, object)
			Expect(read(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))
		}
		Expect(released()).To(Equal(map[string]float64{string(plan.ReleasedWithdrawn): 2}))
	})

	DescribeTable("gets the finalizer that admission missed", func(ctx SpecContext, builder func(ctx context.Context) *jobtest.JobBuilder, flag, want bool) {
		h.Options.Defaults.Protect = flag
		object := running(ctx, builder(ctx))

		h.reconcile(ctx, object)

		if !want {
			Expect(read(ctx, object).Finalizers).To(BeEmpty())
			return
		}
		Expect(read(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))
		h.forgetWrites()
		Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(recheckInterval))
		Expect(h.written()).To(BeEmpty())
	},
		Entry("for its annotation", func(context.Context) *jobtest.JobBuilder { return aJob().Annotation(api.ProtectAnnotation, api.True) }, false, true),
		Entry("for its Namespace's", func(ctx context.Context) *jobtest.JobBuilder {
			annotateNamespace(ctx, api.ProtectAnnotation, api.True)
			return aJob()
		}, false, true),
		Entry("for the flag", func(context.Context) *jobtest.JobBuilder { return aJob() }, true, true),
		Entry("unless its annotation says no", func(context.Context) *jobtest.JobBuilder { return aJob().Annotation(api.ProtectAnnotation, api.False) }, true, false),
		Entry("unless nobody wants it", func(context.Context) *jobtest.JobBuilder { return aJob() }, false, false),
		Entry("a value that nobody understands apart", func(context.Context) *jobtest.JobBuilder { return aJob().Annotation(api.ProtectAnnotation, "yes") }, false, false),
	)

	It("gets the finalizer also if it was first seen finished, for as long as it is not stored", func(ctx SpecContext) {
		lift := forbidConfigMaps(ctx)
		object := completed(ctx, aJob().TTL(0).Annotation(api.ProtectAnnotation, api.True))

		h.reconcile(ctx, object)
		Expect(read(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))
		deleted(ctx, object)
		lift()
		h.settle(ctx, object)

		expectStored(ctx, object)
		expectGone(ctx, object)
	})

	It("that somebody says is stored does not go before it is", func(ctx SpecContext) {
		object := completed(ctx, protect(aJob()))
		annotate(ctx, object, api.StatusAnnotation, api.StatusCompleted)
		deleted(ctx, object)

		h.settle(ctx, object)

		expectStored(ctx, object)
		expectGone(ctx, object)
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	})
})

var _ = Describe("The deadline of a protected Job's deletion", func() {
	var h *handler
	var released func() map[string]float64

	BeforeEach(func() {
		h = newHandler()
		released, _ = counted(h)
	})

	It("lets it go without results, in time, with a Warning", func(ctx SpecContext) {
		forbidConfigMaps(ctx)
		object := deleted(ctx, completed(ctx, protect(aJob())))
		until := object.DeletionTimestamp.Add(protectDeadline)

		for h.clock.Now().Before(until) {
			wait := h.reconcile(ctx, object).RequeueAfter
			Expect(wait).To(BeNumerically(">", 0))
			Expect(h.clock.Now().Add(wait)).NotTo(BeTemporally(">", until))
			Expect(read(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))
			h.step(wait)
		}
		Expect(released()).To(BeEmpty())
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeZero())

		expectGone(ctx, object)
		Expect(resultsIn(ctx)).To(BeEmpty())
		Expect(released()).To(Equal(only(plan.ReleasedDeadline)))
		Expect(warningsOf(ctx, object)).To(ContainElement(And(
			ContainSubstring("is deleted without stored results"), ContainSubstring("1h0m0s"), ContainSubstring("exceeded quota"))))
		Expect(outcomesOf(ctx, object)).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("counts from the deletion, not from the Job's end", func(ctx SpecContext) {
		forbidConfigMaps(ctx)
		object := completed(ctx, protect(aJob()))
		h.Options.ProtectDeadline = time.Second
		h.step(24 * time.Hour)

		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)

		Expect(read(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))
		Expect(released()).To(BeEmpty())
	})

	It("that passed while the manager was away leaves time for one try", func(ctx SpecContext) {
		object := deleted(ctx, completed(ctx, protect(aJob())))
		h.step(2 * protectDeadline)

		h.settle(ctx, object)

		expectStored(ctx, object)
		expectGone(ctx, object)
		Expect(released()).To(Equal(only(plan.ReleasedStored)))
		Expect(warningsOf(ctx, object)).To(BeEmpty())
	})

	It("ends the wait for logs, and what there is is stored", func(ctx SpecContext) {
		h = newHandler(func(o *job.Options) { o.LogDeadline = 24 * time.Hour })
		released, _ = counted(h)
		h.logs.read = everyLog(unreachable)
		object := deleted(ctx, completed(ctx, protect(aJob())))
		began := h.clock.Now()

		passes := 0
		for wait := h.reconcile(ctx, object).RequeueAfter; wait > 0; wait = h.reconcile(ctx, object).RequeueAfter {
			passes++
			h.step(wait)
		}

		Expect(h.clock.Now().Sub(began)).To(BeNumerically("~", protectDeadline, 2*time.Second))
		Expect(passes).To(BeNumerically(">", 100))
		Expect(recordOf(expectStored(ctx, object)).Capture.Complete).To(BeFalse())
		expectGone(ctx, object)
		Expect(released()).To(Equal(only(plan.ReleasedStored)))
	}, SpecTimeout(specTimeout))

	It("is not over for a process that is told to end, nor for a Job that changed", func(ctx SpecContext) {
		object := deleted(ctx, completed(ctx, protect(aJob())))
		h.step(2 * protectDeadline)
		ending, cancel := context.WithCancel(ctx)
		h.logs.during = func(ctx context.Context) error {
			cancel()
			return ctx.Err()
		}
		_, err := h.pass(ending, object)
		Expect(err).To(MatchError(context.Canceled))
		Expect(read(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))

		h.logs.during = nil
		h.before = func(ctx context.Context, w write) error {
			if w.what == patchJob {
				h.before = nil
				annotate(ctx, object, "team", "blue")
			}
			return nil
		}
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeNumerically("<", time.Second))
		Expect(read(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))
		h.settle(ctx, object)
		expectStored(ctx, object)
		expectGone(ctx, object)
		Expect(released()).To(Equal(only(plan.ReleasedStored)))
	})

	It("is not over because of a conflict that is about something else", func(ctx SpecContext) {
		object := deleted(ctx, completed(ctx, protect(aJob())))
		h.step(2 * protectDeadline)
		h.before = failing(createResults, apierrors.NewConflict(corev1.Resource("configmaps"), "job-results", errors.New("changed meanwhile")))
		Expect(h.reconcile(ctx, object).RequeueAfter).To(BeNumerically("<", time.Second))
		Expect(read(ctx, object).Finalizers).To(ConsistOf(api.ResultsFinalizer))

		h.before = nil
		h.settle(ctx, object)
		expectStored(ctx, object)
		expectGone(ctx, object)
	})

	It("comes back to what cannot be let go either", func(ctx SpecContext) {
		forbidConfigMaps(ctx)
		object := deleted(ctx, completed(ctx, protect(aJob())))
		// The server's times are whole seconds, and may be later than the clock's.
		h.step(protectDeadline + 2*time.Second)
		h.before = failing(patchJob, apierrors.NewForbidden(batchv1.Resource("jobs"), object.Name, errors.New("not here")))
		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
		Expect(released()).To(BeEmpty())

		h.before = nil
		h.settle(ctx, object)
		expectGone(ctx, object)
		Expect(released()).To(Equal(only(plan.ReleasedDeadline)))
	})

	It("has a Warning of type and action that people look for", func(ctx SpecContext) {
		forbidConfigMaps(ctx)
		object := deleted(ctx, failed(ctx, protect(aJob())))
		// The server's times are whole seconds, and may be later than the clock's.
		h.step(protectDeadline + 2*time.Second)
		h.settle(ctx, object)
		Expect(eventsOf(ctx, object, "")).To(ConsistOf(And(
			HaveField("Type", corev1.EventTypeWarning), HaveField("Action", api.ActionHandle))))
	})
})
