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

// readiness is how a component shows that it is ready.
type readiness struct {
	Name string `json:"name"`
	// Health is Component.Health.
	Health string `json:"health"`
}

// probe returns nil if the component answers as it should.
func (r readiness) probe(ctx context.Context, ca *authority) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if socket, isSocket := strings.CutPrefix(r.Health, "unix://"); isSocket {
		return connect(ctx, socket)
	}
	return get(ctx, r.Health, ca)
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

// connect checks that a socket accepts connections.
func connect(ctx context.Context, socket string) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	return connection.Close()
}
