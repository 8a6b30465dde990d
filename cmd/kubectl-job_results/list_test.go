package main

import (
	"encoding/json"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
)

// columns returns a table with one space between columns.
func columns(table string) string {
	var lines []string
	for line := range strings.Lines(table) {
		fields := strings.FieldsFunc(strings.ReplaceAll(strings.TrimRight(line, " \n"), "   ", "\x00"), func(r rune) bool { return r == 0 })
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		lines = append(lines, strings.Join(fields, " | "))
	}
	return strings.Join(lines, "\n") + "\n"
}

var _ = Describe("list", func() {
	BeforeEach(func(ctx SpecContext) {
		said(ctx, "report", 1, "hello\n")
		later := failed("import", 1)
		later.Status.Conditions[0].LastTransitionTime.Time = start.Add(23 * time.Hour)
		run := runs.Of(later, runs.MakePod("import-1", start).Container("main", 3, []byte(strings.Repeat("x", 12345))).
			Incomplete("EndedEarly", "the stream ended before the log did"),
			runs.MakePod("import-2", start).Container("main", 137, nil).Container("side", 0, nil))
		run.CronJob, run.MissingPods = "nightly", 1
		run.Labels = map[string]string{"team": "billing"}
		store(ctx, run)
	})

	It("shows a table, newest first", func(ctx SpecContext) {
		Expect(columns(succeed(ctx, "list"))).To(Equal(
			`NAME | JOB | STATUS | FINISHED | DURATION | EXIT CODES | LOGS | COMPLETE
import-results | import | failed | 61m ago | 23h | 0,3,137 | 12KiB | no
report-results | report | completed | 24h ago | 90s | 0 | 6B | yes
`))
	})

	It("shows more on request", func(ctx SpecContext) {
		Expect(columns(succeed(ctx, "list", "-o", "wide", "--failed", "-L", "team"))).To(Equal(
			`NAME | JOB | STATUS | FINISHED | DURATION | EXIT CODES | LOGS | COMPLETE | REASON | CRONJOB | RUN | MISSING | TEAM
import-results | import | failed | 61m ago | 23h | 0,3,137 | 12KiB | no | BackoffLimitExceeded | nightly | ` +
				string(uidOf("import", 1)) + ` | PodGone (1 pod); EndedEarly (pod import-1, container main: the stream ended before the log did) | billing
`))
	})

	DescribeTable("chooses", func(ctx SpecContext, want string, args ...string) {
		Expect(succeed(ctx, append([]string{"list", "-o", "name"}, args...)...)).To(Equal(want))
	},
		Entry("all", "configmap/import-results\nconfigmap/report-results\n"),
		Entry("failed ones", "configmap/import-results\n", "--failed"),
		Entry("those of a CronJob", "configmap/import-results\n", "--cronjob=nightly"),
		Entry("those with a label", "configmap/import-results\n", "-l", "team in (billing,sales)"),
		Entry("those without", "configmap/report-results\n", "-l", "!team"),
		Entry("late ones", "configmap/import-results\n", "--since=2h"),
		Entry("not so late ones", "configmap/import-results\nconfigmap/report-results\n", "--since=1d"),
	)

	It("prints the objects themselves", func(ctx SpecContext) {
		var list struct {
			Kind  string
			Items []struct {
				Kind string
				Data map[string]string
			}
		}
		Expect(json.Unmarshal([]byte(succeed(ctx, "list", "-o", "json")), &list)).To(Succeed())
		Expect(list.Kind).To(Equal("List"))
		Expect(list.Items).To(HaveLen(2))
		Expect(list.Items[1].Kind).To(Equal("ConfigMap"))
		Expect(list.Items[1].Data).To(HaveKeyWithValue(api.DataStatus, "completed"))
		Expect(succeed(ctx, "list", "-o", "yaml")).To(ContainSubstring("kind: List"))
		Expect(succeed(ctx, "list", "-o", "jsonpath={.items[*].data.job-name}")).To(Equal("import report"))
		Expect(succeed(ctx, "list", "--no-headers", "-o", "custom-columns=J:.data.job-name")).To(Equal("import\nreport\n"))
		Expect(succeed(ctx, "list", "--failed", "--template={{range .items}}{{.data.status}}{{end}}")).To(Equal("failed"))
	})

	It("looks into other namespaces", func(ctx SpecContext) {
		here := namespace
		namespace = newNamespace(ctx, nil)

		Expect(command(ctx, "list")).To(Equal(outcome{err: "No results found in namespace " + namespace + ".\n"}))
		all := columns(succeed(ctx, "list", "-A"))
		Expect(all).To(HavePrefix("NAMESPACE | NAME | JOB |"))
		Expect(all).To(ContainSubstring(here + " | report-results | report | completed |"))
		Expect(succeed(ctx, "list", "-o", "json")).To(ContainSubstring(`"items": []`))
	})

	It("names what it cannot read", func(ctx SpecContext) {
		cm := build(runs.Of(completed("broken", 1)))
		cm.Annotations[api.SHA256Annotation] = "0123"
		Expect(kube.Create(ctx, cm)).To(Succeed())

		result := command(ctx, "list", "-o", "name")
		Expect(result.out).NotTo(ContainSubstring("broken"))
		Expect(result.err).To(And(HavePrefix("Warning: ConfigMap broken-results in namespace "), ContainSubstring("SHA-256")))
	})

	It("pages through many", func(ctx SpecContext) {
		for i := range 2*pageSize + 1 {
			said(ctx, "many-"+strings.Repeat("x", i+1), 1, "hello\n")
		}
		Expect(strings.Count(succeed(ctx, "list", "--no-headers"), "\n")).To(Equal(2*pageSize + 3))
	})

	DescribeTable("refuses", func(ctx SpecContext, want string, args ...string) {
		Expect(fail(ctx, append([]string{"list"}, args...)...)).To(ContainSubstring(want))
	},
		Entry("a wrong time", `--since: "yesterday" is not a duration such as 90m, 24h or 7d`, "--since=yesterday"),
		Entry("no time", `--since: "never"`, "--since=never"),
		Entry("a wrong selector", "--selector: ", "-l", "a=b=c"),
		Entry("a wrong CronJob", `--cronjob: "a b" is not the name of a CronJob`, "--cronjob=a b"),
		Entry("a wrong format", "--output: ", "-o", "xml"),
		Entry("a name", "unknown command", "report"),
	)
})
