package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
)

// Config tells the supervisor program what it supervises.
type Config struct {
	// Node is true if the program is the init of namespaces of its own.
	Node bool `json:"node,omitempty"`
	// Private lists the folders that the node's programs see their own
	// version of; it needs Node.
	Private []PrivateFolder `json:"private,omitempty"`
	// Removed is the file for what was cleaned up at the end, a line each; it
	// needs Node.
	Removed string `json:"removed,omitempty"`
}

// PrivateFolder is a folder of the data folder that a node's programs see in
// place of one of the machine's.
type PrivateFolder struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// The files that the supervisor program inherits, by descriptor.
const (
	// ListenerFD is the listening unix socket.
	ListenerFD = 3
	// OwnerFD is the read end of the owner's pipe.
	OwnerFD = 4
	// HeldFD is the first of the locks that the program holds while it lives.
	HeldFD = 5
)

// Write stores the configuration for the supervisor program.
func (c Config) Write(path string) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// ReadConfig reads what Write stored.
func ReadConfig(path string) (Config, error) {
	var c Config
	data, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, nil
}
