package retention_test

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/policy"
)

var _ = Describe("Results whose Job is still there", func() {
	stamped := func() *jobtest.JobBuilder {
		builder := jobtest.MakeJob(namespace, "job")
		policy.Stamp(builder.Obj(), ttlFloor, true, policy.LeftAlone{})
		return builder
	}
	// storedFor stores expired results of the Job.
	storedFor := func(ctx SpecContext, job *batchv1.Job) {
		GinkgoHelper()
		runOf(jobtest.MakeJob(namespace, job.Name).UID(job.UID)).expires(-time.Hour).stored(ctx)
	}

	DescribeTable("expire", func(ctx SpecContext, prepare func(SpecContext) *batchv1.Job, goes bool) {
		storedFor(ctx, prepare(ctx))
		p := newProcess()
		p.looks(ctx)
		if goes {
			Expect(present(ctx)).To(BeEmpty())
			return
		}
		Expect(present(ctx)).To(ConsistOf("job-results"))
		Expect(p.deletions()).To(BeEmpty())
		next, known := p.Store.Holdings.Next()
		Expect(known).To(BeTrue(), "they are looked at again")
		Expect(next).To(BeTemporally("~", p.clock.Now().Add(5*time.Minute), time.Second))
	},
		Entry("not while they are not reported", func(ctx SpecContext) *batchv1.Job {
			job := aJob(ctx, stamped())
			ends(ctx, job, batchv1.JobComplete)
			return job
		}, false),
		Entry("not while a completed Job is about to be deleted on their word", func(ctx SpecContext) *batchv1.Job {
			job := aJob(ctx, stamped())
			ends(ctx, job, batchv1.JobComplete)
			report(ctx, job, api.StatusCompleted)
			return job
		}, false),
		Entry("not while a failed Job is about to be given a TTL on their word", func(ctx SpecContext) *batchv1.Job {
			job := aJob(ctx, stamped().Annotation(api.DeleteAfterFailureAnnotation, "1h"))
			ends(ctx, job, batchv1.JobFailed)
			report(ctx, job, api.StatusFailed)
			return job
		}, false),
		Entry("with a failed Job that is kept", func(ctx SpecContext) *batchv1.Job {
			job := aJob(ctx, stamped())
			ends(ctx, job, batchv1.JobFailed)
			report(ctx, job, api.StatusFailed)
			return job
		}, true),
		Entry("with a completed Job that is kept", func(ctx SpecContext) *batchv1.Job {
			job := aJob(ctx, stamped().Annotation(api.DeleteAfterSuccessAnnotation, api.Never))
			ends(ctx, job, batchv1.JobComplete)
			report(ctx, job, api.StatusCompleted)
			return job
		}, true),
		Entry("with a Job that its Namespace keeps", func(ctx SpecContext) *batchv1.Job {
			object := policy.NewNamespace()
			Expect(kube.Get(ctx, client.ObjectKey{Name: namespace}, object)).To(Succeed())
			from := object.DeepCopy()
			metav1.SetMetaDataAnnotation(&object.ObjectMeta, api.DeleteAfterSuccessAnnotation, api.Never)
			Expect(kube.Patch(ctx, object, client.MergeFrom(from))).To(Succeed())
			job := aJob(ctx, stamped())
			ends(ctx, job, batchv1.JobComplete)
			report(ctx, job, api.StatusCompleted)
			return job
		}, true),
		Entry("with a new Job of the same name", func(ctx SpecContext) *batchv1.Job {
			earlier := aJob(ctx, stamped())
			Expect(kube.Delete(ctx, earlier, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
			ends(ctx, aJob(ctx, stamped()), batchv1.JobComplete)
			return earlier
		}, true),
	)

	It("go once the manager is done with it, without another look at everything", func(ctx SpecContext) {
		job := aJob(ctx, stamped())
		ends(ctx, job, batchv1.JobComplete)
		storedFor(ctx, job)
		p := newProcess()
		p.looks(ctx)
		Expect(kube.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

		p.clock.Step(5*time.Minute - time.Second)
		Expect(p.RemoveDue(ctx)).To(Succeed())
		Expect(present(ctx)).To(HaveLen(1))
		p.clock.Step(time.Second)
		Expect(p.RemoveDue(ctx)).To(Succeed())
		Expect(present(ctx)).To(BeEmpty())
	})

	It("stay while nobody answers whether it is there", func(ctx SpecContext) {
		job := aJob(ctx, stamped())
		ends(ctx, job, batchv1.JobComplete)
		storedFor(ctx, job)
		p := newProcess()
		p.beforeGet = func(_ context.Context, key client.ObjectKey) error {
			if key.Name == job.Name {
				return errAway
			}
			return nil
		}
		Expect(p.Look(ctx)).To(MatchError(errAway))
		Expect(p.attempts()).To(BeEmpty())
	})

	It("keeps parts of a try that is not finished, whatever their age and the length of its name", func(ctx SpecContext) {
		for _, name := range []string{"job", strings.Repeat("long.", 20) + "job"} {
			builder := jobtest.MakeJob(namespace, name).ManualSelector("run", "one")
			job := aJob(ctx, builder)
			ends(ctx, job, batchv1.JobFailed)
			_, parts := runOf(jobtest.MakeJob(namespace, name).UID(job.UID)).large().parts(ctx)
			p := newProcess()
			p.clock.Step(9 * time.Hour)

			p.looks(ctx)
			Expect(present(ctx)).To(ContainElements(parts), name)

			report(ctx, job, api.StatusFailed)
			p.looks(ctx)
			Expect(present(ctx)).To(BeEmpty(), name)
			Expect(names.LabelValue(name)).To(Or(Equal("job"), HaveLen(63)))
		}
	})
})
