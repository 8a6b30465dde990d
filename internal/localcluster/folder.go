package localcluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// Folder is the data folder of a cluster, by its absolute path.
type Folder string

// newFolder returns the folder of a path, absolute.
func newFolder(path string) (Folder, error) {
	absolute, err := filepath.Abs(path)
	return Folder(absolute), err
}

// Path returns the path of a file in the folder.
func (f Folder) Path(elements ...string) string {
	return filepath.Join(append([]string{string(f)}, elements...)...)
}

func (f Folder) kubeconfig() string { return f.Path("kubeconfig") }
func (f Folder) kubectl() string    { return f.Path("bin", "kubectl") }
func (f Folder) logs() string       { return f.Path("logs") }

func (f Folder) log(component string) string {
	return f.Path("logs", component+".log")
}

// Config returns the path of a file that configures a component.
func (f Folder) Config(name string) string { return f.Path("config", name) }

// PKI returns the path of a certificate or key.
func (f Folder) PKI(name string) string { return f.Path("pki", name) }

// contents are the entries that a cluster makes in its folder; nothing else
// in it is ever removed.
var contents = []string{"bin", "config", "etcd", "kubeconfig", "logs", "node", "pki"}

// clear removes what a cluster made, except for what is named.
func (f Folder) clear(keep ...string) error {
	kept := map[string]bool{}
	for _, name := range keep {
		kept[name] = true
	}
	for _, name := range contents {
		if kept[name] {
			continue
		}
		if err := os.RemoveAll(f.Path(name)); err != nil {
			return fmt.Errorf("removing old data: %w", err)
		}
	}
	return nil
}

// create makes the folder and those in it that every cluster has.
func (f Folder) create() error {
	for _, name := range []string{"bin", "config", "etcd", "logs", "pki"} {
		if err := os.MkdirAll(f.Path(name), 0o700); err != nil {
			return fmt.Errorf("making the data folder: %w", err)
		}
	}
	return nil
}

// rootRunFolder is where root's clusters have their folders for sockets.
const rootRunFolder = "/run"

// belongsToRoot returns an error if the cluster in the folder is root's, and we
// are not.
func (f Folder) belongsToRoot() error {
	path := filepath.Join(rootRunFolder, filepath.Base(f.Run()))
	if os.Getuid() == 0 || !isFolder(path) {
		return nil
	}
	return fmt.Errorf("the cluster in %s was started by root: run this as root", f)
}

// maxRunFolder leaves room for the names of sockets in the 107 bytes that the
// path of a unix socket may have.
const maxRunFolder = 60

// Run is the cluster's folder for sockets and locks: a short path,
// whatever the length of the data folder's, in a place that a reboot empties.
func (f Folder) Run() string {
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
