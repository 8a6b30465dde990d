package localcluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// probeTimeout is how long an answer may take that is normally immediate.
const probeTimeout = 5 * time.Second

// probe returns a check that a component answers as it should.
func (c *Cluster) probe(name string) func(context.Context) error {
	switch name {
	case Etcd:
		return c.answers("http", loopback, portEtcd, "/readyz")
	case APIServer:
		return c.answers("https", c.state.Address, portAPIServer, "/readyz")
	case ControllerManager:
		return c.answers("https", loopback, portControllerManager, "/healthz")
	case Scheduler:
		return c.answers("https", loopback, portScheduler, "/healthz")
	case KWOK:
		return c.answers("https", loopback, portKWOK, "/healthz")
	case CertManager:
		return c.answers("http", loopback, portCertManager, "/readyz")
	case Containerd:
		return c.containerdAnswers
	case Kubelet:
		return c.answers("http", loopback, portKubeletHealth, "/healthz")
	case Proxy:
		return c.answers("http", loopback, portProxyHealth, "/healthz")
	default:
		return func(context.Context) error { return fmt.Errorf("there is no component %s", name) }
	}
}

// answers returns a check that an endpoint answers with status 200.
func (c *Cluster) answers(scheme, host string, port int, path string) func(context.Context) error {
	url := scheme + "://" + hostPort(host, c.port(port)) + path
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		return get(ctx, url, c.ca)
	}
}

// get asks a server that the authority signed for, on a connection of its own:
// one that is kept would outlive a component that is restarted.
func get(ctx context.Context, url string, ca *authority) error {
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 8192))
		return fmt.Errorf("%s answers %s: %s", url, response.Status, failedChecks(string(text)))
	}
	return nil
}

// failedChecks shortens the answer of a health endpoint to the checks that
// failed, if it lists any.
func failedChecks(answer string) string {
	var failed []string
	for line := range strings.Lines(answer) {
		if check, isFailed := strings.CutPrefix(line, "[-]"); isFailed {
			failed = append(failed, strings.TrimSpace(check))
		}
	}
	if len(failed) == 0 {
		return strings.TrimSpace(answer)
	}
	return strings.Join(failed, ", ")
}

// containerdAnswers checks that containerd accepts connections.
func (c *Cluster) containerdAnswers(ctx context.Context) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", c.containerdSocket())
	if err != nil {
		return err
	}
	return connection.Close()
}

func (c *Cluster) containerdSocket() string { return c.folder.runFolder() + "/containerd.sock" }
