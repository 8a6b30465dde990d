package localcluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// folder is the data folder of a cluster.
type folder string

// newFolder returns the folder of a path, absolute.
func newFolder(path string) (folder, error) {
	absolute, err := filepath.Abs(path)
	return folder(absolute), err
}

func (f folder) path(elements ...string) string {
	return filepath.Join(append([]string{string(f)}, elements...)...)
}

func (f folder) kubeconfig() string { return f.path("kubeconfig") }
func (f folder) kubectl() string    { return f.path("bin", "kubectl") }
func (f folder) logs() string       { return f.path("logs") }
func (f folder) config(name string) string {
	return f.path("config", name)
}
func (f folder) pki(name string) string { return f.path("pki", name) }
func (f folder) log(component string) string {
	return f.path("logs", component+".log")
}

// contents are the entries that a cluster makes in its folder; nothing else
// in it is ever removed.
var contents = []string{"bin", "config", "etcd", "kubeconfig", "logs", "node", "pki"}

// clear removes what a cluster made, except for what is named.
func (f folder) clear(keep ...string) error {
	kept := map[string]bool{}
	for _, name := range keep {
		kept[name] = true
	}
	for _, name := range contents {
		if kept[name] {
			continue
		}
		if err := os.RemoveAll(f.path(name)); err != nil {
			return fmt.Errorf("removing old data: %w", err)
		}
	}
	return nil
}

// create makes the folder and those in it that every cluster has.
func (f folder) create() error {
	for _, name := range []string{"bin", "config", "etcd", "logs", "pki"} {
		if err := os.MkdirAll(f.path(name), 0o700); err != nil {
			return fmt.Errorf("making the data folder: %w", err)
		}
	}
	return nil
}

// rootRunFolder is where root's clusters have their folders for sockets.
const rootRunFolder = "/run"

// belongsToRoot returns an error if the cluster in the folder is root's, and we
// are not.
func (f folder) belongsToRoot() error {
	path := filepath.Join(rootRunFolder, filepath.Base(f.runFolder()))
	if os.Getuid() == 0 || !isFolder(path) {
		return nil
	}
	return fmt.Errorf("the cluster in %s was started by root: run this as root", f)
}

// maxRunFolder leaves room for the names of sockets in the 107 bytes that the
// path of a unix socket may have.
const maxRunFolder = 60

// runFolder is the cluster's folder for sockets and locks: a short path,
// whatever the length of the data folder's, in a place that a reboot empties.
func (f folder) runFolder() string {
	sum := sha256.Sum256([]byte(f))
	name := "job-handler-" + hex.EncodeToString(sum[:5])
	if os.Getuid() == 0 && isFolder(rootRunFolder) {
		return filepath.Join(rootRunFolder, name)
	}
	for _, parent := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir()} {
		path := filepath.Join(parent, name)
		if parent != "" && len(path) <= maxRunFolder && isFolder(parent) {
			return path
		}
	}
	return filepath.Join("/tmp", name)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
