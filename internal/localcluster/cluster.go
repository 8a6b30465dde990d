package localcluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"

	"github.com/job-handler/job-handler/internal/localcluster/supervisor"
)

const (
	// NodeName is the name of the node in the mode WithNode.
	NodeName = "local"

	loopback       = "127.0.0.1"
	serviceCIDR    = "10.96.0.0/16"
	serviceAddress = "10.96.0.1"
)

// Cluster is a running cluster. Its methods may be called concurrently, except
// for Stop.
type Cluster struct {
	folder   folder
	state    state
	ca       *authority
	admin    *rest.Config
	client   *supervisor.Client
	progress reporter
	programs Programs
	// network is the pods', in the mode WithNode.
	network netip.Prefix
	// owner is the descriptor whose end tells the supervisor that this
	// process died, or -1. It is no *os.File, since the garbage collector
	// closes those.
	owner     int
	temporary bool
}

// state is what another process needs to know of a cluster.
type state struct {
	Mode       Mode     `json:"mode"`
	Address    string   `json:"address"`
	BasePort   int      `json:"basePort"`
	Components []string `json:"components"`
	// Nodes is the number of nodes that were made at the start.
	Nodes int `json:"nodes"`
	// CTR is the path of containerd's client, in the mode WithNode.
	CTR string `json:"ctr,omitempty"`
	// Supervisor identifies the supervising process for good, since a PID
	// alone may come to be another's.
	Supervisor processID `json:"supervisor"`
}

// state is next to the sockets, where it outlives a data folder that is
// removed while its cluster runs, but no reboot.
func (f folder) state() string { return filepath.Join(f.runFolder(), "state.json") }

func (c *Cluster) port(offset int) int { return c.state.BasePort + offset }

// Dir returns the data folder.
func (c *Cluster) Dir() string { return string(c.folder) }

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

func (f folder) readState() (state, error) {
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
// Start with Detach. It wraps ErrNotRunning if there is none.
func Open(dir string) (*Cluster, error) {
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
	c := &Cluster{folder: f, state: s, client: supervisor.NewClient(f.socket()), owner: -1}
	if c.ca, err = loadAuthority(f.pki("ca.crt"), f.pki("ca.key")); err != nil {
		return nil, fmt.Errorf("opening the cluster in %s: %w", f, err)
	}
	c.admin, err = c.ConfigFor(adminIdentity.user, adminIdentity.groups...)
	return c, err
}

// disown lets the supervisor see this process's end, if it did not detach.
func (c *Cluster) disown() {
	if c.owner >= 0 {
		_ = unix.Close(c.owner)
		c.owner = -1
	}
}
