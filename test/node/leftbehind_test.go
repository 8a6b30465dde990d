package node

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"

	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/localcluster/filelock"
)

// traces are what a cluster in a data folder could leave behind.
type traces struct {
	Processes, Mounts, Links, Namespaces, Cgroups, Chains, Folders []string
	Settings                                                       map[string]string
}

// look notes the state of the machine. Processes are known by the data folder
// in their arguments, and those in containers by their mounts.
func look(t *testing.T, dir string) traces {
	t.Helper()
	m := traces{Processes: processesOf(dir), Settings: map[string]string{}}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, mount := range mounts {
		m.Mounts = append(m.Mounts, mount.Mountpoint)
	}
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		m.Links = append(m.Links, link.Attrs().Name)
	}
	m.Namespaces = glob(t, "/run/netns/*")
	for _, pattern := range []string{"/run/*", "/var/lib/*", "/var/log/*", "/opt/*", "/etc/*"} {
		m.Folders = append(m.Folders, glob(t, pattern)...)
	}
	// Other clusters may have theirs.
	own := localcluster.Folder(dir).Run()
	m.Folders = slices.DeleteFunc(m.Folders, func(path string) bool {
		return strings.HasPrefix(path, "/run/job-handler-") && path != own
	})
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (strings.Contains(path, "job-handler") || strings.Contains(path, "kubepods")) {
			m.Cgroups = append(m.Cgroups, path)
		}
		return nil
	})
	for _, name := range []string{"kernel/panic", "net/ipv4/ip_forward", "vm/overcommit_memory"} {
		value, _ := os.ReadFile(filepath.Join("/proc/sys", name))
		m.Settings[name] = string(value)
	}
	m.Chains = chains()
	return m
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func processesOf(dir string) []string {
	var found []string
	paths, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range paths {
		// A process that ended has no arguments any more.
		args, _ := os.ReadFile(filepath.Join(path, "cmdline"))
		mounts, _ := os.ReadFile(filepath.Join(path, "mountinfo"))
		if strings.Contains(string(args), dir) || strings.Contains(string(mounts), dir) {
			found = append(found, strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return found
}

func chains() []string {
	var found []string
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		rules, _ := exec.Command(program).Output()
		for line := range strings.Lines(string(rules)) {
			if strings.HasPrefix(line, ":KUBE-") || strings.HasPrefix(line, ":CNI-") {
				found = append(found, program+line)
			}
		}
	}
	return found
}

// lookAlone looks while no cluster, not even another process's, has the node.
func lookAlone(t *testing.T, dir string) traces {
	t.Helper()
	lock, err := filelock.Wait(t.Context(), nodeLock, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	defer os.Remove(nodeLock)
	return look(t, dir)
}

// expectAsBefore fails the test unless the machine comes to be as it was.
func expectAsBefore(t *testing.T, dir string, before traces) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; {
		diff := cmp.Diff(before, lookAlone(t, dir))
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the machine is not as it was:\n%s", diff)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// hangs is the flag of kubectl wait for what takes a moment, unless it hangs.
const hangs = "--timeout=5m"

// commanded is a cluster with its kubectl.
type commanded interface {
	Kubectl() string
	Kubeconfig() string
}

// kubectl runs the cluster's kubectl and returns what it prints.
func kubectl(t *testing.T, c commanded, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(c.Kubectl(), append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return string(text)
}

// job returns a Job that runs a shell script.
func job(name, script string) string {
	return `{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "` + name + `"}, "spec": {
		"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [{
		"name": "main", "image": "` + ShellImage + `", "imagePullPolicy": "Never",
		"command": ["sh", "-c", "` + script + `"]}]}}}}`
}
