package leftovers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// hierarchies returns where the machine's cgroup hierarchies are mounted.
func hierarchies() ([]string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("listing cgroup hierarchies: %w", err)
	}
	var paths []string
	for _, mount := range mounts {
		paths = append(paths, mount.Mountpoint)
	}
	return paths, nil
}

// MakeCgroup makes the node's group in every hierarchy.
func MakeCgroup(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		enableControllers(root)
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making a cgroup: %w", err)
		}
	}
	return nil
}

// enableControllers lets groups below the root of a version 2 hierarchy limit
// what a kubelet wants limited. In version 1 there is nothing to enable.
func enableControllers(root string) {
	control := filepath.Join(root, "cgroup.subtree_control")
	for _, controller := range []string{"cpu", "cpuset", "hugetlb", "io", "memory", "pids"} {
		_ = os.WriteFile(control, []byte("+"+controller), 0o644)
	}
}

func removeCgroups(ctx context.Context, r Record) ([]string, error) {
	if r.Cgroup == "" {
		return nil, nil
	}
	roots, err := hierarchies()
	if err != nil {
		return nil, err
	}
	removed := 0
	var failures []error
	for _, root := range roots {
		n, err := removeTree(ctx, filepath.Join(root, r.Cgroup))
		removed += n
		failures = append(failures, err)
	}
	if removed == 0 {
		return nil, errors.Join(failures...)
	}
	return []string{fmt.Sprintf("%d cgroups", removed)}, errors.Join(failures...)
}

// removeTree removes a group with those in it, after ending what runs in them.
func removeTree(ctx context.Context, root string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	removed := 0
	for {
		groups := groupsBelow(root)
		for _, group := range slices.Backward(groups) {
			endProcesses(group)
			if err := unix.Rmdir(group); err == nil {
				removed++
			}
		}
		if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
			return removed, nil
		}
		// A group is busy until the kernel is done with its processes.
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return removed, fmt.Errorf("removing cgroup %s: %w", root, ctx.Err())
		}
	}
}

// groupsBelow returns a group and those in it, outer before inner.
func groupsBelow(root string) []string {
	var groups []string
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return nil
	})
	return groups
}

func endProcesses(group string) {
	data, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		return
	}
	for field := range strings.FieldsSeq(string(data)) {
		// Of a process in a namespace that is out of sight the PID reads 0,
		// which as the target of a signal would mean ourselves.
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
