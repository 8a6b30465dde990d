package leftovers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// settings are the kernel settings that kubelet, kube-proxy and the CNI
// plugins change for the whole machine.
var settings = []string{
	"kernel/keys/root_maxbytes",
	"kernel/keys/root_maxkeys",
	"kernel/panic",
	"kernel/panic_on_oops",
	"net/ipv4/conf/all/route_localnet",
	"net/ipv4/ip_forward",
	"net/ipv4/vs/conntrack",
	"net/netfilter/nf_conntrack_max",
	"vm/overcommit_memory",
	"vm/panic_on_oom",
}

const settingsRoot = "/proc/sys"

// NoteSettings notes the kernel settings as they are, to be restored.
func (r *Record) NoteSettings() {
	r.Settings = map[string]string{}
	for _, name := range settings {
		// A kernel that lacks a setting has nothing to restore.
		if value, err := os.ReadFile(filepath.Join(settingsRoot, name)); err == nil {
			r.Settings[name] = strings.TrimSpace(string(value))
		}
	}
}

func restoreSettings(_ context.Context, r Record) ([]string, error) {
	var restored []string
	var failures []error
	for _, name := range settings {
		before, noted := r.Settings[name]
		path := filepath.Join(settingsRoot, name)
		now, err := os.ReadFile(path)
		if !noted || err != nil || strings.TrimSpace(string(now)) == before {
			continue
		}
		if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
			failures = append(failures, err)
			continue
		}
		restored = append(restored, "change of kernel setting "+strings.ReplaceAll(name, "/", "."))
	}
	return restored, errors.Join(failures...)
}
