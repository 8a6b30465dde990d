package certs

import (
	"crypto/x509"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The kinds of webhook configurations, as metrics and Events call them.
const (
	mutating   = "mutating"
	validating = "validating"
)

// observation is the state at one time.
type observation struct {
	// dir has the files; address is where the server listens.
	dir, address string
	// loaded is the leaf of the files; nil for the reason of loadError.
	loaded    *x509.Certificate
	loadError error
	// served is the served chain, the leaf first; nil for the reason of serveError, or if
	// nothing is loaded.
	served     []*x509.Certificate
	serveError error

	certificate    certificate
	configurations []configuration
}

// certificate is cert-manager's Certificate.
type certificate struct {
	// name is empty if the certificate comes from elsewhere.
	name types.NamespacedName
	// object is nil if it does not exist, or was never read.
	object *certmanagerv1.Certificate
	// err says why it could not be read this time; object is then an earlier state.
	err error
}

// configuration is a webhook configuration.
type configuration struct {
	kind, name string
	// object is nil if it does not exist, or was never read.
	object client.Object
	hooks  []hook
	// err says why it could not be read this time; the rest is then an earlier state.
	err error
}

// hook is an entry of a webhook configuration.
type hook struct {
	name string
	// host is the name or address that the certificate must be valid for.
	host     string
	caBundle []byte
}

// leaf returns the served certificate, or nil.
func (o *observation) leaf() *x509.Certificate {
	if len(o.served) == 0 {
		return nil
	}
	return o.served[0]
}

// about returns the object for Events that are not about a webhook configuration, or nil.
func (o *observation) about() client.Object {
	if o.certificate.object != nil {
		return o.certificate.object
	}
	for _, c := range o.configurations {
		if c.object != nil {
			return c.object
		}
	}
	return nil
}
