package localcluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"k8s.io/client-go/rest"

	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

const (
	loopback       = "127.0.0.1"
	serviceCIDR    = "10.96.0.0/16"
	serviceAddress = "10.96.0.1"
)

// Cluster is a running cluster. Its methods may be called concurrently, except
// for Stop.
type Cluster struct {
	folder      Folder
	state       state
	credentials credentials
	admin       *rest.Config
	processes   processes
	progress    reporter
	// machine is where its nodes run; nil: nowhere.
	machine Machine
	// extraArgs are arguments added to those of a component, by its name.
	extraArgs map[string][]string
	// launched are the components that were started.
	launched []Component
	// owner is the descriptor whose end tells the supervisor that this
	// process died, or -1. It is no *os.File, since the garbage collector
	// closes those.
	owner     int
	temporary bool
}

// state is what another process needs to know of a cluster.
type state struct {
	Mode       Mode        `json:"mode"`
	Address    string      `json:"address"`
	BasePort   int         `json:"basePort"`
	Components []readiness `json:"components"`
	// Nodes is the number of nodes that were made at the start.
	Nodes int `json:"nodes"`
	// Supervisor identifies the supervising process for good, since a PID
	// alone may come to be another's.
	Supervisor processID `json:"supervisor"`
}

// state is next to the sockets, where it outlives a data folder that is
// removed while its cluster runs, but no reboot.
func (f Folder) state() string { return filepath.Join(f.Run(), "state.json") }

func (c *Cluster) port(offset int) int { return c.state.BasePort + offset }

// Dir returns the data folder.
func (c *Cluster) Dir() string { return string(c.folder) }

// Program returns the path of one of the programs that the cluster was started with.
func (c *Cluster) Program(name string) string { return c.processes.programs.Path(name) }

// Report writes a line about progress.
func (c *Cluster) Report(format string, args ...any) { c.progress.line(format, args...) }

// Folder returns the data folder, as what adds nodes uses it.
func (c *Cluster) Folder() Folder { return c.folder }

// Address returns the address that the API server listens on.
func (c *Cluster) Address() string { return c.state.Address }

// Mode returns the mode that the cluster was started in.
func (c *Cluster) Mode() Mode { return c.state.Mode }

// Kubeconfig returns the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.folder.kubeconfig() }

// Kubectl returns the path of a kubectl of the cluster's version.
func (c *Cluster) Kubectl() string { return c.folder.kubectl() }

// Logs returns the folder with one log file for each component, named
// <component>.log, and audit.log.
func (c *Cluster) Logs() string { return c.folder.logs() }

func (c *Cluster) writeState() error {
	data, err := json.MarshalIndent(c.state, "", "  ")
	if err != nil {
		return err
	}
	// A reader sees the whole file or none.
	temporary := c.folder.state() + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("writing the cluster's state: %w", err)
	}
	return os.Rename(temporary, c.folder.state())
}

func (f Folder) readState() (state, error) {
	var s state
	data, err := os.ReadFile(f.state())
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("reading %s: %w", f.state(), err)
	}
	return s, nil
}

// ErrNotRunning says that no cluster runs in a data folder.
var ErrNotRunning = errors.New("no cluster is running")

// Open returns the cluster that runs in the data folder, as it was left by a
// Start with Detach. It wraps ErrNotRunning if there is none. Machine is that of
// its nodes; nil if it has none that need one.
func Open(dir string, machine Machine) (*Cluster, error) {
	f, err := newFolder(dir)
	if err != nil {
		return nil, err
	}
	if err := f.belongsToRoot(); err != nil {
		return nil, err
	}
	s, err := f.readState()
	if errors.Is(err, os.ErrNotExist) || err == nil && !s.Supervisor.alive() {
		return nil, fmt.Errorf("opening the cluster in %s: %w", f, ErrNotRunning)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the cluster in %s: %w", f, err)
	}
	c := &Cluster{folder: f, state: s, machine: machine, owner: -1}
	ca, err := loadAuthority(f.PKI("ca.crt"), f.PKI("ca.key"))
	if err != nil {
		return nil, fmt.Errorf("opening the cluster in %s: %w", f, err)
	}
	c.credentials = credentials{folder: f, ca: ca, url: c.url()}
	c.processes = processes{client: supervisor.NewClient(f.socket()), folder: f, ca: ca}
	c.admin, err = c.credentials.configFor(adminIdentity)
	return c, err
}

// disown lets the supervisor see this process's end, if it did not detach.
func (c *Cluster) disown() {
	if c.owner >= 0 {
		_ = syscall.Close(c.owner)
		c.owner = -1
	}
}

// RESTConfig returns a configuration of its own for the administrator, without
// client-side limits.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.admin) }

// ConfigFor returns a client configuration for the user in the groups, with a
// client certificate made for them and without client-side limits. The user
// has the rights that RBAC gives it, and group system:authenticated.
func (c *Cluster) ConfigFor(user string, groups ...string) (*rest.Config, error) {
	return c.credentials.configFor(identity{user, groups})
}

// WriteKubeconfig writes a kubeconfig of the user in the groups, which holds its own
// certificates.
func (c *Cluster) WriteKubeconfig(path, user string, groups ...string) error {
	return c.credentials.writeKubeconfig(path, identity{user, groups})
}

// WriteServing writes a certificate of a server with these host names and addresses, and
// its key, to <file>.crt and <file>.key of the folder for certificates.
func (c *Cluster) WriteServing(file, name string, hosts ...string) error {
	return c.credentials.writeServing(file, name, hosts...)
}

// CA returns the certificate of the cluster's authority, PEM-encoded.
func (c *Cluster) CA() []byte { return c.credentials.ca.pem() }

func (c *Cluster) url() string {
	return "https://" + hostPort(c.state.Address, c.port(portAPIServer))
}
