package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// AddToScheme adds the kinds of cert-manager that Monitor reads.
func AddToScheme(scheme *runtime.Scheme) error {
	if err := certmanagerv1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("adding cert-manager's kinds: %w", err)
	}
	return nil
}

// +kubebuilder:rbac:groups=cert-manager.io,namespace=job-handler-system,resources=certificates,resourceNames=job-handler-webhook,verbs=get
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations;validatingwebhookconfigurations,resourceNames=job-handler,verbs=get

// observe reads the whole state. If an object cannot be read, it keeps the state of last.
func (m *Monitor) observe(ctx context.Context, last *observation) *observation {
	o := &observation{dir: m.Files.dir, address: m.Address}
	o.loaded, o.loadError = m.Files.leaf()
	if o.loaded != nil {
		o.served, o.serveError = served(ctx, m.Address)
	}
	if leaf := o.leaf(); leaf != nil && !leaf.Equal(o.loaded) {
		// Another one may have been loaded in between.
		o.loaded, o.loadError = m.Files.leaf()
	}
	o.certificate = m.readCertificate(ctx, last.certificate)
	for i, read := range []func(context.Context) configuration{m.readMutating, m.readValidating} {
		configuration := read(ctx)
		if i < len(last.configurations) && unknown(configuration.err) {
			configuration.object, configuration.hooks = last.configurations[i].object, last.configurations[i].hooks
		}
		o.configurations = append(o.configurations, configuration)
	}
	return o
}

// unknown reports whether err says nothing about the object.
func unknown(err error) bool {
	return err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err)
}

func (m *Monitor) readCertificate(ctx context.Context, last certificate) certificate {
	c := certificate{name: m.Certificate}
	if c.name.Name == "" {
		return c
	}
	object := &certmanagerv1.Certificate{}
	c.err = m.Live.Get(ctx, c.name, object)
	switch {
	case c.err == nil:
		c.object = object
	case unknown(c.err):
		c.object = last.object
	}
	return c
}

func (m *Monitor) readMutating(ctx context.Context) configuration {
	object := &admissionv1.MutatingWebhookConfiguration{}
	c := m.read(ctx, mutating, object)
	for i := range object.Webhooks {
		c.hooks = append(c.hooks, newHook(object.Webhooks[i].Name, &object.Webhooks[i].ClientConfig))
	}
	return c
}

func (m *Monitor) readValidating(ctx context.Context) configuration {
	object := &admissionv1.ValidatingWebhookConfiguration{}
	c := m.read(ctx, validating, object)
	for i := range object.Webhooks {
		c.hooks = append(c.hooks, newHook(object.Webhooks[i].Name, &object.Webhooks[i].ClientConfig))
	}
	return c
}

func (m *Monitor) read(ctx context.Context, kind string, object client.Object) configuration {
	c := configuration{kind: kind, name: m.Configuration}
	c.err = m.Live.Get(ctx, types.NamespacedName{Name: m.Configuration}, object)
	if c.err == nil {
		c.object = object
	}
	return c
}

// newHook reads the host that the API server verifies the certificate for.
func newHook(name string, clientConfig *admissionv1.WebhookClientConfig) hook {
	h := hook{name: name, caBundle: bytes.TrimSpace(clientConfig.CABundle)}
	if service := clientConfig.Service; service != nil {
		h.host = service.Name + "." + service.Namespace + ".svc"
	} else if clientConfig.URL != nil {
		if parsed, err := url.Parse(*clientConfig.URL); err == nil {
			h.host = parsed.Hostname()
		}
	}
	return h
}

// served returns the chain that the server at address serves, the leaf first.
func served(ctx context.Context, address string) ([]*x509.Certificate, error) {
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{},
		Config: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, //nolint:gosec // judge verifies it, against each caBundle
		},
	}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = connection.Close() }()
	encrypted, isTLS := connection.(*tls.Conn)
	if !isTLS || len(encrypted.ConnectionState().PeerCertificates) == 0 {
		return nil, errors.New("it sent no certificate")
	}
	return encrypted.ConnectionState().PeerCertificates, nil
}
