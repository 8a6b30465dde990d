package webhooks_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

const (
	delayRule = "must be never or a duration like 1d12h (s m h d w, max 2147483647s)"
	nameRule  = "must be a DNS-1123 subdomain of at most 253 characters that ends in -results"
)

func invalid(key, value, rule string) string {
	return fmt.Sprintf("metadata.annotations[%s]: Invalid value: %q: %s", key, value, rule)
}

func unsupported(key, value, supported string) string {
	return fmt.Sprintf("metadata.annotations[%s]: Unsupported value: %q: supported values: %s", key, value, supported)
}

// expectInvalid holds that err is a 422 of the entry with this message.
func expectInvalid(err error, entry, kind, message string) {
	GinkgoHelper()
	Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
	Expect(err).To(MatchError(fmt.Sprintf(
		"admission webhook %q denied the request: %s is invalid: %s", entry+".job-handler.github.io", kind, message)))
}

var _ = Describe("An invalid value", func() {
	DescribeTable("refuses a Job that a person creates", func(ctx SpecContext, key, value, message string) {
		namespace := labelledNamespace(ctx)
		c, _ := newClient()
		job := jobtest.MakeJob(namespace, "job").Annotation(key, value).Obj()
		expectInvalid(c.Create(ctx, job), "namespace.jobs", `Job.batch "job"`, message)
		err := c.Get(ctx, client.ObjectKeyFromObject(job), job)
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
	},
		refusal(api.EnabledAnnotation, "yes", unsupported(api.EnabledAnnotation, "yes", `"true", "false"`)),
		refusal(api.LogModeAnnotation, "verbose", unsupported(api.LogModeAnnotation, "verbose", `"status", "full", "follow"`)),
		refusal(api.LogModeAnnotation, "Follow", unsupported(api.LogModeAnnotation, "Follow", `"status", "full", "follow"`)),
		refusal(api.ResultsKindAnnotation, "Pod", unsupported(api.ResultsKindAnnotation, "Pod", `"ConfigMap", "Secret"`)),
		refusal(api.ResultsTTLAnnotation, "soon", invalid(api.ResultsTTLAnnotation, "soon", delayRule)),
		refusal(api.DeleteAfterSuccessAnnotation, "-1s", invalid(api.DeleteAfterSuccessAnnotation, "-1s", delayRule)),
		refusal(api.DeleteAfterSuccessAnnotation, "2147483648s", invalid(api.DeleteAfterSuccessAnnotation, "2147483648s", delayRule)),
		refusal(api.DeleteAfterFailureAnnotation, "1y", invalid(api.DeleteAfterFailureAnnotation, "1y", delayRule)),
		refusal(api.DeleteAfterFailureAnnotation, "100ms", invalid(api.DeleteAfterFailureAnnotation, "100ms", delayRule)),
		refusal(api.ResultsNameAnnotation, "report", invalid(api.ResultsNameAnnotation, "report", nameRule)),
		refusal(api.ResultsNameAnnotation, "-results", invalid(api.ResultsNameAnnotation, "-results", nameRule)),
		refusal(api.ResultsNameAnnotation, "", invalid(api.ResultsNameAnnotation, "", nameRule)),
		refusal(api.ResultsNameAnnotation, "other/x-results", invalid(api.ResultsNameAnnotation, "other/x-results", nameRule)),
		refusal(api.ResultsNameAnnotation, "../x-results", invalid(api.ResultsNameAnnotation, "../x-results", nameRule)),
		refusal(api.ResultsNameAnnotation, "kube-root-ca.crt", invalid(api.ResultsNameAnnotation, "kube-root-ca.crt", nameRule)),
		refusal(api.ResultsNameAnnotation, "X-results", invalid(api.ResultsNameAnnotation, "X-results", nameRule)),
		refusal(api.ResultsNameAnnotation, "\u0445-results", invalid(api.ResultsNameAnnotation, "\u0445-results", nameRule)),
		refusal(api.ResultsNameAnnotation, "x\x00-results", invalid(api.ResultsNameAnnotation, "x\x00-results", nameRule)),
		refusal(api.ResultsNameAnnotation, strings.Repeat("a", 246)+"-results",
			invalid(api.ResultsNameAnnotation, strings.Repeat("a", 64)+"...", nameRule)),
		refusal(api.DeleteAfterSuccessAnnotation, "\x1b[2J\u202e\a", invalid(api.DeleteAfterSuccessAnnotation, "\x1b[2J\u202e\a", delayRule)),
		refusal(api.PropagateLabelsAnnotation, "job-name", invalid(api.PropagateLabelsAnnotation, "job-name", "labels that Job Handler sets itself cannot be propagated")),
		refusal(api.PropagateLabelsAnnotation, "app", invalid(api.PropagateLabelsAnnotation, "app", "may not be propagated here; allowed are team")),
		refusal(api.PropagateLabelsAnnotation, "a b", invalid(api.PropagateLabelsAnnotation, "a b", "must be a comma-separated list of label keys")),
	)

	It("of 256 KiB in all, with what was forged, is refused or leaves a Job that is stamped as far as there is room", func(ctx SpecContext) {
		namespace := labelledNamespace(ctx)
		c, warned := newClient()
		const most = 256 << 10
		full := jobtest.MakeJob(namespace, "full").TTL(5).Annotation("filler", strings.Repeat("x", most-len("filler"))).Obj()
		Expect(c.Create(ctx, full)).To(Succeed())
		job := getJob(ctx, namespace, "full")
		Expect(job.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
		Expect(job.Annotations).To(HaveLen(1))
		Expect(job.Spec.TTLSecondsAfterFinished).To(HaveValue(BeEquivalentTo(5)))

		many := jobtest.MakeJob(namespace, "many").Annotation(api.StatusAnnotation, api.StatusCompleted).Annotation(api.CaptureAnnotation, api.CaptureComplete)
		for i := range 2000 {
			many.Annotation(fmt.Sprintf("%sx%d", api.Prefix, i), strings.Repeat("\x1b", 64))
		}
		warned.take()
		Expect(c.Create(ctx, many.Obj())).To(Succeed())
		job = getJob(ctx, namespace, "many")
		Expect(job.Annotations).NotTo(Or(HaveKey(api.StatusAnnotation), HaveKey(api.CaptureAnnotation)))
		Expect(len(warned.take())).To(BeNumerically("<=", 16))

		wrong := jobtest.MakeJob(namespace, "wrong").Annotation(api.LogModeAnnotation, strings.Repeat("x", most/2)).Obj()
		err := c.Create(ctx, wrong)
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		Expect(len(err.Error())).To(BeNumerically("<", 1024))
	}, SpecTimeout(specTimeout))

	It("is reported together with all others, for a Job that opts in itself", func(ctx SpecContext) {
		c, _ := newClient()
		job := jobtest.MakeJob(plainNamespace(ctx), "job").Label(api.EnabledLabel, "yes").
			Annotation(api.EnabledAnnotation, api.True).
			Annotation(api.LogModeAnnotation, "x").Annotation(api.ResultsTTLAnnotation, "x").Obj()
		expectInvalid(c.Create(ctx, job), "opted-in.jobs", `Job.batch "job"`, "["+strings.Join([]string{
			"metadata.labels[" + api.EnabledLabel + `]: Unsupported value: "yes": supported values: "true", "false"`,
			unsupported(api.LogModeAnnotation, "x", `"status", "full", "follow"`),
			invalid(api.ResultsTTLAnnotation, "x", delayRule),
		}, ", ")+"]")
	}, SpecTimeout(specTimeout))

	It("only warns about a Job that a controller creates", func(ctx SpecContext) {
		namespace := labelledNamespace(ctx)
		c, warned := newClient()
		job := jobtest.MakeJob(namespace, "job").OwnedBy("batch/v1", "CronJob", "cron", "u1").
			Annotation(api.LogModeAnnotation, "x").Annotation(api.DeleteAfterSuccessAnnotation, "soon").Obj()
		Expect(c.Create(ctx, job)).To(Succeed())
		Expect(stampsOf(getJob(ctx, namespace, "job"))).To(Equal(
			stamped.withAnnotation(api.LogModeAnnotation, "x").withAnnotation(api.DeleteAfterSuccessAnnotation, "soon")))
		Expect(warned.take()).To(Equal([]string{
			api.LogModeAnnotation + `: "x" ignored: supported values: "status", "full", "follow"`,
			api.DeleteAfterSuccessAnnotation + `: "soon" ignored: ` + delayRule,
		}))
	}, SpecTimeout(specTimeout))

	It("only warns where it is the Namespace's", func(ctx SpecContext) {
		namespace := createNamespace(ctx, jobtest.MakeNamespace("").Label(api.EnabledLabel, api.True).
			Annotation(api.LogModeAnnotation, "x").Annotation(api.ResultsNameAnnotation, "a-results"))
		c, warned := newClient()
		Expect(c.Create(ctx, jobtest.MakeJob(namespace, "job").Obj())).To(Succeed())
		Expect(stampsOf(getJob(ctx, namespace, "job"))).To(Equal(stamped))
		Expect(warned.take()).To(Equal([]string{
			"Namespace " + api.ResultsNameAnnotation + ": ignored: can be set on a Job only",
			"Namespace " + api.LogModeAnnotation + `: "x" ignored: supported values: "status", "full", "follow"`,
		}))
	}, SpecTimeout(specTimeout))

	It("does not matter on a Job that opts out", func(ctx SpecContext) {
		c, warned := newClient()
		job := jobtest.MakeJob(labelledNamespace(ctx), "job").Annotation(api.EnabledAnnotation, api.False).Annotation(api.LogModeAnnotation, "x").Obj()
		Expect(c.Create(ctx, job)).To(Succeed())
		Expect(warned.take()).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("that is a key nobody knows gives a warning", func(ctx SpecContext) {
		c, warned := newClient()
		job := jobtest.MakeJob(labelledNamespace(ctx), "job").Annotation(api.Prefix+"log-mod", "full").
			Label(api.LogModeAnnotation, "full").Obj()
		Expect(c.Create(ctx, job)).To(Succeed())
		Expect(warned.take()).To(Equal([]string{
			"annotation " + api.Prefix + "log-mod is unknown: did you mean " + api.LogModeAnnotation + "?",
			"label " + api.LogModeAnnotation + " has no effect: set it as an annotation",
		}))
	}, SpecTimeout(specTimeout))
})

func refusal(key, value, message string) TableEntry {
	return Entry(fmt.Sprintf("%s=%q", key, value), SpecTimeout(specTimeout), key, value, message)
}

var _ = Describe("A CronJob in an opted-in Namespace", func() {
	badMode := "spec.jobTemplate." + unsupported(api.LogModeAnnotation, "x", `"status", "full", "follow"`)
	badTTL := "spec.jobTemplate." + invalid(api.ResultsTTLAnnotation, "x", delayRule)

	It("is refused with an invalid template", func(ctx SpecContext) {
		c, _ := newClient()
		cronJob := jobtest.MakeCronJob(labelledNamespace(ctx), "cron").JobAnnotation(api.LogModeAnnotation, "x").JobAnnotation(api.ResultsTTLAnnotation, "x")
		expectInvalid(c.Create(ctx, cronJob.Obj()), "cronjobs", `CronJob.batch "cron"`, "["+badMode+", "+badTTL+"]")
	}, SpecTimeout(specTimeout))

	It("is admitted, with warnings about names and history", func(ctx SpecContext) {
		c, warned := newClient()
		namespace := labelledNamespace(ctx)
		Expect(c.Create(ctx, jobtest.MakeCronJob(namespace, "plain").Obj())).To(Succeed())
		Expect(warned.take()).To(BeEmpty())
		Expect(c.Create(ctx, jobtest.MakeCronJob(namespace, "risky").JobAnnotation(api.ResultsNameAnnotation, "a-results").History(1, 0).Obj())).To(Succeed())
		Expect(warned.take()).To(Equal([]string{
			api.ResultsNameAnnotation + " in jobTemplate: all runs ask for this name; only the first gets it without a suffix",
			"spec.successfulJobsHistoryLimit 1 can delete a Job before its results are stored: allow more",
			"spec.failedJobsHistoryLimit 0 can delete a Job before its results are stored: allow more",
		}))
	}, SpecTimeout(specTimeout))

	It("can be updated with what was invalid before, but not made worse", func(ctx SpecContext) {
		c, warned := newClient()
		namespace := plainNamespace(ctx)
		cronJob := jobtest.MakeCronJob(namespace, "cron").JobAnnotation(api.LogModeAnnotation, "x").Obj()
		Expect(c.Create(ctx, cronJob)).To(Succeed())
		optIn(ctx, c, namespace)

		cronJob.Spec.Schedule = "@daily"
		Expect(c.Update(ctx, cronJob)).To(Succeed())
		Expect(warned.take()).To(Equal([]string{"jobTemplate: " + api.LogModeAnnotation + `: "x" ignored: supported values: "status", "full", "follow"`}))

		worse := cronJob.DeepCopy()
		worse.Spec.JobTemplate.Annotations[api.ResultsTTLAnnotation] = "x"
		expectInvalid(c.Update(ctx, worse), "cronjobs", `CronJob.batch "cron"`, badTTL)

		cronJob.Spec.JobTemplate.Annotations[api.LogModeAnnotation] = api.LogModeFull
		warned.take()
		Expect(c.Update(ctx, cronJob)).To(Succeed())
		Expect(warned.take()).To(BeEmpty())
		cronJob.Spec.JobTemplate.Annotations[api.LogModeAnnotation] = "x"
		expectInvalid(c.Update(ctx, cronJob), "cronjobs", `CronJob.batch "cron"`, badMode)
	}, SpecTimeout(specTimeout))
})

// optIn labels the Namespace and waits until the API server acts on it.
func optIn(ctx context.Context, c client.Client, name string) {
	GinkgoHelper()
	namespace := jobtest.MakeNamespace(name).Obj()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+api.EnabledLabel+`":"true"}}}`))
	Expect(c.Patch(ctx, namespace, patch)).To(Succeed())
	probe := jobtest.MakeCronJob(name, "probe").JobAnnotation(api.LogModeAnnotation, "x").Obj()
	Eventually(func() bool {
		return apierrors.IsInvalid(c.Create(ctx, probe.DeepCopy(), client.DryRunAll))
	}, effectTimeout).Should(BeTrue())
}
