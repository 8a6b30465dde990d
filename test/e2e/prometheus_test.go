package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/pinned"
)

const (
	// hurry is how much faster than elsewhere time passes for the alerts: a minute
	// takes a second.
	hurry = 60
	// The account that docs/operations.md binds, and its namespace.
	monitoring     = "monitoring"
	monitorAccount = "prometheus-k8s"
	promEndTimeout = 10 * time.Second
)

// prometheus is a Prometheus on this machine that scrapes the managers' pods, as
// docs/operations.md says one does without the operator, every second.
type prometheus struct{ folder, address string }

// scrapes is its configuration: %q are addresses of pods.
const scrapes = `global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
- job_name: job-handler
  scheme: https
  honor_labels: true
  authorization: {credentials_file: token}
  tls_config: {server_name: job-handler-metrics.job-handler-system.svc, ca_file: ca.crt}
  static_configs:
  - targets: %s
`

// startPrometheus starts one that ends with the test. It scrapes nothing yet.
func startPrometheus(t *testing.T) *prometheus {
	t.Helper()
	g := NewWithT(t)
	program, err := pinned.Program(t.Context(), moduleRoot, pinned.Prometheus())
	g.Expect(err).NotTo(HaveOccurred())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(listener.Close()).To(Succeed())
	p := &prometheus{folder: t.TempDir(), address: listener.Addr().String()}
	p.write(g, "config.yaml", "global: {}\n")
	output, err := os.Create(filepath.Join(p.folder, "log"))
	g.Expect(err).NotTo(HaveOccurred())
	command := exec.CommandContext(context.WithoutCancel(t.Context()), program,
		"--config.file=config.yaml", "--storage.tsdb.path=data", "--web.listen-address="+p.address, "--web.enable-lifecycle")
	command.Dir, command.Stdout, command.Stderr = p.folder, output, output
	g.Expect(command.Start()).To(Succeed())
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		killer := time.AfterFunc(promEndTimeout, func() { _ = command.Process.Kill() })
		defer killer.Stop()
		if err := command.Wait(); err != nil || t.Failed() {
			text, _ := os.ReadFile(output.Name())
			t.Logf("Prometheus ended (%v):\n%s", err, text)
		}
		output.Close()
	})
	g.Eventually(func() error { return p.call(t.Context(), http.MethodGet, "/-/ready", nil) }).
		WithTimeout(time.Minute).WithPolling(poll).Should(Succeed())
	return p
}

func (p *prometheus) write(g Gomega, name, text string) {
	g.Expect(os.WriteFile(filepath.Join(p.folder, name), []byte(text), 0o600)).To(Succeed())
}

// call sends a request and decodes the data of the answer, if that is wanted.
func (p *prometheus) call(ctx context.Context, method, path string, data any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.address+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK && data == nil {
		return nil
	}
	answer := struct {
		Error string
		Data  any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("reading the answer to %s, %s: %w", path, response.Status, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("asking for %s: %s: %s", path, response.Status, answer.Error)
	}
	return nil
}

// scrape has it scrape the managers that there are, with the authority of now, and
// judge by the rules that are installed, in a hurry.
func (p *prometheus) scrape(s *story) {
	s.t.Helper()
	p.write(s, "token", s.mustKubectl("create", "token", monitorAccount, "--namespace="+monitoring, "--duration=2h"))
	secret := &corev1.Secret{}
	s.Expect(s.w.client.Get(s.ctx(), client.ObjectKey{Namespace: api.ManagerNamespace, Name: "job-handler-webhook-cert"}, secret)).To(Succeed())
	p.write(s, "ca.crt", string(secret.Data["ca.crt"]))
	p.write(s, "rules.yaml", installedRules(s))
	pods, err := s.w.manager.pods(s.ctx())
	s.Expect(err).NotTo(HaveOccurred())
	var targets []string
	for i := range pods {
		targets = append(targets, fmt.Sprintf("%q", net.JoinHostPort(pods[i].Status.PodIP, "8443")))
	}
	p.write(s, "config.yaml", fmt.Sprintf(scrapes, "["+strings.Join(targets, ", ")+"]"))
	s.Expect(p.call(s.ctx(), http.MethodPost, "/-/reload", nil)).To(Succeed())
}

// installedRules returns the alerts of the cluster's PrometheusRule, in a hurry.
func installedRules(s *story) string {
	s.t.Helper()
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("monitoring.coreos.com/v1")
	object.SetKind("PrometheusRule")
	s.Expect(s.w.client.Get(s.ctx(), client.ObjectKey{Namespace: api.ManagerNamespace, Name: api.ManagerName}, object)).To(Succeed())
	groups, _, err := unstructured.NestedSlice(object.Object, "spec", "groups")
	s.Expect(err).NotTo(HaveOccurred())
	for _, group := range groups {
		rules, _, err := unstructured.NestedSlice(group.(map[string]any), "rules")
		s.Expect(err).NotTo(HaveOccurred())
		for _, each := range rules {
			rule := each.(map[string]any)
			rule["expr"] = hurried(fmt.Sprint(rule["expr"]))
			if pending, there := rule["for"]; there {
				rule["for"] = hurriedDuration(fmt.Sprint(pending))
			}
		}
		group.(map[string]any)["rules"] = rules
	}
	text, err := yaml.Marshal(map[string]any{"groups": groups})
	s.Expect(err).NotTo(HaveOccurred())
	return string(text)
}

var (
	// overTime is the range of a selector.
	overTime = regexp.MustCompile(`\[\w+\]`)
	// seconds is what an age, or a time that is left, is compared with.
	seconds = regexp.MustCompile(`(?m)^(.*_seconds\).* [<>] )([\d *]+)$`)
)

// hurried returns the expression of an alert with its times, and nothing else,
// shortened.
func hurried(expression string) string {
	expression = overTime.ReplaceAllStringFunc(expression, func(found string) string {
		return "[" + hurriedDuration(strings.Trim(found, "[]")) + "]"
	})
	return seconds.ReplaceAllString(expression, fmt.Sprintf("$1($2) / %d", hurry))
}

func hurriedDuration(text string) string {
	duration, err := model.ParseDuration(text)
	if err != nil {
		return text
	}
	return (duration / hurry).String()
}

func TestHurried(t *testing.T) {
	for expression, want := range map[string]string{
		"sum(job_handler_backlog_jobs) > 100":                                    "sum(job_handler_backlog_jobs) > 100",
		"sum by (cause) (increase(job_handler_refusals_total[30m])) > 0":         "sum by (cause) (increase(job_handler_refusals_total[30s])) > 0",
		"max(job_handler_backlog_oldest_seconds) > 1800":                         "max(job_handler_backlog_oldest_seconds) > (1800) / 60",
		"time() - max(x_timestamp_seconds) > 900\nunless on ()\nmax(works) == 0": "time() - max(x_timestamp_seconds) > (900) / 60\nunless on ()\nmax(works) == 0",
		"min(x_expiry_timestamp_seconds) - time() < 7 * 86400":                   "min(x_expiry_timestamp_seconds) - time() < (7 * 86400) / 60",
		"sum(increase(a[1h]))\n  > 0.1 * sum(increase(job_handler_stored[1h]))":  "sum(increase(a[1m]))\n  > 0.1 * sum(increase(job_handler_stored[1m]))",
	} {
		if got := hurried(expression); got != want {
			t.Errorf("%q becomes %q, not %q", expression, got, want)
		}
	}
}

// alert is one that is pending or fires.
type alert struct {
	State  string
	Labels map[string]string
}

// String implements fmt.Stringer.
func (a alert) String() string {
	text := a.Labels["alertname"] + " " + a.State
	for _, label := range []string{"kind", "cause", "namespace"} {
		if value := a.Labels[label]; value != "" {
			text += " " + label + "=" + value
		}
	}
	return text
}

// alerts returns those that there are now, pending ones too, by g's leave.
func (p *prometheus) alerts(ctx context.Context, g Gomega) []string {
	var data struct{ Alerts []alert }
	g.Expect(p.call(ctx, http.MethodGet, "/api/v1/alerts", &data)).To(Succeed())
	all := []string{}
	for _, each := range data.Alerts {
		all = append(all, each.String())
	}
	slices.Sort(all)
	return all
}

// series has a number, as it is sent, after its time.
type series struct {
	Metric map[string]string
	Value  []any
}

func (s series) isNumber() bool { return len(s.Value) == 2 && s.Value[1] != "NaN" }

// ask returns the series of a query.
func (p *prometheus) ask(ctx context.Context, query string) ([]series, error) {
	var data struct{ Result []series }
	err := p.call(ctx, http.MethodGet, "/api/v1/query?"+url.Values{"query": {query}}.Encode(), &data)
	return data.Result, err
}

// rules returns how many alerts it judges, and what is wrong with them.
func (p *prometheus) rules(ctx context.Context, g Gomega) (count int, problems []string) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	g.Expect(p.call(ctx, http.MethodGet, "/api/v1/rules", &data)).To(Succeed())
	for _, group := range data.Groups {
		count += len(group.Rules)
		for _, rule := range group.Rules {
			if rule.Health != "ok" {
				problems = append(problems, rule.Name+": "+rule.Health+" "+rule.LastError)
			}
		}
	}
	return count, problems
}

// dashboard: each query of the dashboard has an answer, and a number.
func (o *operator) dashboard(s *story) {
	text, err := os.ReadFile(filepath.Join(moduleRoot, "config", "components", "prometheus", "dashboard.json"))
	s.Expect(err).NotTo(HaveOccurred())
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	s.Expect(json.Unmarshal(text, &board)).To(Succeed())
	// What Grafana puts in the place of its variables.
	variables := strings.NewReplacer("$__rate_interval", "10m", "$__range", "1h")
	asked := map[string]bool{}
	var without []string
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			asked[target.Expr] = true
			found, err := o.prometheus.ask(s.ctx(), variables.Replace(target.Expr))
			s.Expect(err).NotTo(HaveOccurred(), "panel %s: %s", panel.Title, target.Expr)
			if !slices.ContainsFunc(found, series.isNumber) {
				without = append(without, panel.Title+": "+target.Expr)
			}
		}
	}
	s.Expect(without).To(BeEmpty(), "queries without a number")
	s.Expect(len(asked)).To(BeNumerically(">", 40))
	s.w.say("%s: %d queries of the dashboard have answers", s.namespace, len(asked))
}
