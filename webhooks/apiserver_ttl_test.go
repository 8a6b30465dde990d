package webhooks_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/webhooks"
)

var _ = Describe("A Job whose TTL changes", func() {
	const seen = webhooks.PathJobTTL
	type row struct {
		prepare func(*jobtest.JobBuilder)
		change  func(*batchv1.Job)
		ttl     *int32
		record  string
		sent    []string
	}
	raised := func(b *jobtest.JobBuilder) { b.Label(api.EnabledLabel, api.True).TTL(30) }
	set := func(ttl int32) func(*batchv1.Job) {
		return func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = &ttl }
	}
	DescribeTable("is sent once, where that matters", func(ctx SpecContext, r row, options ...client.CreateOption) {
		c, warned := newClient()
		builder := jobtest.MakeJob(labelledNamespace(ctx), "job")
		r.prepare(builder)
		job := builder.Obj()
		Expect(c.Create(ctx, job, options...)).To(Succeed())
		created := received.in(job.Namespace)
		changed := job.DeepCopy()
		r.change(changed)
		Expect(c.Patch(ctx, changed, client.MergeFrom(job))).To(Succeed())
		Expect(received.in(job.Namespace)[len(created):]).To(HaveExactElements(r.sent))
		now := getJob(ctx, job.Namespace, job.Name)
		Expect(now.Spec.TTLSecondsAfterFinished).To(Equal(r.ttl))
		Expect(now.Annotations[api.TTLAnnotation]).To(Equal(r.record))
		Expect(warned.take()).To(BeEmpty())
	},
		Entry("the same again", SpecTimeout(specTimeout), row{raised, set(30), new(int32(3600)), "30;raised=3600", []string{seen}}),
		Entry("lower", SpecTimeout(specTimeout), row{raised, set(0), new(int32(3600)), "0;raised=3600", []string{seen}}),
		Entry("higher", SpecTimeout(specTimeout), row{raised, set(86400), new(int32(86400)), "", []string{seen}}),
		Entry("removed", SpecTimeout(specTimeout), row{
			raised, func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = nil }, nil, "", []string{seen},
		}),
		Entry("added", SpecTimeout(specTimeout), row{
			func(*jobtest.JobBuilder) {}, set(60), new(int32(3600)), "60;raised=3600", []string{seen},
		}),
		Entry("something else", SpecTimeout(specTimeout), row{
			raised, func(j *batchv1.Job) { j.Labels["team"] = "blue" }, new(int32(3600)), "30;raised=3600", nil,
		}),
		Entry("taken back with its record", SpecTimeout(specTimeout), row{raised, func(j *batchv1.Job) {
			delete(j.Annotations, api.TTLAnnotation)
			set(30)(j)
		}, new(int32(30)), "", nil}),
		Entry("together with the status", SpecTimeout(specTimeout), row{raised, func(j *batchv1.Job) {
			j.Annotations[api.StatusAnnotation] = api.StatusFailed
			set(30)(j)
		}, new(int32(30)), "30;raised=3600", nil}),
		Entry("of a Job that opted out", SpecTimeout(specTimeout), row{
			func(b *jobtest.JobBuilder) { b.Label(api.EnabledLabel, api.False).TTL(30) }, set(20), new(int32(20)), "", nil,
		}),
		Entry("of a Job that Argo CD 2 applied", SpecTimeout(specTimeout), row{func(b *jobtest.JobBuilder) {
			b.TTL(30).Label("app.kubernetes.io/instance", "app")
		}, set(20), new(int32(20)), "", []string{seen}}, client.FieldOwner("argocd-controller")),
		Entry("of a Job that the operator leaves alone", SpecTimeout(specTimeout), row{func(b *jobtest.JobBuilder) {
			b.TTL(30).Label("example.com/kept", "x")
		}, set(20), new(int32(20)), "", []string{seen}}),
		Entry("of another controller's Job", SpecTimeout(specTimeout), row{func(b *jobtest.JobBuilder) {
			b.TTL(30).OwnedBy("example.com/v1", "Report", "r", "u")
		}, set(20), new(int32(20)), "30;raised=3600", []string{seen}}),
	)
})
