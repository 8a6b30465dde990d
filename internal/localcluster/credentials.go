package localcluster

import (
	"crypto/x509/pkix"
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// identity is who a program says it is to the apiserver.
type identity struct {
	user   string
	groups []string
}

var (
	adminIdentity             = identity{"job-handler:admin", []string{"system:masters"}}
	controllerManagerIdentity = identity{user: "system:kube-controller-manager"}
	schedulerIdentity         = identity{user: "system:kube-scheduler"}
	proxyIdentity             = identity{user: "system:kube-proxy"}
	nodeIdentity              = identity{"system:node:" + NodeName, []string{"system:nodes"}}
	// kubeletClientIdentity is the apiserver's, when it asks the kubelet.
	kubeletClientIdentity = identity{"job-handler:kubelet-client", []string{"system:masters"}}
)

// apiServerHosts are the names and addresses in the apiserver's certificate.
func apiServerHosts(address string) []string {
	return []string{
		address, "127.0.0.1", "localhost", serviceAddress, "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}
}

// writeCredentials makes the cluster's authority and everything signed by it.
func (c *Cluster) writeCredentials() error {
	ca, err := newAuthority("job-handler-cluster")
	if err != nil {
		return fmt.Errorf("making a certificate authority: %w", err)
	}
	c.ca = ca
	if err := ca.save(c.folder.pki("ca.crt"), c.folder.pki("ca.key")); err != nil {
		return fmt.Errorf("writing the certificate authority: %w", err)
	}
	if err := c.writeServiceAccountKey(); err != nil {
		return err
	}
	if err := c.writeServing("serving", "kube-apiserver", apiServerHosts(c.state.Address)...); err != nil {
		return err
	}
	kubeletClient, err := ca.client(kubeletClientIdentity.user, kubeletClientIdentity.groups...)
	if err != nil {
		return err
	}
	if err := c.savePair("kubelet-client", kubeletClient); err != nil {
		return err
	}
	if err := c.writeFrontProxy(); err != nil {
		return err
	}
	return c.writeKubeconfig(c.folder.kubeconfig(), adminIdentity)
}

// writeServiceAccountKey makes the key that signs ServiceAccount tokens, with
// the certificate that they are verified with.
func (c *Cluster) writeServiceAccountKey() error {
	pair, err := c.ca.client("service-account-tokens")
	if err != nil {
		return err
	}
	return c.savePair("service-accounts", pair)
}

// frontProxyUser is the apiserver towards the servers of aggregated APIs.
const frontProxyUser = "front-proxy-client"

// writeFrontProxy makes the certificate by which servers of aggregated APIs
// believe the apiserver who asks. Its authority must be another one, or every
// client of the cluster could say it was anybody.
func (c *Cluster) writeFrontProxy() error {
	ca, err := newAuthority("job-handler-front-proxy")
	if err != nil {
		return fmt.Errorf("making the front proxy's certificate authority: %w", err)
	}
	if err := ca.save(c.folder.pki("front-proxy-ca.crt"), c.folder.pki("front-proxy-ca.key")); err != nil {
		return fmt.Errorf("writing the front proxy's certificate authority: %w", err)
	}
	pair, err := ca.client(frontProxyUser)
	if err != nil {
		return err
	}
	return c.savePair("front-proxy", pair)
}

func (c *Cluster) writeServing(file, name string, hosts ...string) error {
	pair, err := c.ca.serving(pkix.Name{CommonName: name}, hosts...)
	if err != nil {
		return err
	}
	return c.savePair(file, pair)
}

func (c *Cluster) savePair(file string, pair keyPair) error {
	if err := pair.save(c.folder.pki(file+".crt"), c.folder.pki(file+".key")); err != nil {
		return fmt.Errorf("writing certificate %s: %w", file, err)
	}
	return nil
}

// writeKubeconfig writes a kubeconfig that holds its own certificates.
func (c *Cluster) writeKubeconfig(path string, as identity) error {
	pair, err := c.ca.client(as.user, as.groups...)
	if err != nil {
		return err
	}
	const name = "job-handler"
	config := clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			name: {Server: c.url(), CertificateAuthorityData: c.ca.pem()},
		},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{
			name: {ClientCertificateData: pair.cert, ClientKeyData: pair.key},
		},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}
	if err := clientcmd.WriteToFile(config, path); err != nil {
		return fmt.Errorf("writing kubeconfig %s: %w", path, err)
	}
	return nil
}

// RESTConfig returns a configuration of its own for the administrator, without
// client-side limits.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.admin) }

// ConfigFor returns a client configuration for the user in the groups, with a
// client certificate made for them and without client-side limits. The user
// has the rights that RBAC gives it, and group system:authenticated.
func (c *Cluster) ConfigFor(user string, groups ...string) (*rest.Config, error) {
	pair, err := c.ca.client(user, groups...)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:  c.url(),
		QPS:   -1,
		Burst: -1,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: c.ca.pem(), CertData: pair.cert, KeyData: pair.key,
		},
	}, nil
}

// CA returns the certificate of the cluster's authority, PEM-encoded.
func (c *Cluster) CA() []byte { return c.ca.pem() }

func (c *Cluster) url() string {
	return "https://" + hostPort(c.state.Address, c.port(portAPIServer))
}
