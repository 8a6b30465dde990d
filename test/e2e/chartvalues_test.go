package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// elsewhereNamespace is where the chart is installed with values of its own.
const elsewhereNamespace = "batch-tools"

// company is an authority that is there before the chart, in its namespace.
const company = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: root}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: company-ca}
spec:
  isCA: true
  commonName: company
  secretName: company-ca
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: root}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: company}
spec: {ca: {secretName: company-ca}}
`

// elsewhere: the chart in a namespace of another name, with an issuer that was there
// before, fail-closed and with metrics. Jobs are handled, refused while nobody can
// stamp them, and nothing of it stays.
func (c *chart) elsewhere(s *story) {
	c = &chart{program: c.program, namespace: elsewhereNamespace}
	tools := *s
	tools.namespace = elsewhereNamespace
	tools.plain()
	file := filepath.Join(s.w.dir, "company.yaml")
	s.Expect(os.WriteFile(file, []byte(company), 0o600)).To(Succeed())
	tools.mustKubectl("apply", "-f", file)

	c.run(s, "install", "elsewhere", chartFolder, "--wait", "--timeout=4m",
		"--set=image.repository=localhost/job-handler,image.tag=e2e", "--set=failClosed=true",
		"--set=metrics.enabled=true,metrics.serviceMonitor=false,metrics.prometheusRule=false",
		"--set=certificate.issuerRef.name=company,certificate.issuerRef.kind=Issuer")
	s.Expect(c.run(s, "test", "elsewhere", "--logs", "--timeout=2m")).To(ContainSubstring("Jobs are stamped when they are created."))
	s.optedIn()
	job := s.start(s.job("report", "echo written"))
	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.wrote(r, printed{rest: "written\n"})
	tools.readsMetrics()

	tools.mustKubectl("scale", "deployment", api.ManagerName, "--replicas=0")
	s.eventually(func(g Gomega) {
		var pods corev1.PodList
		g.Expect(s.w.client.List(s.ctx(), &pods, client.InNamespace(elsewhereNamespace), managerPods)).To(Succeed())
		g.Expect(pods.Items).To(BeEmpty())
	})
	refused := s.job("refused", "true").Label(api.EnabledLabel, api.True).Obj()
	s.Expect(s.w.client.Create(s.ctx(), refused)).To(MatchError(ContainSubstring("failed calling webhook")))
	s.create(jobtest.MakeJob(elsewhereNamespace, "others").Script("true").Obj())
	tools.mustKubectl("delete", "job", "others")

	objects, err := config.Decode([]byte(c.run(s, "get", "manifest", "elsewhere")))
	s.Expect(err).NotTo(HaveOccurred())
	c.run(s, "uninstall", "elsewhere", "--timeout=4m")
	s.nothingHeld()
	for _, object := range objects {
		s.goneNow(object)
	}
	tools.goes()
	s.goes()
}

// mustKubectl runs kubectl in the story's namespace and returns what it printed.
func (s *story) mustKubectl(args ...string) string {
	s.t.Helper()
	output, err := s.kubectl(s.ctx(), args...)
	s.Expect(err).NotTo(HaveOccurred(), "kubectl %s: %s", strings.Join(args, " "), output)
	return output
}

// readsMetrics wants the metrics of a manager in the story's namespace to be for
// those who have the right to read them, and for nobody else.
func (s *story) readsMetrics() {
	s.t.Helper()
	var pods corev1.PodList
	s.Expect(s.w.client.List(s.ctx(), &pods, client.InNamespace(s.namespace), managerPods)).To(Succeed())
	s.Expect(pods.Items).To(HaveLen(replicas))
	url := fmt.Sprintf("https://127.0.0.1:%d/metrics", s.forward(&pods.Items[0], 8443))
	// The port's name is not in the certificate.
	reader := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	ask := func(token string) int {
		request, err := http.NewRequestWithContext(s.ctx(), http.MethodGet, url, nil)
		s.Expect(err).NotTo(HaveOccurred())
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := reader.Do(request)
		s.Expect(err).NotTo(HaveOccurred())
		s.Expect(response.Body.Close()).To(Succeed())
		return response.StatusCode
	}
	s.Expect(ask("")).To(Equal(http.StatusUnauthorized))
	s.mustKubectl("create", "serviceaccount", "scraper")
	token := s.mustKubectl("create", "token", "scraper")
	s.Expect(ask(token)).To(Equal(http.StatusForbidden))
	s.mustKubectl("create", "clusterrolebinding", "scraper", "--clusterrole=job-handler-metrics-reader", "--serviceaccount="+s.namespace+":scraper")
	// A refusal is remembered for a while.
	s.eventually(func(g Gomega) { g.Expect(ask(token)).To(Equal(http.StatusOK)) })
	s.mustKubectl("delete", "clusterrolebinding", "scraper")
}
