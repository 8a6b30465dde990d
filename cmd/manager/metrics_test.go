package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
)

var _ = Describe("Metrics for others than this machine", func() {
	It("are for those who may read them, over TLS", func(ctx SpecContext) {
		address := freeAddress()
		p := start(ctx, "--metrics-bind-address=0.0.0.0:"+port(address))
		installComponent(ctx)
		scraper := metricsClient(ctx)
		scrape := func(token string) int {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
			Expect(err).NotTo(HaveOccurred())
			if token != "" {
				request.Header.Set("Authorization", "Bearer "+token)
			}
			response, err := scraper.Do(request)
			Expect(err).NotTo(HaveOccurred())
			defer response.Body.Close()
			Expect(response.ProtoMajor).To(Equal(1))
			return response.StatusCode
		}
		Eventually(func() int { return scrape("") }).Should(Equal(http.StatusUnauthorized))
		// The library takes the API server's word that it is invalid for an error.
		Expect(scrape("nonsense")).To(Equal(http.StatusInternalServerError))

		reader, stranger := tokenOf(ctx, "reader"), tokenOf(ctx, "stranger")
		Expect(kube.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "metrics-readers"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "job-handler-metrics-reader"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceDefault, Name: "reader"}},
		})).To(Succeed())
		Expect(scrape(stranger)).To(Equal(http.StatusForbidden))
		// The right needs a moment, and a refusal is remembered for half a minute.
		Eventually(func() int { return scrape(reader) }, "40s", "1s").Should(Equal(http.StatusOK))
		Expect(status("http://"+address+"/metrics")).To(Equal(http.StatusBadRequest), "plain HTTP")
		Expect(status(p.HealthURL() + "/healthz")).To(Equal(http.StatusOK))
	}, SpecTimeout(specTimeout))
})

// installComponent gives the manager the rights of the component prometheus.
func installComponent(ctx context.Context) {
	GinkgoHelper()
	text, err := os.ReadFile("../../config/components/prometheus/metrics_access.yaml")
	Expect(err).NotTo(HaveOccurred())
	objects, err := config.Decode(text)
	Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		Expect(kube.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(kube.Delete(ctx, object)).To(Succeed()) }, NodeTimeout(endTimeout))
	}
}

// metricsClient trusts the authority of the webhook's certificate alone.
func metricsClient(ctx context.Context) *http.Client {
	GinkgoHelper()
	configuration := &admissionv1.MutatingWebhookConfiguration{}
	Expect(kube.Get(ctx, client.ObjectKey{Name: api.ManagerName}, configuration)).To(Succeed())
	roots := x509.NewCertPool()
	Expect(roots.AppendCertsFromPEM(configuration.Webhooks[0].ClientConfig.CABundle)).To(BeTrue())
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}}
}

// tokenOf makes a ServiceAccount and returns a token of it.
func tokenOf(ctx context.Context, name string) string {
	GinkgoHelper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name}}
	Expect(kube.Create(ctx, account)).To(Succeed())
	token := &authenticationv1.TokenRequest{}
	Expect(kube.SubResource("token").Create(ctx, account, token)).To(Succeed())
	return token.Status.Token
}
