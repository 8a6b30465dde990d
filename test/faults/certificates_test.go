package faults_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
)

// mountPoll is how often a Secret is looked at; the kubelet takes up to a
// minute or so.
const mountPoll = 100 * time.Millisecond

// What config/certmanager calls them.
var (
	webhookCertificate = types.NamespacedName{Namespace: api.ManagerNamespace, Name: api.WebhookCertificateName}
	webhookSecret      = types.NamespacedName{Namespace: api.ManagerNamespace, Name: "job-handler-webhook-cert"}
	authority          = types.NamespacedName{Namespace: api.ManagerNamespace, Name: "job-handler-ca"}
)

// installCertificates applies config/certmanager. The leaf is valid for the
// proxy's address besides.
func installCertificates(ctx context.Context) {
	GinkgoHelper()
	namespace, err := config.Load("rbac/namespace.yaml")
	Expect(err).NotTo(HaveOccurred())
	for _, object := range append(namespace, kustomize(ctx, filepath.Join(moduleRoot, "config", "certmanager"))...) {
		if object.GetName() == webhookCertificate.Name {
			Expect(unstructured.SetNestedStringSlice(object.Object, []string{"127.0.0.1"}, "spec", "ipAddresses")).To(Succeed())
		}
		Expect(admin.Create(ctx, object)).To(Succeed())
	}
}

// kustomize returns what kubectl makes of a folder.
func kustomize(ctx context.Context, folder string) []*unstructured.Unstructured {
	GinkgoHelper()
	command := exec.CommandContext(ctx, cluster.Kubectl(), "kustomize", folder)
	var problems bytes.Buffer
	command.Stderr = &problems
	text, err := command.Output()
	Expect(err).NotTo(HaveOccurred(), problems.String())
	objects, err := config.Decode(text)
	Expect(err).NotTo(HaveOccurred())
	return objects
}

// mountedSecret is a Secret with a certificate in a folder, as a kubelet that
// is quick about it would mount it.
type mountedSecret struct {
	name types.NamespacedName
	dir  string

	mu      sync.Mutex
	holding bool
	mounted []byte
}

// mountSecret keeps a folder in step with a Secret, which need not exist yet,
// until the suite ends.
func mountSecret(name types.NamespacedName) *mountedSecret {
	m := &mountedSecret{name: name, dir: GinkgoT().TempDir()}
	ctx, cancel := context.WithCancel(context.Background())
	var mounting sync.WaitGroup
	mounting.Go(func() {
		defer GinkgoRecover()
		_ = wait.PollUntilContextCancel(ctx, mountPoll, true, func(ctx context.Context) (bool, error) {
			m.sync(ctx)
			return false, nil
		})
	})
	DeferCleanup(func() {
		cancel()
		mounting.Wait()
	})
	return m
}

func (m *mountedSecret) sync(ctx context.Context) {
	secret := &corev1.Secret{}
	if err := admin.Get(ctx, m.name, secret); err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	leaf := secret.Data[corev1.TLSCertKey]
	if m.holding || bytes.Equal(leaf, m.mounted) || len(secret.Data[corev1.TLSPrivateKeyKey]) == 0 {
		return
	}
	m.write(secret)
	m.mounted = leaf
}

// write replaces all files at once by changing one link, as the kubelet does.
func (m *mountedSecret) write(secret *corev1.Secret) {
	data := filepath.Join(m.dir, "..data")
	before, _ := os.Readlink(data)
	now, err := os.MkdirTemp(m.dir, "..")
	Expect(err).NotTo(HaveOccurred())
	for name, content := range secret.Data {
		Expect(os.WriteFile(filepath.Join(now, name), content, 0o600)).To(Succeed())
		if before == "" {
			Expect(os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name))).To(Succeed())
		}
	}
	Expect(os.Symlink(filepath.Base(now), data+"_tmp")).To(Succeed())
	Expect(os.Rename(data+"_tmp", data)).To(Succeed())
	if before != "" {
		Expect(os.RemoveAll(filepath.Join(m.dir, before))).To(Succeed())
	}
}

// hold leaves the folder as it is until the returned function is called.
func (m *mountedSecret) hold() (release func()) {
	m.set(true)
	release = sync.OnceFunc(func() { m.set(false) })
	DeferCleanup(release)
	return release
}

func (m *mountedSecret) set(holding bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holding = holding
}

// renew has cert-manager issue a Certificate anew, as `cmctl renew` does, and
// waits until its Secret holds the new one.
func renew(ctx context.Context, name types.NamespacedName) *corev1.Secret {
	GinkgoHelper()
	object := &certmanagerv1.Certificate{}
	Eventually(func() error {
		if err := admin.Get(ctx, name, object); err != nil {
			return err
		}
		object.Status.Conditions = append(object.Status.Conditions, certmanagerv1.CertificateCondition{
			Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue,
			Reason: "ManuallyTriggered", Message: "Certificate re-issuance manually triggered",
			LastTransitionTime: new(metav1.Now()), ObservedGeneration: object.Generation,
		})
		return admin.Status().Update(ctx, object)
	}, effectTimeout, effectPoll).Should(Succeed())
	return issued(ctx, name, object.Status.Revision)
}

// issued waits until a Certificate has a revision other than that, and returns
// its Secret.
func issued(ctx context.Context, name types.NamespacedName, not *int) *corev1.Secret {
	GinkgoHelper()
	object := &certmanagerv1.Certificate{}
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, name, object)).To(Succeed())
		g.Expect(object.Status.Revision).NotTo(Equal(not))
		g.Expect(object.Status.Conditions).To(ConsistOf(And(
			HaveField("Type", certmanagerv1.CertificateConditionReady), HaveField("Status", cmmeta.ConditionTrue))))
	}, effectTimeout, effectPoll).Should(Succeed())
	secret := &corev1.Secret{}
	Expect(admin.Get(ctx, types.NamespacedName{Namespace: name.Namespace, Name: object.Spec.SecretName}, secret)).To(Succeed())
	return secret
}

// bundles returns the authorities that the webhook configurations trust.
func bundles(ctx context.Context) ([][]byte, error) {
	mutating, validating := &admissionv1.MutatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfiguration{}
	for _, object := range []client.Object{mutating, validating} {
		if err := admin.Get(ctx, client.ObjectKey{Name: api.ManagerName}, object); err != nil {
			return nil, err
		}
	}
	var found [][]byte
	for i := range mutating.Webhooks {
		found = append(found, mutating.Webhooks[i].ClientConfig.CABundle)
	}
	for i := range validating.Webhooks {
		found = append(found, validating.Webhooks[i].ClientConfig.CABundle)
	}
	return found, nil
}

// handshake connects to the webhook anew, as the API server may at any time,
// and returns what is shown, which each of the bundles trusts.
func handshake(ctx context.Context) (*x509.Certificate, error) {
	trusted, err := bundles(ctx)
	if err != nil {
		return nil, err
	}
	var leaf *x509.Certificate
	for i, bundle := range trusted {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(bundle)
		dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
		connection, err := dialer.DialContext(ctx, "tcp", manager.WebhookAddress())
		if err != nil {
			return nil, fmt.Errorf("connecting with bundle %d: %w", i, err)
		}
		leaf = connection.(*tls.Conn).ConnectionState().PeerCertificates[0]
		_ = connection.Close()
	}
	return leaf, nil
}

func connect(ctx context.Context) error {
	_, err := handshake(ctx)
	return err
}

// expectServed waits until the webhook shows the certificate in the Secret and
// every configuration trusts it.
func expectServed(ctx context.Context, secret *corev1.Secret) {
	GinkgoHelper()
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	Expect(err).NotTo(HaveOccurred())
	Eventually(func(g Gomega) {
		leaf, err := handshake(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(leaf.SerialNumber).To(Equal(pair.Leaf.SerialNumber))
	}, effectTimeout, effectPoll).Should(Succeed())
}
