package main

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/results"
)

// resolved is what commands do with a NAME.
type resolved struct {
	// reads is the run that get and logs find, or "" where they say why not.
	reads string
	why   string
	// ends is the exit code of wait, and says a part of what it prints. wait has a
	// minute where it has to end by itself.
	ends int
	says string
}

var _ = Describe("NAME", func() {
	const name, object = "report", "report-results"
	const configMap, secret, gone = api.ResultsKindConfigMap, api.ResultsKindSecret, "gone"
	create := func(ctx SpecContext, kind string) *batchv1.Job {
		GinkgoHelper()
		job := jobtest.MakeJob(namespace, name).Label(api.EnabledLabel, api.True).
			Annotation(api.ResultsNameAnnotation, object).Annotation(api.ResultsKindAnnotation, kind).Obj()
		Expect(kube.Create(ctx, job)).To(Succeed())
		return job
	}
	stored := func(ctx SpecContext, job *batchv1.Job, kind string) {
		GinkgoHelper()
		ended := failed(name, 1)
		if job != nil {
			ended.UID = job.UID
			finish(ctx, job, api.StatusFailed, object)
		}
		content, err := results.Build(runs.Of(ended, runs.MakePod("report-abc12", start).Container("main", 1, []byte("hello\n"))))
		Expect(err).NotTo(HaveOccurred())
		if kind != gone {
			Expect(kube.Create(ctx, content.Object(kind, namespace, object).Encode())).To(Succeed())
		}
	}
	lacks := "rights to get, list and watch Secrets"

	DescribeTable("means the same to every command", func(ctx SpecContext, prepare func(SpecContext), user string, byJob, byObject resolved) {
		prepare(ctx)
		var as []string
		if user != "" {
			grant(ctx, user, rule("configmaps"), rule("jobs", "batch"))
			as = []string{"--as=" + user}
		}
		for called, want := range map[string]resolved{name: byJob, object: byObject} {
			for _, verb := range []string{"get", "logs"} {
				got := command(ctx, append([]string{verb, called}, as...)...)
				if want.reads == "" {
					Expect(got.code).To(Equal(exitError), "%s %s: %s", verb, called, got.out)
					Expect(got.err).To(ContainSubstring(want.why), "%s %s", verb, called)
				} else {
					Expect(got.code).To(BeZero(), "%s %s: %s", verb, called, got.err)
					Expect(got.out).To(ContainSubstring(want.reads), "%s %s", verb, called)
				}
			}
			timeout := "--timeout=1m"
			if want.ends == exitTimedOut {
				timeout = "--timeout=1s"
			}
			got := command(ctx, append([]string{"wait", called, timeout}, as...)...)
			Expect(got.code).To(Equal(want.ends), "wait %s: %s%s", called, got.out, got.err)
			Expect(got.out+got.err).To(ContainSubstring(want.says), "wait %s", called)
		}
	},
		Entry("a Job that runs", func(ctx SpecContext) { create(ctx, configMap) }, "",
			resolved{why: "still running", ends: exitTimedOut, says: "still running"},
			resolved{why: "still running", ends: exitTimedOut, says: "still running"}, SpecTimeout(soon*2)),
		Entry("a Job that has finished", func(ctx SpecContext) { finish(ctx, create(ctx, configMap), api.StatusFailed, "") }, "",
			resolved{why: "about to be stored", ends: exitTimedOut, says: "about to be stored"},
			resolved{why: "about to be stored", ends: exitTimedOut, says: "about to be stored"}, SpecTimeout(soon*2)),
		Entry("a kept Job", func(ctx SpecContext) { stored(ctx, create(ctx, configMap), configMap) }, "",
			resolved{reads: "hello", ends: exitFailed, says: "job report failed: ConfigMap report-results"},
			resolved{reads: "hello", ends: exitFailed, says: "job report failed: ConfigMap report-results"}, SpecTimeout(soon*2)),
		Entry("a kept Job whose results are gone", func(ctx SpecContext) { stored(ctx, create(ctx, configMap), gone) }, "",
			resolved{why: "expired, or were deleted", ends: exitWaitError, says: "expired, or were deleted"},
			resolved{why: "expired, or were deleted", ends: exitWaitError, says: "expired, or were deleted"}, SpecTimeout(soon*2)),
		Entry("results of a Job that is gone", func(ctx SpecContext) { stored(ctx, nil, configMap) }, "",
			resolved{reads: "hello", ends: exitFailed, says: "job report failed: ConfigMap report-results"},
			resolved{reads: "hello", ends: exitFailed, says: "job report failed: ConfigMap report-results"}, SpecTimeout(soon*2)),
		Entry("results in a Secret", func(ctx SpecContext) { stored(ctx, nil, secret) }, "",
			resolved{reads: "hello", ends: exitFailed, says: "job report failed: Secret report-results"},
			resolved{reads: "hello", ends: exitFailed, says: "job report failed: Secret report-results"}, SpecTimeout(soon*2)),
		Entry("a Job that runs after an earlier run", func(ctx SpecContext) {
			stored(ctx, nil, configMap)
			create(ctx, configMap)
		}, "",
			resolved{reads: "hello", ends: exitTimedOut, says: "still running"},
			resolved{reads: "hello", ends: exitFailed, says: "job report failed: ConfigMap report-results"}, SpecTimeout(soon*2)),
		Entry("a Job that runs and is to store in a Secret, without rights", func(ctx SpecContext) { create(ctx, secret) }, "clerk",
			resolved{why: lacks, ends: exitTimedOut, says: "Secret that you may not read"},
			resolved{why: lacks, ends: exitTimedOut, says: "Secret that you may not read"}, SpecTimeout(soon*2)),
		Entry("a kept Job with results in a Secret, without rights", func(ctx SpecContext) { stored(ctx, create(ctx, secret), secret) }, "clerk",
			resolved{why: lacks, ends: exitFailed, says: lacks},
			resolved{why: lacks, ends: exitFailed, says: lacks}, SpecTimeout(soon*2)),
		Entry("nothing", func(SpecContext) {}, "",
			resolved{why: "no Job and no results", ends: exitTimedOut, says: "there is no such Job and there are no results yet"},
			resolved{why: "no Job and no results", ends: exitTimedOut, says: "there is no such Job and there are no results yet"}, SpecTimeout(soon*2)),
	)

	It("of results in a Secret names the missing right at once where the Job cannot tell", func(ctx SpecContext) {
		create(ctx, secret)
		reader := rule("jobs", "batch")
		reader.Verbs = []string{"get"}
		grant(ctx, "reader", rule("configmaps"), reader)

		got := command(ctx, "wait", name, "--as=reader", "--timeout=1m")
		Expect(got.code).To(Equal(exitWaitError))
		Expect(got.err).To(And(ContainSubstring(lacks), ContainSubstring("right to list and watch Jobs")))
		Expect(strings.Count(got.err, "\n")).To(Equal(1))
	})

	It("of an object is no use with --new where the object is there", func(ctx SpecContext) {
		stored(ctx, nil, configMap)
		got := command(ctx, "wait", object, "--new", "--timeout=1m")
		Expect(got.code).To(Equal(exitWaitError))
		Expect(got.err).To(ContainSubstring("its Job's name, which is report"))
		Expect(command(ctx, "wait", name, "--new", "--timeout=1s").code).To(Equal(exitTimedOut))
	})
})
