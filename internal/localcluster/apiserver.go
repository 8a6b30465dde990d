package localcluster

import (
	"fmt"
	"os"
)

// apiServer writes what the apiserver reads and returns it.
func (c *Cluster) apiServer(auditPolicy string) (Component, error) {
	args := []string{
		"--etcd-servers=" + c.etcdURL(),
		"--bind-address=" + c.state.Address,
		"--advertise-address=" + c.state.Address,
		fmt.Sprintf("--secure-port=%d", c.port(portAPIServer)),
		"--tls-cert-file=" + c.folder.PKI("serving.crt"),
		"--tls-private-key-file=" + c.folder.PKI("serving.key"),
		"--client-ca-file=" + c.folder.PKI("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.folder.PKI("service-accounts.crt"),
		"--service-account-signing-key-file=" + c.folder.PKI("service-accounts.key"),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		// Webhook Services are called at their endpoints' addresses, so that
		// calls reach them without Service addresses or DNS.
		"--enable-aggregator-routing=true",
		"--kubelet-client-certificate=" + c.folder.PKI("kubelet-client.crt"),
		"--kubelet-client-key=" + c.folder.PKI("kubelet-client.key"),
		"--kubelet-certificate-authority=" + c.folder.PKI("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + c.folder.PKI("front-proxy-ca.crt"),
		"--requestheader-allowed-names=" + frontProxyUser,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.folder.PKI("front-proxy.crt"),
		"--proxy-client-key-file=" + c.folder.PKI("front-proxy.key"),
	}
	if c.state.Address == loopback {
		// The Service kubernetes cannot have a loopback address behind it.
		args = append(args, "--endpoint-reconciler-type=none")
	}
	if auditPolicy != "" {
		path := c.folder.Config("audit-policy.yaml")
		if err := os.WriteFile(path, []byte(auditPolicy), 0o600); err != nil {
			return Component{}, fmt.Errorf("writing the audit policy: %w", err)
		}
		args = append(args, "--audit-policy-file="+path, "--audit-log-path="+c.folder.Path("logs", "audit.log"))
	}
	return Component{Name: APIServer, Args: args, Health: c.url() + "/readyz"}, nil
}
