package main

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
	"github.com/job-handler/job-handler/internal/redact"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/why"
)

var _ = Describe("get", func() {
	It("shows what happened on one screen", func(ctx SpecContext) {
		run := runs.Of(failed("import", 1),
			runs.MakePod("import-1", start).Container("main", 0, []byte("fine\n")).Said("records-processed=1,234,567"),
			runs.MakePod("import-2", start.Add(time.Second)).Container("main", 3, []byte("line 1\nline 2\n\x1b[31mline 3")).Restarted(6, 1, []byte("before\n")))
		run.CronJob, run.MissingPods = "nightly", 1
		run.Pods[0].Logs[0].Redacted = redact.Counts{"jwt": 2, "github-token": 1}
		store(ctx, run)

		Expect(succeed(ctx, "get", "import", "--lines=2")).To(Equal(`Job:       import in namespace ` + namespace + `, of CronJob nightly
Outcome:   failed: BackoffLimitExceeded: Job has reached the specified backoff limit
Why:       pod import-2, container main: Error, exit code 3
Finished:  2026-11-05T10:01:30Z (24h ago), after 90s
Pods:      1 succeeded, 1 failed, 1 gone before they could be read
Logs:      37B, incomplete: PodGone (1 pod); InstancesGone (5 logs, first pod import-2, container main)
Redacted:  1 github-token, 2 jwt
Stored in: ConfigMap import-results, run ` + string(uidOf("import", 1)) + `

POD        CONTAINER   KIND   STATE                    EXIT CODE   RESTARTS       DURATION   LOG
import-2   main        main   Terminated (Error)       3           6 (unstable)   60s        25B
import-1   main        main   Terminated (Completed)   0           0              60s        5B

The Job's own results:
  records-processed: 1,234,567

Last lines of pod import-2, container main:
  line 2
  \x1b[31mline 3
`))
	})

	It("says first why a Job never ran", func(ctx SpecContext) {
		pod := runs.MakePod("import-1", start).Container("main", 0, nil)
		run := runs.Of(failed("import", 1), pod)
		run.Pods[0].Pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason: "ContainerCreating",
		}}
		run.Pods[0].Logs[0] = results.ContainerLog{
			Container: "main", Capture: results.Capture{Complete: true, Reason: results.ReasonNeverStarted, Message: "ContainerCreating"},
		}
		for i := range 7 {
			run.Events = append(run.Events, why.Event{
				UID: run.Pods[0].Pod.UID, Kind: "Pod", Name: "import-1", Reason: "FailedMount", Count: i + 1,
				Message: fmt.Sprintf("secret \"keys-%d\" not found", i), Last: start.Add(time.Duration(i) * time.Second),
			})
		}
		store(ctx, run)

		Expect(succeed(ctx, "get", "import")).To(And(
			ContainSubstring("Why:       pod import-1: FailedMount: secret \"keys-6\" not found (7 times)\nFinished:"),
			ContainSubstring("Logs:      0B, complete\n"),
			ContainSubstring("   none (NeverStarted)\n"),
			HaveSuffix("\nEvents:\n"+
				"  2026-11-05T10:00:02Z  pod/import-1  FailedMount (3 times): secret \"keys-2\" not found\n"+
				"  2026-11-05T10:00:03Z  pod/import-1  FailedMount (4 times): secret \"keys-3\" not found\n"+
				"  2026-11-05T10:00:04Z  pod/import-1  FailedMount (5 times): secret \"keys-4\" not found\n"+
				"  2026-11-05T10:00:05Z  pod/import-1  FailedMount (6 times): secret \"keys-5\" not found\n"+
				"  2026-11-05T10:00:06Z  pod/import-1  FailedMount (7 times): secret \"keys-6\" not found\n"+
				"  (2 Events before them: --output=jsonpath='{.data.events}')\n")))
	})

	It("says that pods may be missing", func(ctx SpecContext) {
		run := runs.Of(failed("import", 1), runs.MakePod("import-1", start).Container("main", 1, []byte("fine\n")))
		run.PerhapsMissingPods = 1
		store(ctx, run)

		Expect(succeed(ctx, "get", "import")).To(And(
			ContainSubstring("failed, 1 more may be missing\n"), ContainSubstring("incomplete: PodMayBeMissing (1 pod)\n")))
	})

	It("finds the newest run, another one, and objects by their name", func(ctx SpecContext) {
		// The API server's clock tells which is newer, in seconds; the results' own
		// tells them apart within one.
		said(ctx, "report", 1, "first\n")
		second := runs.Of(completed("report", 2), runs.MakePod("report-x", start).Container("main", 0, []byte("second\n")))
		second.CreatedAt = second.CreatedAt.Add(time.Hour)
		newest := store(ctx, second)
		Expect(newest.Name).To(HavePrefix("report-results-00000002"))

		Expect(succeed(ctx, "get", "report", "-o", "name")).To(Equal("configmap/" + newest.Name + "\n"))
		Expect(succeed(ctx, "get", "report", "--run=00000001", "-o", "name")).To(Equal("configmap/report-results\n"))
		Expect(succeed(ctx, "get", "report-results", "-o", "name")).To(Equal("configmap/report-results\n"))
		Expect(columns(succeed(ctx, "get", "report", "-o", "wide"))).To(ContainSubstring("| report | completed | 24h ago |"))
		Expect(fail(ctx, "get", "report", "--run=0000000")).To(ContainSubstring("several runs of job report start with 0000000"))
		Expect(fail(ctx, "get", "report", "--run=abc")).To(Equal("Error: job report has no run abc; it has, newest first:\n  " +
			string(uidOf("report", 2)) + "\n  " + string(uidOf("report", 1)) + "\n"))
		Expect(fail(ctx, "get", "report-results", "--run=abc")).To(ContainSubstring("is of run 00000001-"))
	})

	It("prints the object", func(ctx SpecContext) {
		said(ctx, "report", 1, "hello\n")
		Expect(succeed(ctx, "get", "report", "-o", "jsonpath={.data.status}")).To(Equal("completed"))
		Expect(succeed(ctx, "get", "report", "-o", "yaml")).To(And(HavePrefix("apiVersion: v1\n"), ContainSubstring("kind: ConfigMap\n")))
	})

	It("prints nothing that could steer a terminal", func(ctx SpecContext) {
		cm := build(runs.Of(completed("forged", 1)))
		cm.Data[api.DataJobJSON] = strings.Replace(cm.Data[api.DataJobJSON], `"reason"`, `"message": "\u001b[2J", "reason"`, 1)
		cm.Data[api.DataJobJSON] = strings.Replace(cm.Data[api.DataJobJSON], `"status"`, `"message": "\u001b[2J\u202e", "status"`, 1)
		cm.Data["own\x2dkey"] = "\x1b]0;title\a"
		reseal(cm)
		Expect(kube.Create(ctx, cm)).To(Succeed())

		for _, args := range [][]string{
			{"get", "forged"},
			{"get", "forged", "-o", "wide"},
			{"get", "forged", "-o", "jsonpath={.data}{.data.own-key}"},
			{"get", "forged", "-o", "json"},
			{"list", "-o", "wide"},
			{"logs", "forged"},
		} {
			Expect(succeed(ctx, args...)).NotTo(ContainSubstring("\x1b"), "%v", args)
		}
	})

	It("needs no right but to read results", func(ctx SpecContext) {
		said(ctx, "report", 1, "hello\n")
		reader := []string{"--as=reader"}
		grantConfigMaps(ctx, "reader")

		Expect(succeed(ctx, append(reader, "list", "-o", "name")...)).To(Equal("configmap/report-results\n"))
		Expect(succeed(ctx, append(reader, "wait", "report")...)).To(HavePrefix("job report completed"))
		Expect(fail(ctx, append(reader, "get", "other")...)).To(HavePrefix(`Error: no results of "other" in namespace ` + namespace + "; without the right to get Jobs there the command cannot tell why"))
		Expect(fail(ctx, append(reader, "list", "-A")...)).To(ContainSubstring("forbidden"))
	})

	It("refuses what is not whole, or not ours", func(ctx SpecContext) {
		cm := build(runs.Of(completed("broken", 1)))
		cm.Data[api.DataLogs] = "forged\n"
		Expect(kube.Create(ctx, cm)).To(Succeed())
		Expect(fail(ctx, "get", "broken")).To(ContainSubstring("damaged results of this run: its SHA-256 is "))

		foreign := build(runs.Of(completed("foreign", 1)))
		foreign.Labels = nil
		Expect(kube.Create(ctx, foreign)).To(Succeed())
		Expect(fail(ctx, "get", "foreign-results")).To(ContainSubstring("no Job and no results of that name"))
	})

	It("says why there are no results, and what to do", func(ctx SpecContext) {
		create := func(builder *jobtest.JobBuilder) {
			GinkgoHelper()
			Expect(kube.Create(ctx, builder.Obj())).To(Succeed())
		}
		create(jobtest.MakeJob(namespace, "running").Label(api.EnabledLabel, api.True))
		create(jobtest.MakeJob(namespace, "suspended").Label(api.EnabledLabel, api.True).Suspended())
		create(jobtest.MakeJob(namespace, "not-opted-in"))
		finished := jobtest.MakeJob(namespace, "finished").Label(api.EnabledLabel, api.True).Obj()
		Expect(kube.Create(ctx, finished)).To(Succeed())
		finished.Status.StartTime = new(finished.CreationTimestamp)
		finished.Status.CompletionTime = new(finished.CreationTimestamp)
		for _, condition := range versions.Ending(batchv1.JobComplete) {
			finished.Status.Conditions = append(finished.Status.Conditions, batchv1.JobCondition{
				Type: condition, Status: corev1.ConditionTrue, LastTransitionTime: finished.CreationTimestamp,
			})
		}
		Expect(kube.Status().Update(ctx, finished)).To(Succeed())

		for name, want := range map[string]string{
			"running":      "no results for Job running: it is still running (kubectl job-results wait running",
			"suspended":    "no results for Job suspended: it is suspended",
			"not-opted-in": "job not-opted-in is not opted in: label it, or its namespace, for results to be kept: kubectl label -n " + namespace + " job not-opted-in job-handler/enabled=true",
			"finished":     "no results for Job finished yet: it has finished, and they are about to be stored: kubectl job-results wait finished",
			"nothing":      "no Job and no results of that name in namespace " + namespace + `: "nothing"`,
			"no name":      `"no name" is not the name of a Job or of a results object`,
		} {
			Expect(fail(ctx, "get", name)).To(HavePrefix("Error: " + want))
		}
		Expect(fail(ctx, "get")).To(ContainSubstring("accepts 1 arg"))
	})
})
