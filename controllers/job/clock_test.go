package job_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/serverclock"
)

var _ = Describe("A manager whose clock is off", func() {
	// offBy returns a process on a machine whose clock is off, which has heard
	// from the API server.
	offBy := func(ctx context.Context, off time.Duration) *handler {
		GinkgoHelper()
		local := clocktesting.NewFakePassiveClock(time.Now().Add(off))
		clock := serverclock.New(local)
		config := rest.CopyConfig(managerConfig)
		config.Wrap(clock.Wrap)
		h := handlerOf(suite.Client(config), local, &logs{})
		h.Clock, h.Events = clock, events.New(h.Client, clock, "manager-0")
		Expect(h.base.List(ctx, &batchv1.JobList{}, client.InNamespace(namespace))).To(Succeed())
		return h
	}
	// table tells for clocks that are off by so much.
	table := func(what string, body func(ctx SpecContext, off time.Duration)) {
		DescribeTable(what, body,
			Entry("an hour fast", time.Hour), Entry("an hour slow", -time.Hour), Entry("years slow", -30*365*24*time.Hour))
	}

	table("stores and deletes, and dates results by the cluster's clock", func(ctx SpecContext, off time.Duration) {
		h := offBy(ctx, off)
		done := completed(ctx, aJob().Annotation(api.ResultsTTLAnnotation, "1h"))
		kept := failed(ctx, aJobCalled("kept").TTL(10))

		h.settle(ctx, done)
		h.settle(ctx, kept)

		expectGone(ctx, done)
		stored := expectStored(ctx, done)
		for key, want := range map[string]time.Time{
			api.CreatedAtAnnotation: time.Now(), api.ExpiresAtAnnotation: time.Now().Add(time.Hour),
		} {
			at, err := time.Parse(time.RFC3339, stored.Annotations[key])
			Expect(err).NotTo(HaveOccurred())
			Expect(at).To(BeTemporally("~", want, time.Minute), key)
		}
		Expect(read(ctx, kept).Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(10)))
		Expect(outcomesOf(ctx, done)).To(HaveLen(1))
	})

	table("keeps the TTL ahead of what is left of it", func(ctx SpecContext, off time.Duration) {
		h := offBy(ctx, off)
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog { return unreachable(container) }
		object := create(ctx, stamped(aJob().TTL(10)))
		addPod(ctx, object, ended(0))
		object.Status.StartTime = new(metav1.NewTime(time.Now().Add(-50*time.Minute - ran).Truncate(time.Second)))
		object.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
		complete(ctx, object, 1)

		Expect(h.reconcile(ctx, object).RequeueAfter).NotTo(BeZero())

		held := read(ctx, object)
		Expect(held.Spec.TTLSecondsAfterFinished).To(HaveValue(BeNumerically("~", (50*time.Minute + ttlFloor).Seconds(), 60)))
		Expect(held.Annotations).To(HaveKeyWithValue(api.TTLAnnotation, HavePrefix("10;raised=")))
	})

	// A clock that is never put right: durations count all the same.
	table("tries to read logs until their deadline", func(ctx SpecContext, off time.Duration) {
		h := newHandler()
		h.step(off)
		h.logs.read = func(_ *corev1.Pod, container string) results.ContainerLog { return unreachable(container) }
		object := completed(ctx, aJob())
		begin := h.clock.Now()

		h.settle(ctx, object)

		Expect(h.clock.Now().Sub(begin)).To(BeNumerically("~", logDeadline, time.Minute))
		Expect(expectStored(ctx, object).Name).To(Equal("job-results"))
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
	})

	table("deletes a CronJob's Job once that took note", func(ctx SpecContext, off time.Duration) {
		h := offBy(ctx, off)
		cronJob := jobtest.MakeCronJob(namespace, "nightly").Obj()
		Expect(kube.Create(ctx, cronJob)).To(Succeed())
		object := completed(ctx, aJob().OwnedBy("batch/v1", "CronJob", cronJob.Name, cronJob.UID))
		Expect(h.reconcile(ctx, object).RequeueAfter).NotTo(BeZero())
		read(ctx, object)
		cronJob.Status.LastSuccessfulTime = object.Status.CompletionTime
		Expect(kube.Status().Update(ctx, cronJob)).To(Succeed())

		h.settle(ctx, object)

		expectGone(ctx, object)
	})

	table("warns once an hour, also together with one whose clock is right", func(ctx SpecContext, off time.Duration) {
		h, right := offBy(ctx, off), offBy(ctx, 0)
		object := failed(ctx, aJob().Annotation(api.LogModeAnnotation, "x"))
		for range 3 {
			h.settle(ctx, object)
			right.settle(ctx, object)
		}
		// At the turn of an hour the two may be on either side of it.
		Expect(len(warningsOf(ctx, object))).To(BeNumerically("<=", 2+1))
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	})
})
