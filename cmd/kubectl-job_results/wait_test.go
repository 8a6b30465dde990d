package main

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
)

// waiting starts wait and returns where its outcome will come.
func waiting(ctx SpecContext, args ...string) <-chan outcome {
	done := make(chan outcome, 1)
	// The next spec has another namespace.
	in := namespace
	go func() {
		done <- commandIn(ctx, in, append([]string{"wait", "--timeout=1m"}, args...)...)
	}()
	return done
}

// running creates a Job that runs, and is handled.
func running(ctx SpecContext, name string) *batchv1.Job {
	GinkgoHelper()
	job := jobtest.MakeJob(namespace, name).Label(api.EnabledLabel, api.True).Obj()
	Expect(kube.Create(ctx, job)).To(Succeed())
	return job
}

// awaitedRun is what wait says of a Job that runs.
func awaitedRun(job *batchv1.Job) string {
	return "Waiting for job " + job.Name + ", run " + string(job.UID) + ", which is running ...\n"
}

// storeAs stores results of job in an object of this name.
func storeAs(ctx SpecContext, name string, job, finished *batchv1.Job) {
	GinkgoHelper()
	finished.UID = job.UID
	content := build(runs.Of(finished))
	content.Name = name
	Expect(kube.Create(ctx, content)).To(Succeed())
}

var _ = Describe("wait", func() {
	It("ends at once where results are there, with the Job's outcome", func(ctx SpecContext) {
		said(ctx, "report", 1, "hello\n")
		store(ctx, runs.Of(failed("import", 1)))

		old := func(job string) string {
			return "Note: this run finished 24h ago; there is no Job of this name now. To wait for the next run: kubectl job-results wait " + job + " --new\n"
		}
		Expect(command(ctx, "wait", "report")).To(Equal(outcome{out: "job report completed: ConfigMap report-results\n", err: old("report")}))
		Expect(command(ctx, "wait", "import")).To(Equal(outcome{out: "job import failed: ConfigMap import-results\n", err: old("import"), code: exitFailed}))
		Expect(command(ctx, "wait", "import", "--timeout=0", "--run=00000001").code).To(Equal(exitFailed))
	})

	It("waits for a Job that is deleted once its results are there", func(ctx SpecContext) {
		said(ctx, "report", 1, "an earlier run\n")
		job := running(ctx, "report")
		done := waiting(ctx, "report")
		Consistently(done, time.Second).ShouldNot(Receive())

		storeAs(ctx, "report-results-2", job, failed("report", 1))
		Expect(kube.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

		Eventually(done).Should(Receive(Equal(outcome{
			out: "job report failed: ConfigMap report-results-2\n", err: awaitedRun(job), code: exitFailed,
		})))
	})

	It("waits for a Job that is not there yet, and says so", func(ctx SpecContext) {
		done := waiting(ctx, "later")
		Consistently(done, time.Second).ShouldNot(Receive())

		said(ctx, "other", 1, "hello\n")
		said(ctx, "later", 1, "hello\n")

		Eventually(done).Should(Receive(Equal(outcome{
			out: "job later completed: ConfigMap later-results\n",
			err: "Waiting for job later in namespace " + namespace + "; there is no such Job and there are no results yet ...\n",
		})))
	})

	It("waits for the run that was asked for", func(ctx SpecContext) {
		said(ctx, "report", 1, "hello\n")
		job := running(ctx, "report")
		done := waiting(ctx, "report", "--run="+string(job.UID)[:8])
		said(ctx, "report", 2, "hello\n")
		Consistently(done, time.Second).ShouldNot(Receive())
		storeAs(ctx, "third", job, completed("report", 3))

		Eventually(done).Should(Receive(Equal(outcome{out: "job report completed: ConfigMap third\n", err: awaitedRun(job)})))
	})

	It("waits with --new for the run that is to come", func(ctx SpecContext) {
		said(ctx, "report", 1, "yesterday\n")
		kept := running(ctx, "report")
		storeAs(ctx, "kept", kept, failed("report", 2))
		done := waiting(ctx, "report", "--new")
		Consistently(done, time.Second).ShouldNot(Receive())
		Expect(kube.Delete(ctx, kept, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		job := running(ctx, "report")
		Consistently(done, time.Second).ShouldNot(Receive())
		storeAs(ctx, "today", job, completed("report", 3))

		var last outcome
		Eventually(done).Should(Receive(&last))
		Expect(last.out).To(Equal("job report completed: ConfigMap today\n"))
		Expect(last.code).To(BeZero())
		Expect(last.err).To(HavePrefix("Waiting for a new run of job report in namespace " + namespace))
	})

	It("ends when the Job is deleted, or opted out, before there are results", func(ctx SpecContext) {
		deleted, left := running(ctx, "deleted"), running(ctx, "left")
		first, second := waiting(ctx, "deleted"), waiting(ctx, "left")
		Consistently(first, time.Second).ShouldNot(Receive())
		Expect(kube.Delete(ctx, deleted, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		changed := left.DeepCopy()
		changed.Labels[api.EnabledLabel] = api.False
		Expect(kube.Patch(ctx, changed, client.MergeFrom(left))).To(Succeed())

		for done, why := range map[<-chan outcome]string{first: "was deleted before it finished", second: "is not opted in"} {
			var last outcome
			Eventually(done).Should(Receive(&last))
			Expect(last.code).To(Equal(exitWaitError))
			Expect(last.err).To(ContainSubstring(why))
		}
	})

	It("goes on where only the Job can tell the outcome, and says so", func(ctx SpecContext) {
		grant(ctx, "operator", rule("configmaps"), rule("jobs", "batch"))
		job := jobtest.MakeJob(namespace, "payroll").Label(api.EnabledLabel, api.True).
			Annotation(api.ResultsKindAnnotation, api.ResultsKindSecret).Obj()
		Expect(kube.Create(ctx, job)).To(Succeed())
		done := waiting(ctx, "payroll", "--as=operator")
		Consistently(done, time.Second).ShouldNot(Receive())
		finish(ctx, job, api.StatusCompleted, "payroll-results")
		Expect(kube.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

		var last outcome
		Eventually(done).Should(Receive(&last))
		Expect(last.out).To(Equal("job payroll completed: Secret payroll-results\n"))
		Expect(last.code).To(BeZero())
		Expect(last.err).To(And(ContainSubstring("the Job itself shows its outcome"), ContainSubstring("rights to get, list and watch Secrets in namespace "+namespace)))
	})

	It("times out with a reason", func(ctx SpecContext) {
		Expect(kube.Create(ctx, jobtest.MakeJob(namespace, "slow").Label(api.EnabledLabel, api.True).Obj())).To(Succeed())

		for _, timeout := range []string{"0s", "200ms"} {
			result := command(ctx, "wait", "slow", "--timeout="+timeout)
			Expect(result.code).To(Equal(exitTimedOut))
			Expect(result.err).To(ContainSubstring("Error: timed out after " + timeout + ": no results for Job slow: it is still running"))
		}
	})

	It("does not wait where nothing can come", func(ctx SpecContext) {
		Expect(kube.Create(ctx, jobtest.MakeJob(namespace, "report").Obj())).To(Succeed())

		result := command(ctx, "wait", "report")
		Expect(result.code).To(Equal(exitWaitError))
		Expect(result.err).To(HavePrefix("Error: job report is not opted in"))
		for _, args := range [][]string{{"no name"}, {}, {"report", "--no-such-flag"}, {"report", "--new", "--run=1"}, {"report", "--run=1"}} {
			Expect(command(ctx, append([]string{"wait"}, args...)...).code).To(Equal(exitWaitError), "%v", args)
		}
	})
})

var _ = Describe("Completion", func() {
	It("offers the names of results and of their Jobs", func(ctx SpecContext) {
		said(ctx, "report", 1, "hello\n")
		said(ctx, "other", 1, "hello\n")
		running(ctx, "rebuild")
		Expect(strings.Fields(succeed(ctx, "__complete", "wait", "re"))).To(HaveExactElements("rebuild", "report", "report-results", ":4"))

		for _, verb := range []string{"get", "logs"} {
			Expect(strings.Fields(succeed(ctx, "__complete", verb, "re"))).To(HaveExactElements("report", "report-results", ":4"))
		}
		Expect(succeed(ctx, "__complete", "get", "report", "")).To(Equal(":4\n"))
		Expect(succeed(ctx, "__complete", "list", "--output", "y")).To(HavePrefix("yaml\n"))
		Expect(succeed(ctx, "__complete", "list", "--namespace", namespace)).To(HavePrefix(namespace + "\n"))
	})
})
