// Package namespaces gives a node's programs their own view of this machine: mounts,
// processes, and the folders that they write to.
package namespaces

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Enter turns the fresh mount namespace of the calling process into that
// of a node: mounts made in it stay in it, /proc shows its PID namespace, and
// the private folders cover the machine's own.
func Enter(private []PrivateFolder) error {
	// Unmounts on the machine still arrive, so that the namespace does not
	// keep a device busy; what happens inside does not leave.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("detaching the mount namespace: %w", err)
	}
	// Bidirectional mount propagation of volumes needs a shared root.
	if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("sharing mounts among the node's programs: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	for _, folder := range private {
		if err := unix.Mount(folder.Source, folder.Target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("putting %s over %s: %w", folder.Source, folder.Target, err)
		}
	}
	return nil
}

// Leave takes the private folders off again, so that what they cover can
// be removed.
func Leave(private []PrivateFolder) {
	for _, folder := range slices.Backward(private) {
		_ = unix.Unmount(folder.Target, unix.MNT_DETACH)
	}
}
