package main

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
)

// hid stores the results of a Job that completed and printed text, in a Secret.
func hid(ctx context.Context, job string, run int, text string) {
	GinkgoHelper()
	r := runs.Of(completed(job, run), runs.MakePod(job+"-abc12", start).Container("main", 0, []byte(text)).Said("rows=3"))
	content, err := results.Build(r)
	Expect(err).NotTo(HaveOccurred())
	Expect(kube.Create(ctx, content.Object(api.ResultsKindSecret, namespace, names.Results(job)).Encode())).To(Succeed())
}

var _ = Describe("Results in Secrets", func() {
	It("are read as those in ConfigMaps", func(ctx SpecContext) {
		said(ctx, "report", 1, "open\n")
		hid(ctx, "payroll", 1, "\x1b[1mhidden\xff\n")

		Expect(succeed(ctx, "list", "-o", "name")).To(Equal("secret/payroll-results\nconfigmap/report-results\n"))
		screen := succeed(ctx, "get", "payroll")
		Expect(screen).To(ContainSubstring("Stored in: Secret payroll-results"))
		Expect(screen).To(ContainSubstring("  rows: 3\n"))
		Expect(succeed(ctx, "get", "payroll-results", "-o", "name")).To(Equal("secret/payroll-results\n"))
		Expect(succeed(ctx, "logs", "payroll", "--raw")).To(ContainSubstring("\x1b[1mhidden\xff\n"))
		Expect(succeed(ctx, "wait", "payroll")).To(HavePrefix("job payroll completed"))
	})

	It("are put together from parts in Secrets", func(ctx SpecContext) {
		log := bytesOf(2 * mib)
		run := wroteBytes("payroll", 4*mib, log)
		content, err := results.Build(run)
		Expect(err).NotTo(HaveOccurred())
		var stored []string
		for _, part := range content.Parts {
			stored = append(stored, names.Parts("payroll-results", part.Number, part.SHA256, run.Job.UID)[0])
			object := content.PartContent(part, "payroll-results").Object(api.ResultsKindSecret, namespace, stored[part.Number])
			Expect(kube.Create(ctx, object.Encode())).To(Succeed())
		}
		Expect(stored).To(HaveLen(3))
		Expect(content.ListParts(stored)).To(Succeed())
		Expect(kube.Create(ctx, content.Object(api.ResultsKindSecret, namespace, "payroll-results").Encode())).To(Succeed())

		Expect(succeed(ctx, "list", "-o", "name")).To(Equal("secret/payroll-results\n"))
		same := succeed(ctx, "logs", "payroll", "--raw") == string(log)
		Expect(same).To(BeTrue(), "the log is what was written")
	})

	It("are not missed where the user may not list Secrets", func(ctx SpecContext) {
		said(ctx, "report", 1, "open\n")
		hid(ctx, "payroll", 1, "hidden\n")
		grantConfigMaps(ctx, "clerk")
		Expect(succeed(ctx, "--as=clerk", "list", "-o", "name")).To(Equal("configmap/report-results\n"))
		Expect(fail(ctx, "--as=clerk", "get", "payroll")).To(HavePrefix(`Error: no results of "payroll"`))
	})
})
