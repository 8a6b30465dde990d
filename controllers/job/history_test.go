package job_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

var _ = Describe("A Job that its CronJob's history may delete too early", func() {
	var h *handler
	// reads counts how often a CronJob was read; its error is answered.
	var reads int
	var unread error

	BeforeEach(func() {
		h = newHandler()
		reads, unread = 0, nil
		h.beforeRead = func(_ context.Context, _ types.NamespacedName, object runtime.Object) error {
			if _, is := object.(*batchv1.CronJob); is {
				reads++
				return unread
			}
			return nil
		}
	})

	cronJob := func(ctx context.Context, successful, failed int32) *batchv1.CronJob {
		GinkgoHelper()
		object := jobtest.MakeCronJob(namespace, "nightly").History(successful, failed).Obj()
		Expect(kube.Create(ctx, object)).To(Succeed())
		return object
	}
	child := func(owner *batchv1.CronJob, name string) *jobtest.JobBuilder {
		return aJobCalled(name).OwnedBy("batch/v1", "CronJob", owner.Name, owner.UID)
	}
	protected := func(ctx context.Context, object *batchv1.Job) []string {
		GinkgoHelper()
		return read(ctx, object).Finalizers
	}

	// startedAfter returns a Job that runs, and started a second after another.
	startedAfter := func(ctx context.Context, other *batchv1.Job, builder *jobtest.JobBuilder) *batchv1.Job {
		GinkgoHelper()
		object := create(ctx, stamped(builder))
		object.Status.StartTime = &metav1.Time{Time: other.Status.StartTime.Add(time.Second)}
		Expect(kube.Status().Update(ctx, object)).To(Succeed())
		return object
	}

	It("is protected at first sight, and stored though it is deleted as it ends", func(ctx SpecContext) {
		object := running(ctx, child(cronJob(ctx, 0, 1), "job"))
		h.reconcile(ctx, object)
		Expect(protected(ctx, object)).To(ConsistOf(api.ResultsFinalizer))

		object = read(ctx, object)
		addPod(ctx, object, ended(0))
		complete(ctx, object, 1)
		deleted(ctx, object)
		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Data[api.DataLogs]).To(ContainSubstring("hello from"))
		expectGone(ctx, object)
		Expect(reads).To(Equal(1), "of the CronJob, in all passes")
	})

	It("is protected as well if it was first seen finished", func(ctx SpecContext) {
		lift := forbidConfigMaps(ctx)
		object := failed(ctx, child(cronJob(ctx, 3, 0), "job"))
		h.reconcile(ctx, object)
		Expect(protected(ctx, object)).To(ConsistOf(api.ResultsFinalizer))
		lift()
		h.settle(ctx, object)
		Expect(protected(ctx, object)).To(BeEmpty())
	})

	It("stays protected when its CronJob has gone", func(ctx SpecContext) {
		owner := cronJob(ctx, 0, 0)
		object := running(ctx, child(owner, "job"))
		h.reconcile(ctx, object)
		Expect(kube.Delete(ctx, owner)).To(Succeed())
		h = h.restarted()
		lift := forbidConfigMaps(ctx)
		object = read(ctx, object)
		addPod(ctx, object, ended(0))
		complete(ctx, object, 1)
		deleted(ctx, object)

		Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
		Expect(protected(ctx, object)).To(ConsistOf(api.ResultsFinalizer))
		lift()
		h.settle(ctx, object)
		expectStored(ctx, object)
		expectGone(ctx, object)
	})

	DescribeTable("is not protected where somebody says so", func(ctx SpecContext, say func(context.Context, *jobtest.JobBuilder)) {
		builder := child(cronJob(ctx, 0, 0), "job")
		say(ctx, builder)
		object := running(ctx, builder)
		h.reconcile(ctx, object)
		Expect(protected(ctx, object)).To(BeEmpty())
		Expect(reads).To(BeZero())
	},
		Entry("on the Job", func(_ context.Context, b *jobtest.JobBuilder) { b.Annotation(api.ProtectAnnotation, api.False) }),
		Entry("on the Namespace", func(ctx context.Context, _ *jobtest.JobBuilder) {
			annotateNamespace(ctx, api.ProtectAnnotation, api.False)
		}),
	)

	It("loses the finalizer when somebody says so later", func(ctx SpecContext) {
		object := running(ctx, child(cronJob(ctx, 0, 0), "job"))
		h.reconcile(ctx, object)
		annotate(ctx, object, api.ProtectAnnotation, api.False)
		h.reconcile(ctx, object)
		Expect(protected(ctx, object)).To(BeEmpty())
	})

	It("is protected from when a later one runs, and not before, nor the later one", func(ctx SpecContext) {
		owner := cronJob(ctx, 3, 1)
		first := running(ctx, child(owner, "first"))
		h.reconcile(ctx, first)
		Expect(protected(ctx, first)).To(BeEmpty())

		second := startedAfter(ctx, first, child(owner, "second"))
		h.reconcile(ctx, first)
		h.reconcile(ctx, second)

		Expect(protected(ctx, first)).To(ConsistOf(api.ResultsFinalizer))
		Expect(protected(ctx, second)).To(BeEmpty())
	})

	It("is protected while a later one that failed is there", func(ctx SpecContext) {
		owner := cronJob(ctx, 3, 1)
		first := running(ctx, child(owner, "first"))
		second := startedAfter(ctx, first, child(owner, "second"))
		fail(ctx, second, 0)
		h.settle(ctx, second)
		h.reconcile(ctx, first)
		Expect(protected(ctx, first)).To(ConsistOf(api.ResultsFinalizer))
	})

	It("is protected at once when a later one is made", func(ctx SpecContext) {
		startManager(ctx, &logs{}, namespace)
		owner := cronJob(ctx, 3, 1)
		first := running(ctx, child(owner, "first"))
		Consistently(ctx, func() []string { return protected(ctx, first) }).Should(BeEmpty())
		create(ctx, stamped(child(owner, "second")))
		Eventually(ctx, func() []string { return protected(ctx, first) }).
			WithTimeout(recheckInterval / 2).Should(ConsistOf(api.ResultsFinalizer))
	}, SpecTimeout(specTimeout))

	It("costs one look at the CronJob a minute, for all its Jobs together", func(ctx SpecContext) {
		owner := cronJob(ctx, 3, 3)
		objects := []*batchv1.Job{running(ctx, child(owner, "a")), running(ctx, child(owner, "b")), running(ctx, child(owner, "c"))}
		for pass := range 5 {
			for _, object := range objects {
				Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(recheckInterval))
			}
			Expect(reads).To(Equal(1+pass/2), "after pass %d", pass)
			h.step(30 * time.Second)
		}
		Expect(h.written()).To(BeEmpty())
	})

	It("is not looked at once it is stored, nor where it has no CronJob", func(ctx SpecContext) {
		kept := failed(ctx, child(cronJob(ctx, 3, 5), "kept"))
		h.settle(ctx, kept)
		reads = 0
		h = h.restarted()
		h.settle(ctx, kept)
		h.reconcile(ctx, running(ctx, aJobCalled("lone")))
		Expect(reads).To(BeZero())
	})

	It("of a CronJob of the same name is not this one's", func(ctx SpecContext) {
		cronJob(ctx, 0, 0)
		object := running(ctx, aJob().OwnedBy("batch/v1", "CronJob", "nightly", "an-earlier-one"))
		h.reconcile(ctx, object)
		Expect(protected(ctx, object)).To(BeEmpty())
	})

	It("is handled all the same where the CronJob cannot be read, and protected once it can", func(ctx SpecContext) {
		object := running(ctx, child(cronJob(ctx, 0, 0), "job"))
		unread = apierrors.NewServiceUnavailable("away")
		Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(recheckInterval))
		Expect(protected(ctx, object)).To(BeEmpty())
		unread = nil
		h.reconcile(ctx, object)
		Expect(protected(ctx, object)).To(ConsistOf(api.ResultsFinalizer))
	})
})
