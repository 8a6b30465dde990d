package certs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	expiryMetric     = "job_handler_webhook_certificate_expiry_timestamp_seconds"
	issuedMetric     = "job_handler_webhook_certificate_issued"
	mutatingMetric   = "job_handler_webhook_ca_bundle_matches{kind=mutating}"
	validatingMetric = "job_handler_webhook_ca_bundle_matches{kind=validating}"
)

var _ = Describe("A certificate of cert-manager", Ordered, func() {
	AfterAll(deleteConfigurations)

	It("makes the manager ready once it is issued, mounted and trusted, and says until then what is missing", func(ctx SpecContext) {
		h := startHandler(certificateName)
		Eventually(h.ready, effectTimeout).Should(MatchError(And(
			ContainSubstring("Certificate job-handler-system/job-handler-webhook does not exist (to do: apply the Certificate"),
			ContainSubstring("there is no certificate in "+h.dir),
			ContainSubstring("the mutating webhook configuration job-handler does not exist (to do: apply config/webhook"),
			ContainSubstring("the validating webhook configuration job-handler does not exist"),
		)))

		Expect(admin.Create(ctx, leafCertificate())).To(Succeed())
		Eventually(h.ready, effectTimeout).Should(MatchError(ContainSubstring("is not Ready: DoesNotExist: ")))
		Expect(h.metrics()).To(HaveKeyWithValue(issuedMetric, 0.0))

		createIssuers(ctx)
		secret, leaf := issuedSecret(ctx, nil)
		Eventually(h.ready, effectTimeout).Should(MatchError(Not(ContainSubstring("Certificate job-handler-system"))))
		Consistently(h.ready, "500ms").Should(HaveOccurred(), "ready without files")

		h.mount(secret)
		Eventually(h.ready, effectTimeout).Should(MatchError(Not(ContainSubstring("there is no certificate"))))
		Expect(h.handshake(secret.Data["ca.crt"])).To(Equal(leaf))
		Consistently(h.ready, "500ms").Should(HaveOccurred(), "ready without webhook configurations")

		for _, object := range manifests("webhook/manifests.yaml") {
			object.SetAnnotations(map[string]string{certmanagerv1.WantInjectAnnotation: certificateName.String()})
			Expect(admin.Create(ctx, object)).To(Succeed())
		}
		Eventually(h.ready, effectTimeout).Should(Succeed())
		Expect(h.metrics()).To(Equal(map[string]float64{
			expiryMetric: float64(leaf.NotAfter.Unix()), issuedMetric: 1, mutatingMetric: 1, validatingMetric: 1,
		}))
	}, SpecTimeout(specTimeout))

	It("is served anew without a restart, and nobody notices", func(ctx SpecContext) {
		h := startHandler(certificateName)
		secret, before := issuedSecret(ctx, nil)
		h.mount(secret)
		Eventually(h.ready, effectTimeout).Should(Succeed())

		failures := watchFailures(func() error {
			_, err := h.handshake(secret.Data["ca.crt"])
			return err
		}, h.ready)
		Expect(admin.Delete(ctx, secret.DeepCopy())).To(Succeed())
		renewed, after := issuedSecret(ctx, before)
		h.mount(renewed)
		Eventually(func() (any, error) { return h.handshake(secret.Data["ca.crt"]) }, effectTimeout).Should(Equal(after))
		Eventually(h.metrics, effectTimeout).Should(HaveKeyWithValue(expiryMetric, float64(after.NotAfter.Unix())))
		Eventually(h.metrics, effectTimeout).Should(HaveKeyWithValue(issuedMetric, 1.0))
		Expect(failures()).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("makes the manager unready where a webhook configuration does not trust it, and an Event says so", func(ctx SpecContext) {
		h := startHandler(certificateName)
		secret, _ := issuedSecret(ctx, nil)
		h.mount(secret)
		Eventually(h.ready, effectTimeout).Should(Succeed())

		stranger, err := localcluster.ServingCert(GinkgoT().TempDir(), host)
		Expect(err).NotTo(HaveOccurred())
		setBundle(ctx, stranger)
		Eventually(h.ready, effectTimeout).Should(MatchError(And(
			ContainSubstring("the validating webhook configuration job-handler does not trust the certificate: cronjobs.job-handler.github.io: x509: "),
			ContainSubstring("to do: with cert-manager, see that its CA injector runs"),
		)))
		Expect(h.metrics()).To(And(HaveKeyWithValue(mutatingMetric, 1.0), HaveKeyWithValue(validatingMetric, 0.0)))
		var event eventsv1.Event
		Eventually(func(g Gomega) {
			found := eventsAboutValidating(ctx, g)
			g.Expect(found).To(HaveLen(1))
			event = found[0]
		}, effectTimeout).Should(Succeed())
		Expect(event.Type).To(Equal(corev1.EventTypeWarning))
		Expect(event.Reason).To(Equal(api.ReasonWebhookCertificate))
		Expect(event.Note).To(ContainSubstring("does not trust the certificate"))

		By("letting the CA injector mend it")
		annotate(ctx, certmanagerv1.WantInjectAnnotation, certificateName.String())
		Eventually(h.ready, effectTimeout).Should(Succeed())
		Expect(h.metrics()).To(HaveKeyWithValue(validatingMetric, 1.0))
		Expect(eventsAboutValidating(ctx, Default)).To(HaveLen(1), "at most hourly")
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A certificate from files", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		for _, object := range manifests("webhook/manifests.yaml") {
			Expect(admin.Create(ctx, object)).To(Succeed())
		}
	})
	AfterAll(deleteConfigurations)

	It("makes the manager ready without cert-manager", func(ctx SpecContext) {
		h := startHandler(types.NamespacedName{})
		// As people do: made elsewhere, then copied, the key last.
		made := GinkgoT().TempDir()
		ca, err := localcluster.ServingCert(made, host)
		Expect(err).NotTo(HaveOccurred())
		setBundle(ctx, ca)
		setMutatingBundle(ctx, ca)
		Eventually(h.ready, effectTimeout).Should(MatchError(ContainSubstring("there is no certificate in")))
		for _, name := range []string{"tls.crt", "tls.key"} {
			content, err := os.ReadFile(filepath.Join(made, name))
			Expect(err).NotTo(HaveOccurred())
			Expect(os.WriteFile(filepath.Join(h.dir, name), content, 0o600)).To(Succeed())
		}
		Eventually(h.ready, effectTimeout).Should(Succeed())
		Expect(h.metrics()).To(And(
			HaveKey(expiryMetric), Not(HaveKey(issuedMetric)),
			HaveKeyWithValue(mutatingMetric, 1.0), HaveKeyWithValue(validatingMetric, 1.0),
		))
	}, SpecTimeout(specTimeout))

	It("has to be for the name under which the API server calls", func(ctx SpecContext) {
		h := startHandler(types.NamespacedName{})
		ca, err := localcluster.ServingCert(h.dir, "somewhere.example.com")
		Expect(err).NotTo(HaveOccurred())
		setBundle(ctx, ca)
		setMutatingBundle(ctx, ca)
		Eventually(h.ready, effectTimeout).Should(MatchError(ContainSubstring("valid for somewhere.example.com, not " + host)))
	}, SpecTimeout(specTimeout))
})

// watchFailures calls the checks over and over until the function that it
// returns is called, which returns what failed.
func watchFailures(checks ...func() error) func() []string {
	ctx, cancel := context.WithCancel(context.Background())
	DeferCleanup(cancel)
	var failed []string
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			for i, check := range checks {
				if err := check(); err != nil {
					failed = append(failed, fmt.Sprintf("check %d: %v", i, err))
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return func() []string {
		cancel()
		running.Wait()
		return failed
	}
}

func deleteConfigurations(ctx context.Context) {
	for _, object := range manifests("webhook/manifests.yaml") {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, object))).To(Succeed())
	}
}

// createIssuers creates an authority and the issuer that signs with it.
func createIssuers(ctx context.Context) {
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: api.ManagerNamespace, Name: name}
	}
	for _, object := range []client.Object{
		&certmanagerv1.Issuer{ObjectMeta: meta("self-signed"), Spec: certmanagerv1.IssuerSpec{
			IssuerConfig: certmanagerv1.IssuerConfig{SelfSigned: &certmanagerv1.SelfSignedIssuer{}},
		}},
		&certmanagerv1.Certificate{ObjectMeta: meta("authority"), Spec: certmanagerv1.CertificateSpec{
			IsCA: true, CommonName: "job-handler", SecretName: "authority", PrivateKey: privateKey(),
			IssuerRef: cmmeta.IssuerReference{Name: "self-signed", Kind: "Issuer", Group: "cert-manager.io"},
		}},
		&certmanagerv1.Issuer{ObjectMeta: meta("authority"), Spec: certmanagerv1.IssuerSpec{
			IssuerConfig: certmanagerv1.IssuerConfig{CA: &certmanagerv1.CAIssuer{SecretName: "authority"}},
		}},
	} {
		Expect(admin.Create(ctx, object)).To(Succeed())
	}
}

func leafCertificate() *certmanagerv1.Certificate {
	return &certmanagerv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: certificateName.Namespace, Name: certificateName.Name},
		Spec: certmanagerv1.CertificateSpec{
			SecretName: certificateName.Name, DNSNames: []string{host}, PrivateKey: privateKey(),
			IssuerRef: cmmeta.IssuerReference{Name: "authority", Kind: "Issuer", Group: "cert-manager.io"},
		},
	}
}

func privateKey() *certmanagerv1.CertificatePrivateKey {
	return &certmanagerv1.CertificatePrivateKey{
		Algorithm: certmanagerv1.ECDSAKeyAlgorithm, RotationPolicy: certmanagerv1.RotationPolicyAlways,
	}
}

// setBundle sets the CA bundle of the validating configuration, and has the CA
// injector leave it alone.
func setBundle(ctx context.Context, ca []byte) {
	annotate(ctx, certmanagerv1.WantInjectAnnotation, "")
	Eventually(func() error {
		object := &admissionv1.ValidatingWebhookConfiguration{}
		if err := admin.Get(ctx, client.ObjectKey{Name: api.ManagerName}, object); err != nil {
			return err
		}
		for i := range object.Webhooks {
			object.Webhooks[i].ClientConfig.CABundle = ca
		}
		return admin.Update(ctx, object)
	}, effectTimeout).Should(Succeed())
}

func setMutatingBundle(ctx context.Context, ca []byte) {
	Eventually(func() error {
		object := &admissionv1.MutatingWebhookConfiguration{}
		if err := admin.Get(ctx, client.ObjectKey{Name: api.ManagerName}, object); err != nil {
			return err
		}
		delete(object.Annotations, certmanagerv1.WantInjectAnnotation)
		for i := range object.Webhooks {
			object.Webhooks[i].ClientConfig.CABundle = ca
		}
		return admin.Update(ctx, object)
	}, effectTimeout).Should(Succeed())
}

// annotate sets an annotation of the validating configuration; an empty value
// removes it.
func annotate(ctx context.Context, key, value string) {
	Eventually(func() error {
		object := &admissionv1.ValidatingWebhookConfiguration{}
		if err := admin.Get(ctx, client.ObjectKey{Name: api.ManagerName}, object); err != nil {
			return err
		}
		metav1.SetMetaDataAnnotation(&object.ObjectMeta, key, value)
		if value == "" {
			delete(object.Annotations, key)
		}
		return admin.Update(ctx, object)
	}, effectTimeout).Should(Succeed())
}

func eventsAboutValidating(ctx context.Context, g Gomega) []eventsv1.Event {
	object := &admissionv1.ValidatingWebhookConfiguration{}
	g.Expect(admin.Get(ctx, client.ObjectKey{Name: api.ManagerName}, object)).To(Succeed())
	list := &eventsv1.EventList{}
	g.Expect(admin.List(ctx, list, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
	var found []eventsv1.Event
	for i := range list.Items {
		if list.Items[i].Regarding.UID == object.UID && list.Items[i].ReportingController == api.ManagerName {
			found = append(found, list.Items[i])
		}
	}
	return found
}
