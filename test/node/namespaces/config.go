package namespaces

import (
	"encoding/json"
	"fmt"
	"os"
)

// Config tells the supervisor of a node what it does besides supervising.
type Config struct {
	// Private lists the folders that the node's programs see their own version of.
	Private []PrivateFolder `json:"private,omitempty"`
	// Removed is the file for what was cleaned up at the end, a line each.
	Removed string `json:"removed"`
}

// PrivateFolder is a folder of the data folder that a node's programs see in
// place of one of the machine's.
type PrivateFolder struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

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
