package main_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/job-handler/job-handler/internal/hostmanager"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
)

const (
	// buildTimeout leaves time for an empty build cache.
	buildTimeout = 5 * time.Minute
	endTimeout   = jobtest.Soon
)

var (
	// kube is the administrator's client.
	kube *apiserver.Server
	// binary is the manager's program.
	binary string
)

func TestProcess(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "The manager's process on a real API server")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	binary = filepath.Join(GinkgoT().TempDir(), "job-handler")
	output, err := exec.CommandContext(ctx, "go", "build", "-o", binary, ".").CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
	kube = suite.Start(ctx)
}, NodeTimeout(buildTimeout+apiserver.StartTimeout))

// process is a running manager and what it logged.
type process struct {
	*hostmanager.Manager

	dir string
	log *gbytes.Buffer
}

// start starts a manager that is ready, and ends it with the spec.
func start(ctx context.Context, args ...string) *process {
	GinkgoHelper()
	p := &process{dir: GinkgoT().TempDir(), log: gbytes.NewBuffer()}
	var err error
	p.Manager, err = hostmanager.Start(ctx, hostmanager.Options{
		Cluster: kube.Cluster(), Binary: binary, Dir: p.dir, Args: args, Output: io.MultiWriter(p.log, GinkgoWriter),
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) { Expect(p.Stop(ctx)).To(Succeed()) }, NodeTimeout(endTimeout))
	return p
}

// status returns the code with which a URL answers, 0 if it does not.
func status(url string) int {
	response, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

func body(url string) string {
	response, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// metric returns the value of a metric with one label value, or without labels.
func (p *process) metric(g Gomega, name, label string) float64 {
	response, err := http.Get(p.MetricsURL() + "/metrics")
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(families).To(HaveKey(name))
	for _, metric := range families[name].GetMetric() {
		if label == "" || metric.GetLabel()[0].GetValue() == label {
			return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	g.Expect(label).To(BeEmpty(), "%s has no such label", name)
	return 0
}

// startBare starts a manager without waiting for anything, with its output.
func startBare(args ...string) (*exec.Cmd, *gbytes.Buffer) {
	GinkgoHelper()
	command, log := exec.Command(binary, args...), gbytes.NewBuffer()
	command.Stdout, command.Stderr = io.MultiWriter(log, GinkgoWriter), io.MultiWriter(log, GinkgoWriter)
	Expect(command.Start()).To(Succeed())
	DeferCleanup(func() {
		Expect(command.Process.Signal(os.Interrupt)).To(Succeed())
		Expect(command.Wait()).To(Succeed())
	})
	return command, log
}
