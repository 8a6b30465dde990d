package webhooks_test

import (
	"context"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/webhooks"
)

type keys = map[string]string

var stamped = stamps{
	Labels:         keys{api.EnabledLabel: api.True},
	Annotations:    keys{api.ResultsNameAnnotation: "job-results"},
	TemplateLabels: keys{api.EnabledLabel: api.True},
}

// withAnnotation returns s with one annotation more.
func (s stamps) withAnnotation(key, value string) stamps {
	s.Annotations = maps.Clone(s.Annotations)
	s.Annotations[key] = value
	return s
}

var _ = Describe("A Job that is created", func() {
	type row struct {
		namespace func(context.Context) string
		change    func(*jobtest.JobBuilder)
		want      stamps
		sent      []string
	}
	DescribeTable("is stamped, or left alone", func(ctx SpecContext, r row) {
		namespace := r.namespace(ctx)
		c, warned := newClient()
		job := jobtest.MakeJob(namespace, "job")
		r.change(job)
		Expect(c.Create(ctx, job.Obj())).To(Succeed())
		Expect(stampsOf(getJob(ctx, namespace, "job"))).To(Equal(r.want))
		Expect(received.in(namespace)).To(Equal(r.sent))
		Expect(warned.take()).To(BeEmpty())
	},
		Entry("Namespace label", SpecTimeout(specTimeout), row{
			labelledNamespace, func(*jobtest.JobBuilder) {}, stamped, []string{webhooks.PathJobInNamespace},
		}),
		Entry("Namespace label and Job label", SpecTimeout(specTimeout), row{
			labelledNamespace, func(j *jobtest.JobBuilder) { j.Label(api.EnabledLabel, api.True) },
			stamped,
			[]string{webhooks.PathJobInNamespace},
		}),
		Entry("Job label", SpecTimeout(specTimeout), row{
			plainNamespace, func(j *jobtest.JobBuilder) { j.Label(api.EnabledLabel, api.True) },
			stamped,
			[]string{webhooks.PathJob},
		}),
		Entry("Job annotation", SpecTimeout(specTimeout), row{
			plainNamespace, func(j *jobtest.JobBuilder) { j.Annotation(api.EnabledAnnotation, api.True) },
			stamped.withAnnotation(api.EnabledAnnotation, api.True),
			[]string{webhooks.PathJob},
		}),
		Entry("Job label false", SpecTimeout(specTimeout), row{
			labelledNamespace, func(j *jobtest.JobBuilder) { j.Label(api.EnabledLabel, api.False) },
			stamps{Labels: keys{api.EnabledLabel: api.False}},
			[]string{},
		}),
		Entry("Job label false beats its annotation", SpecTimeout(specTimeout), row{
			labelledNamespace,
			func(j *jobtest.JobBuilder) {
				j.Label(api.EnabledLabel, api.False).Annotation(api.EnabledAnnotation, api.True)
			},
			stamps{Labels: keys{api.EnabledLabel: api.False}, Annotations: keys{api.EnabledAnnotation: api.True}},
			[]string{},
		}),
		Entry("Job annotation false", SpecTimeout(specTimeout), row{
			labelledNamespace, func(j *jobtest.JobBuilder) { j.Annotation(api.EnabledAnnotation, api.False) },
			stamps{Labels: keys{api.EnabledLabel: api.False}, Annotations: keys{api.EnabledAnnotation: api.False}},
			[]string{webhooks.PathJobInNamespace},
		}),
		Entry("nobody opts in: never sent", SpecTimeout(specTimeout), row{
			plainNamespace, func(j *jobtest.JobBuilder) { j.Label("team", "a").Annotation("note", "b") },
			stamps{Labels: keys{"team": "a"}, Annotations: keys{"note": "b"}},
			[]string{},
		}),
		Entry("a Job without metadata of its own: never sent", SpecTimeout(specTimeout), row{
			plainNamespace, func(*jobtest.JobBuilder) {}, stamps{}, []string{},
		}),
		Entry("a TTL below the floor", SpecTimeout(specTimeout), row{
			labelledNamespace, func(j *jobtest.JobBuilder) { j.TTL(0) },
			stamps{stamped.Labels, keys{api.ResultsNameAnnotation: "job-results", api.TTLAnnotation: "0;raised=3600"}, stamped.TemplateLabels, new(int32(3600))},
			[]string{webhooks.PathJobInNamespace},
		}),
		Entry("no name yet", SpecTimeout(specTimeout), row{
			labelledNamespace, func(j *jobtest.JobBuilder) {
				j.Obj().Name = "job"
				j.Annotation(api.ResultsNameAnnotation, "mine-results")
			},
			stamps{Labels: stamped.Labels, Annotations: keys{api.ResultsNameAnnotation: "mine-results"}, TemplateLabels: stamped.TemplateLabels},
			[]string{webhooks.PathJobInNamespace},
		}),
	)

	It("gets no results-name before it has a name", func(ctx SpecContext) {
		namespace := labelledNamespace(ctx)
		c, _ := newClient()
		job := jobtest.MakeJob(namespace, "").GenerateName("job-").Obj()
		Expect(c.Create(ctx, job)).To(Succeed())
		Expect(job.Name).To(HavePrefix("job-"))
		Expect(stampsOf(getJob(ctx, namespace, job.Name))).To(Equal(stamps{Labels: stamped.Labels, TemplateLabels: stamped.TemplateLabels}))
	}, SpecTimeout(specTimeout))

	It("has the finalizer where it is protected, and not where somebody else put it", func(ctx SpecContext) {
		namespace := labelledNamespace(ctx)
		c, warned := newClient()
		Expect(c.Create(ctx, jobtest.MakeJob(namespace, "protected").Annotation(api.ProtectAnnotation, api.True).Obj())).To(Succeed())
		Expect(getJob(ctx, namespace, "protected").Finalizers).To(ConsistOf(api.ResultsFinalizer))
		Expect(warned.take()).To(BeEmpty())
		Expect(c.Create(ctx, jobtest.MakeJob(namespace, "plain").Finalizer(api.ResultsFinalizer).Obj())).To(Succeed())
		Expect(getJob(ctx, namespace, "plain").Finalizers).To(BeEmpty())
		Expect(warned.take()).To(HaveExactElements(HavePrefix("finalizer job-handler/results removed")))
	}, SpecTimeout(specTimeout))

	It("is stamped in a dry run, which leaves nothing behind", func(ctx SpecContext) {
		namespace := labelledNamespace(ctx)
		c, _ := newClient()
		job := jobtest.MakeJob(namespace, "job").TTL(0).Obj()
		Expect(c.Create(ctx, job, client.DryRunAll)).To(Succeed())
		Expect(stampsOf(job).Annotations).To(Equal(keys{api.ResultsNameAnnotation: "job-results", api.TTLAnnotation: "0;raised=3600"}))
		err := c.Get(ctx, client.ObjectKeyFromObject(job), &batchv1.Job{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
	}, SpecTimeout(specTimeout))

	It("loses a forged status, with a warning", func(ctx SpecContext) {
		namespace := labelledNamespace(ctx)
		c, warned := newClient()
		job := jobtest.MakeJob(namespace, "job").Annotation(api.StatusAnnotation, api.StatusCompleted).
			Annotation(api.CaptureAnnotation, api.CaptureComplete).Annotation(api.TTLAnnotation, "5").Obj()
		Expect(c.Create(ctx, job)).To(Succeed())
		Expect(stampsOf(getJob(ctx, namespace, "job"))).To(Equal(stamped))
		Expect(warned.take()).To(Equal([]string{
			"annotation " + api.CaptureAnnotation + " removed: Job Handler alone sets it",
			"annotation " + api.StatusAnnotation + " removed: Job Handler alone sets it",
			"annotation " + api.TTLAnnotation + " removed: Job Handler alone sets it",
		}))
	}, SpecTimeout(specTimeout))

	It("is asked about once, also when another webhook changes it afterwards", func(ctx SpecContext) {
		c, warned := newClient()
		namespace := createNamespace(ctx, jobtest.MakeNamespace("").Label(api.EnabledLabel, api.True).Label(otherKey, api.True))
		other := otherConfiguration(ctx, c)
		DeferCleanup(func(ctx SpecContext) { Expect(c.Delete(ctx, other)).To(Succeed()) })
		Eventually(func(g Gomega) {
			probe := jobtest.MakeJob(namespace, "probe").Obj()
			g.Expect(c.Create(ctx, probe, client.DryRunAll)).To(Succeed())
			g.Expect(probe.Labels).To(HaveKey(otherKey))
		}, effectTimeout).Should(Succeed())

		before := len(received.in(namespace))
		Expect(c.Create(ctx, jobtest.MakeJob(namespace, "job").TTL(7).Obj())).To(Succeed())
		Expect(received.in(namespace)[before:]).To(Equal([]string{webhooks.PathJobInNamespace}))
		Expect(stampsOf(getJob(ctx, namespace, "job"))).To(Equal(stamps{
			Labels:         keys{api.EnabledLabel: api.True, otherKey: "was-here"},
			Annotations:    keys{api.ResultsNameAnnotation: "job-results", api.TTLAnnotation: "7;raised=3600"},
			TemplateLabels: stamped.TemplateLabels,
			TTL:            new(int32(3600)),
		}))
		Expect(warned.take()).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	DescribeTable("is left alone in an excluded Namespace", func(ctx SpecContext, name string) {
		c, _ := newClient()
		namespace := jobtest.MakeNamespace(name).Label(api.EnabledLabel, api.True).Obj()
		err := c.Create(ctx, namespace)
		if apierrors.IsAlreadyExists(err) {
			err = c.Patch(ctx, namespace, client.RawPatch("application/merge-patch+json",
				[]byte(`{"metadata":{"labels":{"`+api.EnabledLabel+`":"true"}}}`)))
		}
		Expect(err).NotTo(HaveOccurred())
		selfTests := len(received.in(name))
		Expect(c.Create(ctx, jobtest.MakeJob(name, "plain").Obj())).To(Succeed())
		Expect(c.Create(ctx, jobtest.MakeJob(name, "labelled").Label(api.EnabledLabel, api.True).Obj())).To(Succeed())
		Expect(c.Create(ctx, jobtest.MakeCronJob(name, "cron").JobAnnotation(api.LogModeAnnotation, "x").Obj())).To(Succeed())
		Expect(stampsOf(getJob(ctx, name, "plain"))).To(Equal(stamps{}))
		Expect(received.in(name)).To(HaveLen(selfTests))
	},
		Entry("kube-system", SpecTimeout(specTimeout), metav1.NamespaceSystem),
		Entry("the manager's own", SpecTimeout(specTimeout), api.ManagerNamespace),
	)
})

func otherConfiguration(ctx context.Context, c client.Client) *admissionv1.MutatingWebhookConfiguration {
	ours := &admissionv1.MutatingWebhookConfiguration{}
	Expect(c.Get(ctx, client.ObjectKey{Name: webhooks.ConfigurationName}, ours)).To(Succeed())
	hook := ours.Webhooks[0]
	url := "https://127.0.0.1:" + portOf(*hook.ClientConfig.URL) + pathOther
	hook.Name, hook.ClientConfig.URL = "other.example.com", &url
	hook.NamespaceSelector = &metav1.LabelSelector{MatchLabels: keys{otherKey: api.True}}
	other := &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "zz-after-ours"},
		Webhooks:   []admissionv1.MutatingWebhook{hook},
	}
	Expect(c.Create(ctx, other)).To(Succeed())
	return other
}
