package hostmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	readyTimeout = 3 * time.Minute
	readyPoll    = 100 * time.Millisecond
	loopback     = "127.0.0.1"
)

// Cluster is what is needed of a cluster, as localcluster.Cluster has it.
type Cluster interface {
	RESTConfig() *rest.Config
	ConfigFor(user string, groups ...string) (*rest.Config, error)
}

// Options describe how the manager runs.
type Options struct {
	Cluster Cluster
	// Binary is the manager's program.
	Binary string
	// Dir gets its certificate and kubeconfig; it is made if need be.
	Dir string
	// Args are further flags.
	Args []string
	// Env is added to its environment, as "key=value".
	Env []string
	// Webhook is how the API server reaches the manager; the zero value:
	// directly, with a certificate that is made for it.
	Webhook Webhook
	// Output gets what the manager logs.
	Output io.Writer
}

// Webhook is how the API server reaches the manager's webhooks.
type Webhook struct {
	// URL is the base URL that it calls, such as that of a proxy before the
	// manager. Empty means the manager itself.
	URL string
	// Certificate is the Certificate of cert-manager whose files the caller
	// puts into CertDir; its authority is injected into the webhook
	// configurations. Empty means that a certificate is made.
	Certificate types.NamespacedName
	// CertDir is the folder with tls.crt and tls.key of Certificate.
	CertDir string
	// Off has the manager answer no admission requests, and none be sent to it.
	Off bool
}

// Manager is a running manager.
type Manager struct {
	options Options
	ports   ports
	command *exec.Cmd
	// done is closed when the process has ended; err is set before.
	done chan struct{}
	err  error
}

// Start installs what the manager needs in the cluster, starts it and waits
// until it is ready. The process does not outlive the calling one.
func Start(ctx context.Context, options Options) (*Manager, error) {
	ports, err := freePorts(ctx)
	if err != nil {
		return nil, err
	}
	manager := &Manager{options: options, ports: ports, done: make(chan struct{})}
	certificateFlags, err := manager.installWebhooks(ctx)
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(options.Dir, "kubeconfig")
	if err := writeKubeconfig(options.Cluster, kubeconfig); err != nil {
		return nil, err
	}
	args := slices.Concat([]string{
		"--kubeconfig", kubeconfig, "--log-format", "text",
		"--webhook-host", loopback, "--webhook-port", ports.webhook,
		"--health-probe-bind-address", net.JoinHostPort(loopback, ports.health),
		"--metrics-bind-address", net.JoinHostPort(loopback, ports.metrics),
	}, certificateFlags, options.Args)
	if err := manager.start(args); err != nil {
		return nil, err
	}
	if err := manager.waitReady(ctx); err != nil {
		return nil, errors.Join(err, manager.Kill(context.WithoutCancel(ctx)))
	}
	return manager, nil
}

// installWebhooks installs the manifests and returns the flags with which the
// manager serves the certificate that they trust.
func (m *Manager) installWebhooks(ctx context.Context) ([]string, error) {
	wanted := m.options.Webhook
	if wanted.Off {
		return []string{"--webhook=false"}, install(ctx, m.options.Cluster.RESTConfig(), endpoint{})
	}
	webhooks := endpoint{baseURL: cmp.Or(wanted.URL, "https://"+m.WebhookAddress()), issuer: wanted.Certificate}
	flags := []string{"--webhook-cert-dir", wanted.CertDir, "--webhook-certificate", wanted.Certificate.String()}
	if wanted.Certificate.Name == "" {
		certificates := filepath.Join(m.options.Dir, "certificates")
		ca, err := localcluster.ServingCert(certificates, loopback)
		if err != nil {
			return nil, fmt.Errorf("making the webhook's certificate: %w", err)
		}
		webhooks.ca = ca
		flags = []string{"--webhook-cert-dir", certificates}
	}
	return flags, install(ctx, m.options.Cluster.RESTConfig(), webhooks)
}

// WebhookAddress is the host:port on which the manager answers admission
// requests.
func (m *Manager) WebhookAddress() string { return net.JoinHostPort(loopback, m.ports.webhook) }

// HealthURL is where /healthz and /readyz are, unless Args say otherwise.
func (m *Manager) HealthURL() string { return "http://" + net.JoinHostPort(loopback, m.ports.health) }

// MetricsURL is where /metrics is, unless Args say otherwise.
func (m *Manager) MetricsURL() string { return "http://" + net.JoinHostPort(loopback, m.ports.metrics) }

// start starts the process from a thread that stays until it has ended: the
// kernel ends it with the thread, and so with the calling process.
func (m *Manager) start(args []string) error {
	m.command = exec.Command(m.options.Binary, args...) //nolint:noctx // Stop and Kill end it
	m.command.Env = append(os.Environ(), m.options.Env...)
	m.command.Stdout, m.command.Stderr = m.options.Output, m.options.Output
	m.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.command.Start()
		started <- err
		if err == nil {
			m.err = m.command.Wait()
			close(m.done)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w", m.options.Binary, err)
	}
	return nil
}

func (m *Manager) waitReady(ctx context.Context) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, readyPoll, readyTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-m.done:
			return false, fmt.Errorf("the manager ended: %w", m.err)
		default:
		}
		last = m.Ready(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the manager to be ready: %w", errors.Join(err, last))
	}
	return nil
}

// AwaitAdmission waits until the API server sends Jobs to the manager.
func (m *Manager) AwaitAdmission(ctx context.Context) error {
	kube, err := client.New(m.options.Cluster.RESTConfig(), client.Options{})
	if err != nil {
		return fmt.Errorf("building a client: %w", err)
	}
	return AwaitAdmission(ctx, kube)
}

// Ready returns nil if the manager says that it is ready, and else why not.
func (m *Manager) Ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.HealthURL()+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking whether the manager is ready: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	text, err := io.ReadAll(response.Body)
	return errors.Join(fmt.Errorf("the manager is not ready: %s %s", response.Status, text), err)
}

// PID is the manager's process.
func (m *Manager) PID() int { return m.command.Process.Pid }

// Done is closed when the process has ended.
func (m *Manager) Done() <-chan struct{} { return m.done }

// Err returns how the process ended: nil for success, and before its end.
func (m *Manager) Err() error {
	select {
	case <-m.done:
		return m.err
	default:
		return nil
	}
}

// Stop asks the manager to end and waits until it has.
func (m *Manager) Stop(ctx context.Context) error {
	return m.end(ctx, syscall.SIGTERM)
}

// Kill ends the manager at once, as a crash would.
func (m *Manager) Kill(ctx context.Context) error {
	return m.end(ctx, syscall.SIGKILL)
}

// Pause stops the manager where it is: its connections stay open and nothing
// answers on them.
func (m *Manager) Pause() error { return m.signal(syscall.SIGSTOP) }

// Resume lets a paused manager go on.
func (m *Manager) Resume() error { return m.signal(syscall.SIGCONT) }

// Uninstall removes the webhook configurations from the cluster.
func (m *Manager) Uninstall(ctx context.Context) error {
	return uninstallWebhooks(ctx, m.options.Cluster.RESTConfig())
}

func (m *Manager) end(ctx context.Context, signal os.Signal) error {
	if err := m.signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the manager to end: %w", ctx.Err())
	}
}

func (m *Manager) signal(signal os.Signal) error {
	if err := m.command.Process.Signal(signal); err != nil {
		return fmt.Errorf("sending %s to the manager: %w", signal, err)
	}
	return nil
}

// writeKubeconfig writes the connection of the manager's ServiceAccount.
func writeKubeconfig(cluster Cluster, path string) error {
	group := "system:serviceaccounts"
	config, err := cluster.ConfigFor(api.ManagerUser, group, group+":"+api.ManagerNamespace)
	if err != nil {
		return fmt.Errorf("making the manager's credentials: %w", err)
	}
	const name = "job-handler"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
	}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	file.CurrentContext = name
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("writing the manager's kubeconfig: %w", err)
	}
	return nil
}

// ports are those on which the manager listens.
type ports struct{ webhook, health, metrics string }

// freePorts returns ports of the loopback address that are free now.
func freePorts(ctx context.Context) (ports, error) {
	var found ports
	var listeners []net.Listener
	defer func() {
		for _, listener := range listeners {
			listener.Close()
		}
	}()
	for _, port := range []*string{&found.webhook, &found.health, &found.metrics} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			return ports{}, fmt.Errorf("looking for a free port: %w", err)
		}
		listeners = append(listeners, listener)
		if _, *port, err = net.SplitHostPort(listener.Addr().String()); err != nil {
			return ports{}, fmt.Errorf("looking for a free port: %w", err)
		}
	}
	return found, nil
}
