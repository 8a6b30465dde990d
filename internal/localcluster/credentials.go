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

// credentials are what the cluster's programs and its clients know each other by.
type credentials struct {
	folder Folder
	ca     *authority
	// url is the API server's.
	url string
}

// write makes the cluster's authority and everything signed by it, for an API server at
// an address.
func (c *credentials) write(address string) error {
	ca, err := newAuthority("job-handler-cluster")
	if err != nil {
		return fmt.Errorf("making a certificate authority: %w", err)
	}
	c.ca = ca
	if err := ca.save(c.folder.PKI("ca.crt"), c.folder.PKI("ca.key")); err != nil {
		return fmt.Errorf("writing the certificate authority: %w", err)
	}
	if err := c.writeServiceAccountKey(); err != nil {
		return err
	}
	if err := c.writeServing("serving", "kube-apiserver", apiServerHosts(address)...); err != nil {
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
func (c *credentials) writeServiceAccountKey() error {
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
func (c *credentials) writeFrontProxy() error {
	ca, err := newAuthority("job-handler-front-proxy")
	if err != nil {
		return fmt.Errorf("making the front proxy's certificate authority: %w", err)
	}
	if err := ca.save(c.folder.PKI("front-proxy-ca.crt"), c.folder.PKI("front-proxy-ca.key")); err != nil {
		return fmt.Errorf("writing the front proxy's certificate authority: %w", err)
	}
	pair, err := ca.client(frontProxyUser)
	if err != nil {
		return err
	}
	return c.savePair("front-proxy", pair)
}

func (c *credentials) writeServing(file, name string, hosts ...string) error {
	pair, err := c.ca.serving(pkix.Name{CommonName: name}, hosts...)
	if err != nil {
		return err
	}
	return c.savePair(file, pair)
}

func (c *credentials) savePair(file string, pair keyPair) error {
	if err := pair.save(c.folder.PKI(file+".crt"), c.folder.PKI(file+".key")); err != nil {
		return fmt.Errorf("writing certificate %s: %w", file, err)
	}
	return nil
}

// writeKubeconfig writes a kubeconfig that holds its own certificates.
func (c *credentials) writeKubeconfig(path string, as identity) error {
	pair, err := c.ca.client(as.user, as.groups...)
	if err != nil {
		return err
	}
	const name = "job-handler"
	config := clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			name: {Server: c.url, CertificateAuthorityData: c.ca.pem()},
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

// configFor returns a client configuration for an identity.
func (c *credentials) configFor(as identity) (*rest.Config, error) {
	pair, err := c.ca.client(as.user, as.groups...)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:  c.url,
		QPS:   -1,
		Burst: -1,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: c.ca.pem(), CertData: pair.cert, KeyData: pair.key,
		},
	}, nil
}
