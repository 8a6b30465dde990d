package adversary_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

const mebi = 1 << 20

// memoryLimit returns the limit of the manager's container, in bytes.
func memoryLimit(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("../../config/manager/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	deployment := &appsv1.Deployment{}
	if err := yaml.Unmarshal(text, deployment); err != nil {
		t.Fatal(err)
	}
	limit := deployment.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value()
	if limit == 0 {
		t.Fatal("the manager's container has no memory limit")
	}
	return limit
}

// cgroup is a memory cgroup, of version 1 or 2.
type cgroup struct {
	dir                string
	limit, peak, kills string
}

var errNoCgroup = errors.New("no memory cgroup can be made")

// newCgroup makes a cgroup with a limit.
func newCgroup(name string, bytes int64) (*cgroup, error) {
	group, err := findCgroup(name)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(group.dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoCgroup, err)
	}
	if err := os.WriteFile(filepath.Join(group.dir, group.limit), []byte(strconv.FormatInt(bytes, 10)), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errNoCgroup, err), os.Remove(group.dir))
	}
	// Where there is swap the limit would be none.
	for _, swap := range []string{"memory.swap.max", "memory.swappiness"} {
		_ = os.WriteFile(filepath.Join(group.dir, swap), []byte("0"), 0o644)
	}
	return group, nil
}

// findCgroup returns where a cgroup of this name would be. It is below the root, so
// that no other limit is above it.
func findCgroup(name string) (*cgroup, error) {
	const root, v1 = "/sys/fs/cgroup", "/sys/fs/cgroup/memory"
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: it needs root", errNoCgroup)
	}
	if _, err := os.Stat(filepath.Join(v1, "memory.limit_in_bytes")); err == nil {
		return &cgroup{
			dir: filepath.Join(v1, name), limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes", kills: "memory.oom_control",
		}, nil
	}
	// Without the controller the folder has no file for the limit, which is noticed.
	_ = os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+memory"), 0o644)
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoCgroup, err)
	}
	return &cgroup{dir: filepath.Join(root, name), limit: "memory.max", peak: "memory.peak", kills: "memory.events"}, nil
}

// remove removes the cgroup, in which no process is any more.
func (c *cgroup) remove() error { return os.Remove(c.dir) }

// peakBytes returns the most memory that was taken, page cache included.
func (c *cgroup) peakBytes() (int64, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, c.peak))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// oomKills returns how many processes were killed for want of memory.
func (c *cgroup) oomKills() (int, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, c.kills))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if count, found := strings.CutPrefix(line, "oom_kill "); found {
			return strconv.Atoi(strings.TrimSpace(count))
		}
	}
	return 0, fmt.Errorf("%s tells of no oom_kill", c.kills)
}

// wrap writes a program that runs another one within the cgroup.
func (c *cgroup) wrap(binary, path string) error {
	script := fmt.Sprintf("#!/bin/sh\necho $$ >%s || exit 1\nexec %s \"$@\"\n", filepath.Join(c.dir, "cgroup.procs"), binary)
	return os.WriteFile(path, []byte(script), 0o755)
}

// residentPeak returns the most memory that a process had resident, 0 if it is gone.
func residentPeak(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}

func TestCgroup(t *testing.T) {
	group, err := newCgroup(fmt.Sprintf("job-handler-test-%d", os.Getpid()), 64*mebi)
	if errors.Is(err, errNoCgroup) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if kills, err := group.oomKills(); err != nil || kills != 0 {
		t.Errorf("%d kills, %v", kills, err)
	}
	if _, err := group.peakBytes(); err != nil {
		t.Error(err)
	}
	if err := group.remove(); err != nil {
		t.Error(err)
	}
}
