package main

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
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

// absent is what wait says where there is no such Job, and nothing of the run.
func absent(job, run string) string {
	return "There is no Job " + job + " in namespace " + namespace + ", and no results of " + run + "; waiting for them.\n"
}

var _ = Describe("wait", func() {
	It("ends at once where results are there, with the Job's outcome", func(ctx SpecContext) {
		said(ctx, "report", 1, "hello\n")
		store(ctx, runs.Of(failed("import", 1)))

		Expect(command(ctx, "wait", "report")).To(Equal(outcome{out: "job report completed: ConfigMap report-results\n"}))
		Expect(command(ctx, "wait", "import")).To(Equal(outcome{out: "job import failed: ConfigMap import-results\n", code: exitFailed}))
		Expect(command(ctx, "wait", "import", "--timeout=0", "--run=00000001").code).To(Equal(exitFailed))
	})

	It("waits for a Job that is deleted once its results are there", func(ctx SpecContext) {
		said(ctx, "report", 1, "an earlier run\n")
		job := jobtest.MakeJob(namespace, "report").Label(api.EnabledLabel, api.True).Obj()
		Expect(kube.Create(ctx, job)).To(Succeed())
		done := waiting(ctx, "report")
		Consistently(done, time.Second).ShouldNot(Receive())

		finished := failed("report", 1)
		finished.UID = job.UID
		run := runs.Of(finished)
		content := build(run)
		content.Name = "report-results-2"
		Expect(kube.Create(ctx, content)).To(Succeed())
		Expect(kube.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())

		Eventually(done).Should(Receive(Equal(outcome{out: "job report failed: ConfigMap report-results-2\n", code: exitFailed})))
	})

	It("waits for a Job that is not there yet, and says so", func(ctx SpecContext) {
		done := waiting(ctx, "later")
		Consistently(done, time.Second).ShouldNot(Receive())

		said(ctx, "other", 1, "hello\n")
		said(ctx, "later", 1, "hello\n")

		Eventually(done).Should(Receive(Equal(outcome{
			out: "job later completed: ConfigMap later-results\n",
			err: absent("later", "it"),
		})))
	})

	It("waits for the run that was asked for", func(ctx SpecContext) {
		said(ctx, "report", 1, "hello\n")
		done := waiting(ctx, "report", "--run=00000003")
		Consistently(done, time.Second).ShouldNot(Receive())
		said(ctx, "report", 2, "hello\n")
		Consistently(done, time.Second).ShouldNot(Receive())
		cm := build(runs.Of(completed("report", 3)))
		cm.Name = "third"
		Expect(kube.Create(ctx, cm)).To(Succeed())

		Eventually(done).Should(Receive(Equal(outcome{out: "job report completed: ConfigMap third\n", err: absent("report", "run 00000003")})))
	})

	It("times out with a reason", func(ctx SpecContext) {
		Expect(kube.Create(ctx, jobtest.MakeJob(namespace, "slow").Label(api.EnabledLabel, api.True).Obj())).To(Succeed())

		for _, timeout := range []string{"0s", "200ms"} {
			result := command(ctx, "wait", "slow", "--timeout="+timeout)
			Expect(result.code).To(Equal(exitTimedOut))
			Expect(result.err).To(HavePrefix("Error: timed out after " + timeout + ": no results for Job slow: it is still running"))
		}
	})

	It("does not wait where nothing can come", func(ctx SpecContext) {
		Expect(kube.Create(ctx, jobtest.MakeJob(namespace, "report").Obj())).To(Succeed())

		result := command(ctx, "wait", "report")
		Expect(result.code).To(Equal(exitWaitError))
		Expect(result.err).To(HavePrefix("Error: job report is not opted in"))
		Expect(command(ctx, "wait", "no name").code).To(Equal(exitWaitError))
	})
})

var _ = Describe("Completion", func() {
	It("offers the names of results and of their Jobs", func(ctx SpecContext) {
		said(ctx, "report", 1, "hello\n")
		said(ctx, "other", 1, "hello\n")

		for _, verb := range []string{"get", "logs", "wait"} {
			Expect(strings.Fields(succeed(ctx, "__complete", verb, "re"))).To(HaveExactElements("report", "report-results", ":4"))
		}
		Expect(succeed(ctx, "__complete", "get", "report", "")).To(Equal(":4\n"))
		Expect(succeed(ctx, "__complete", "list", "--output", "y")).To(HavePrefix("yaml\n"))
		Expect(succeed(ctx, "__complete", "list", "--namespace", namespace)).To(HavePrefix(namespace + "\n"))
	})
})
