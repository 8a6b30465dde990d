package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
	"github.com/job-handler/job-handler/internal/metrics"
)

const (
	rulesFile     = "../../config/alerts/rules.yaml"
	dashboardFile = "../../config/components/prometheus/dashboard.json"
)

// exported is what is known of a metric that the manager serves: its type, and the
// values of its labels. A label whose values cannot be listed has none.
type exported struct {
	kind   string
	labels map[string][]string
}

// served returns the metrics of a manager by name.
func (p *process) served(g Gomega) map[string]exported {
	response, err := http.Get(p.MetricsURL() + "/metrics")
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	all := map[string]exported{}
	for name, family := range families {
		metric := exported{strings.ToLower(family.GetType().String()), map[string][]string{}}
		for _, series := range family.GetMetric() {
			for _, pair := range series.GetLabel() {
				metric.label(pair.GetName(), pair.GetValue())
			}
		}
		all[name] = metric
	}
	return all
}

// label notes a value of a label.
func (e exported) label(name, value string) {
	if !slices.Contains(e.labels[name], value) {
		e.labels[name] = append(e.labels[name], value)
	}
}

// documented returns the metrics that docs/metrics.md has.
func documented() map[string]metrics.Definition {
	all := map[string]metrics.Definition{}
	for _, group := range metrics.Groups() {
		for _, d := range group.Definitions {
			all[d.Name] = d
		}
	}
	return all
}

// finishedJob returns a Job that is to be handled and has completed.
func finishedJob(ctx context.Context, name string) *batchv1.Job {
	GinkgoHelper()
	job := jobtest.MakeJob(metav1.NamespaceDefault, name).Label(api.EnabledLabel, api.True).Obj()
	Expect(kube.Create(ctx, job)).To(Succeed())
	started, ended := metav1.NewTime(time.Now().Add(-time.Minute)), metav1.Now()
	job.Status.StartTime, job.Status.CompletionTime = &started, &ended
	job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	for _, kind := range versions.Ending(batchv1.JobComplete) {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: ended, Reason: batchv1.JobReasonCompletionsReached,
		})
	}
	Expect(kube.Status().Update(ctx, job)).To(Succeed())
	return job
}

var _ = Describe("What the manager serves", Ordered, func() {
	var p *process
	var now map[string]exported

	BeforeAll(func(ctx SpecContext) {
		p = start(ctx, "--leader-elect", "--self-test-interval=1s")
		job := finishedJob(ctx, "measured")
		Eventually(ctx, func() bool {
			return apierrors.IsNotFound(kube.Get(ctx, client.ObjectKeyFromObject(job), &batchv1.Job{}))
		}).Should(BeTrue())
		Eventually(ctx, func(g Gomega) {
			now = p.served(g)
			g.Expect(now).To(And(HaveKey("job_handler_results_bytes"), HaveKey("job_handler_self_test_stamping_works")))
		}).Should(Succeed())
		Expect(p.metric(Default, "job_handler_backlog_jobs", "")).To(BeZero())
	}, NodeTimeout(specTimeout))

	It("is what docs/metrics.md says, with the labels and values listed there", func() {
		known := documented()
		for name, metric := range now {
			if !strings.HasPrefix(name, metrics.Prefix) {
				continue
			}
			Expect(known).To(HaveKey(name))
			d := known[name]
			Expect(metric.kind).To(Equal(string(d.Kind)), name)
			var labels []string
			for _, label := range d.Labels {
				labels = append(labels, label.Name)
				if len(label.Values) > 0 {
					Expect(valuesOf(label)).To(ContainElements(metric.labels[label.Name]), name)
				}
			}
			Expect(slices.Collect(maps.Keys(metric.labels))).To(ConsistOf(labels), name)
		}
		for name, d := range known {
			if d.Absent == "" {
				Expect(now).To(HaveKey(name))
			}
		}
	})

	It("has counted the Job once", func() {
		Expect(p.metric(Default, "job_handler_jobs_stored_total", "complete")).To(BeEquivalentTo(1))
		Expect(p.metric(Default, "job_handler_results_lost_total", "")).To(BeZero())
	})

	It("has every metric and label that alerts and dashboard ask for", func(ctx SpecContext) {
		for name, d := range documented() {
			if _, there := now[name]; !there {
				now[name] = exported{string(d.Kind), map[string][]string{}}
			}
			for _, label := range d.Labels {
				now[name].labels[label.Name] = valuesOf(label)
			}
		}
		asked := queries()
		Expect(len(asked)).To(BeNumerically(">", 60))
		for i, use := range uses(ctx, asked) {
			Expect(use.Error).To(BeEmpty(), asked[i].expr)
			Expect(use.Selectors).NotTo(BeEmpty(), asked[i].expr)
			Expect(use.problems(now)).To(BeEmpty(), asked[i].expr)
			for _, found := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(asked[i].legend, -1) {
				Expect(append(use.Labels, scraped...)).To(ContainElement(found[1]), asked[i].expr)
			}
		}
	}, SpecTimeout(buildTimeout))
})

// scraped are labels that Prometheus gives to all that it reads from a manager; pod
// by its operator alone.
var scraped = []string{"instance", "pod"}

func valuesOf(label metrics.Label) []string {
	var values []string
	for _, value := range label.Values {
		values = append(values, value.Value)
	}
	return values
}

// asked is a query, and how its lines are called.
type asked struct{ expr, legend string }

// queries returns those of all alerts and panels.
func queries() []asked {
	GinkgoHelper()
	var rules struct {
		Groups []struct{ Rules []struct{ Expr string } }
	}
	var dashboard struct {
		Panels []struct {
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	for file, into := range map[string]any{rulesFile: &rules, dashboardFile: &dashboard} {
		text, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		Expect(yaml.Unmarshal(text, into)).To(Succeed())
	}
	var all []asked
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			all = append(all, asked{expr: rule.Expr})
		}
	}
	// What Grafana puts in the place of its variables.
	variables := strings.NewReplacer("$__rate_interval", "2m", "$__range", "6h")
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all = append(all, asked{variables.Replace(target.Expr), target.LegendFormat})
		}
	}
	return all
}

// use is what a query uses, as Prometheus' own parser tells.
type use struct {
	Error     string
	Selectors []struct {
		Metric          string
		Equal, Patterns map[string]string
	}
	Labels []string
}

// uses asks the program that has the parser.
func uses(ctx context.Context, asked []asked) []use {
	GinkgoHelper()
	program := filepath.Join(GinkgoT().TempDir(), "queries")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir, build.Env = filepath.Join("..", "..", "internal", "tools", "prometheus"), append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	output, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
	var expressions []string
	for _, each := range asked {
		expressions = append(expressions, each.expr)
	}
	input, err := json.Marshal(expressions)
	Expect(err).NotTo(HaveOccurred())
	run := exec.CommandContext(ctx, program)
	run.Stdin, run.Stderr = bytes.NewReader(input), GinkgoWriter
	answer, err := run.Output()
	Expect(err).NotTo(HaveOccurred())
	var all []use
	Expect(json.Unmarshal(answer, &all)).To(Succeed())
	Expect(all).To(HaveLen(len(asked)))
	return all
}

// problems returns what is asked for that there is not.
func (u use) problems(served map[string]exported) []string {
	var problems []string
	labels := slices.Clone(scraped)
	for _, selector := range u.Selectors {
		name := selector.Metric
		if base, isBucket := strings.CutSuffix(name, "_bucket"); isBucket && served[base].kind == "histogram" {
			name = base
			labels = append(labels, "le")
		}
		metric, there := served[name]
		if !there {
			problems = append(problems, "no metric "+name)
		}
		labels = slices.AppendSeq(labels, maps.Keys(metric.labels))
		for label, value := range selector.Equal {
			if !slices.Contains(metric.labels[label], value) {
				problems = append(problems, fmt.Sprintf("no %s with %s=%s", name, label, value))
			}
		}
		for label, pattern := range selector.Patterns {
			matches := regexp.MustCompile("^(?:" + pattern + ")$").MatchString
			if !slices.ContainsFunc(metric.labels[label], matches) {
				problems = append(problems, fmt.Sprintf("no %s with %s=~%s", name, label, pattern))
			}
		}
	}
	for _, label := range u.Labels {
		if !slices.Contains(labels, label) {
			problems = append(problems, "no label "+label)
		}
	}
	return problems
}
