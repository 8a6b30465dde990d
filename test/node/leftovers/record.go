// Package leftovers removes from the machine what a node of a local cluster put
// there and what does not end with its processes: the bridge with its veths,
// iptables chains, cgroups, mount points and kernel settings. A record lists them
// before they are made, so that another process can remove them after a crash. The
// package assumes that the node's processes are gone. It must not import the
// packages that start them.
package leftovers

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Record tells what a node makes on the machine.
type Record struct {
	// Dir is the data folder of the cluster.
	Dir string `json:"dir"`
	// Bridge is the name of the bridge that the pods' veths are in.
	Bridge string `json:"bridge"`
	// Network is the name of the CNI network, by which its chains are known.
	Network string `json:"network"`
	// Cgroup is the name of the node's group at the root of every hierarchy.
	Cgroup string `json:"cgroup"`
	// Folders are those that were made to be mounted on, outermost first.
	Folders []string `json:"folders,omitempty"`
	// Settings are the values of kernel settings that were there before, by
	// their path below /proc/sys.
	Settings map[string]string `json:"settings,omitempty"`
}

// RecordPath is where the record of the machine's one node is: in a folder
// that a reboot empties, as it does away with what the record is about.
const RecordPath = "/run/job-handler-node.json"

// Read returns the record, and nil if there is none.
func Read() (*Record, error) {
	data, err := os.ReadFile(RecordPath)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // No record is not an error.
	}
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("reading %s: %w", RecordPath, err)
	}
	return &r, nil
}

// Write stores the record.
func (r Record) Write() error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	temporary := RecordPath + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("writing the node's record: %w", err)
	}
	return os.Rename(temporary, RecordPath)
}

// MakeFolder makes a folder that is to be mounted on, and those above it that
// are missing, and notes them in the record.
func (r *Record) MakeFolder(path string) error {
	var missing []string
	for dir := path; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		missing = append([]string{dir}, missing...)
	}
	r.Folders = append(r.Folders, missing...)
	if err := r.Write(); err != nil {
		return err
	}
	return os.MkdirAll(path, 0o755)
}
