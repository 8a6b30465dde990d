package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/job-handler/job-handler/certs"
	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/events"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/metrics"
)

const (
	// startTimeout leaves time for building the cluster's programs once.
	startTimeout = 20 * time.Minute
	stopTimeout  = jobtest.Soon
	// effectTimeout is how long cert-manager, or a look, may take.
	effectTimeout = jobtest.Soon
	specTimeout   = jobtest.SpecTimeout

	// host is the name under which the API server reaches the webhook's Service.
	host = "job-handler-webhook.job-handler-system.svc"
)

var (
	admin         client.Client
	managerConfig *rest.Config

	certificateName = types.NamespacedName{Namespace: api.ManagerNamespace, Name: api.WebhookCertificateName}
)

func TestOnAPIServer(t *testing.T) {
	ctrl.SetLogger(GinkgoLogr)
	RegisterFailHandler(Fail)
	RunSpecs(t, "The webhook's certificate, with cert-manager on a real API server")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	// The cluster outlives the node that starts it.
	cluster, err := localcluster.Start(context.WithoutCancel(ctx), localcluster.Options{CertManager: true, Progress: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) {
		Expect(cluster.Stop(ctx)).To(Succeed())
	}, NodeTimeout(stopTimeout))
	admin, err = client.New(cluster.RESTConfig(), client.Options{Scheme: newScheme()})
	Expect(err).NotTo(HaveOccurred())
	for _, path := range []string{"rbac/namespace.yaml", "rbac/role.yaml", "rbac/role_binding.yaml"} {
		for _, object := range manifests(path) {
			Expect(admin.Create(ctx, object)).To(Succeed())
		}
	}
	// The manager's own account: what it may not read is found out here.
	managerConfig, err = cluster.ConfigFor("system:serviceaccount:" + api.ManagerNamespace + ":" + api.ManagerName)
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(startTimeout))

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(certs.AddToScheme(scheme)).To(Succeed())
	return scheme
}

// manifests returns the objects of a file of config/.
func manifests(path string) []*unstructured.Unstructured {
	text, err := config.Manifests.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		Expect(err).NotTo(HaveOccurred())
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// handler is a webhook server with its certificate, as the manager runs it.
type handler struct {
	dir, address string
	monitor      *certs.Monitor
	registry     *prometheus.Registry
}

// startHandler runs a handler until the spec ends; its folder is empty.
// Certificate is empty for files only.
func startHandler(certificate types.NamespacedName) *handler {
	h := &handler{dir: GinkgoT().TempDir(), registry: prometheus.NewRegistry()}
	measures, err := metrics.NewCertificates(h.registry)
	Expect(err).NotTo(HaveOccurred())
	port := freePort()
	h.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	files := certs.NewFiles(h.dir)
	mgr, err := ctrl.NewManager(managerConfig, ctrl.Options{
		Scheme: newScheme(), Metrics: server.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{
			Host: "127.0.0.1", Port: port, TLSOpts: []func(*tls.Config){files.ServeFrom},
		}),
	})
	Expect(err).NotTo(HaveOccurred())
	// A server that nobody asks for is not started.
	mgr.GetWebhookServer()
	h.monitor = &certs.Monitor{
		Live: mgr.GetAPIReader(), Files: files, Metrics: measures, Clock: clock.RealClock{},
		Events: events.New(mgr.GetClient(), clock.RealClock{}, "test"),
		Options: certs.Options{
			Certificate: certificate, Configuration: api.ManagerName, Address: h.address,
			Interval: 200 * time.Millisecond, Retry: 100 * time.Millisecond, Patience: 500 * time.Millisecond,
		},
	}
	Expect(mgr.Add(files)).To(Succeed())
	Expect(mgr.Add(h.monitor)).To(Succeed())
	runUntilCleanup(mgr)
	return h
}

func runUntilCleanup(mgr manager.Manager) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		defer GinkgoRecover()
		Expect(mgr.Start(ctx)).To(Succeed())
	})
	DeferCleanup(func() {
		cancel()
		running.Wait()
	})
}

func freePort() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(listener.Close()).To(Succeed()) }()
	return listener.Addr().(*net.TCPAddr).Port
}

func (h *handler) ready() error { return h.monitor.Check(nil) }

// mount puts the Secret's certificate into the folder as the kubelet does, by
// changing one link.
func (h *handler) mount(secret *corev1.Secret) {
	data := filepath.Join(h.dir, "..data")
	before, _ := os.Readlink(data)
	now, err := os.MkdirTemp(h.dir, "..")
	Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{"tls.crt", "tls.key"} {
		Expect(os.WriteFile(filepath.Join(now, name), secret.Data[name], 0o600)).To(Succeed())
	}
	Expect(os.Symlink(filepath.Base(now), data+"_tmp")).To(Succeed())
	Expect(os.Rename(data+"_tmp", data)).To(Succeed())
	if before != "" {
		Expect(os.RemoveAll(filepath.Join(h.dir, before))).To(Succeed())
		return
	}
	for _, name := range []string{"tls.crt", "tls.key"} {
		Expect(os.Symlink(filepath.Join("..data", name), filepath.Join(h.dir, name))).To(Succeed())
	}
}

// handshake connects as the API server does that has the CA bundle, and
// returns what is served.
func (h *handler) handshake(ca []byte) (*x509.Certificate, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	connection, err := tls.Dial("tcp", h.address, &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0], nil
}

// metrics returns the values of the metrics, by name and label values.
func (h *handler) metrics() map[string]float64 {
	families, err := h.registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += fmt.Sprintf("{%s=%s}", label.GetName(), label.GetValue())
			}
			values[name] = metric.GetGauge().GetValue()
		}
	}
	return values
}

// issuedSecret waits for a Secret of the Certificate other than not, and
// returns it with its leaf.
func issuedSecret(ctx context.Context, not *x509.Certificate) (*corev1.Secret, *x509.Certificate) {
	secret := &corev1.Secret{}
	var leaf *x509.Certificate
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, certificateName, secret)).To(Succeed())
		pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
		g.Expect(err).NotTo(HaveOccurred())
		leaf = pair.Leaf
		g.Expect(not == nil || !leaf.Equal(not)).To(BeTrue(), "the old certificate is still there")
		certificate := &certmanagerv1.Certificate{}
		g.Expect(admin.Get(ctx, certificateName, certificate)).To(Succeed())
		g.Expect(certificate.Status.NotAfter).NotTo(BeNil())
		g.Expect(certificate.Status.NotAfter.Time).To(BeTemporally("==", leaf.NotAfter))
	}, effectTimeout).Should(Succeed())
	return secret, leaf
}
