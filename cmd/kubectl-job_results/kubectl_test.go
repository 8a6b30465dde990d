package main

import (
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("kubectl", func() {
	It("finds the plugin, and its completions", func(ctx SpecContext) {
		folder := GinkgoT().TempDir()
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(folder, "kubectl-job_results"), ".")
		output, err := build.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(output))
		script, err := os.ReadFile("kubectl_complete-job_results")
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(filepath.Join(folder, "kubectl_complete-job_results"), script, 0o700)).To(Succeed())
		Expect(os.Symlink(kube.Cluster().Kubectl(), filepath.Join(folder, "kubectl"))).To(Succeed())
		said(ctx, "report", 1, "hello\n")

		kubectl := func(args ...string) string {
			GinkgoHelper()
			command := exec.CommandContext(ctx, kube.Cluster().Kubectl(), args...)
			command.Env = append(os.Environ(), "KUBECONFIG="+kube.Cluster().Kubeconfig(), "PATH="+folder+":"+os.Getenv("PATH"))
			output, err := command.CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), string(output))
			return string(output)
		}
		Expect(kubectl("job-results", "list", "-n", namespace, "-o", "name")).To(Equal("configmap/report-results\n"))
		Expect(kubectl("job-results", "logs", "report", "--raw", "-n", namespace)).To(Equal("hello\n"))
		Expect(kubectl("__complete", "job-results", "get", "-n", namespace, "rep")).To(ContainSubstring("report\nreport-results\n"))
	}, SpecTimeout(6*soon))
})
