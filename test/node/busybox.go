package node

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func makeShell(ctx context.Context, work string) (v1.Image, error) {
	program, err := findBusybox(ctx, work)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	applets, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("asking busybox for its commands: %w", err)
	}
	entries := []entry{
		folderEntry("bin", 0o755), folderEntry("etc", 0o755), folderEntry("tmp", 0o1777),
		file("bin/busybox", data, 0o755),
		file("etc/passwd", []byte("root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"), 0o644),
		file("etc/group", []byte("root:x:0:\nnogroup:x:65534:\n"), 0o644),
	}
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" {
			entries = append(entries, link("bin/"+applet, "busybox"))
		}
	}
	config := v1.Config{Cmd: []string{"/bin/sh"}, Env: []string{"PATH=/bin"}}
	return imageOf(config, entries...)
}

// findBusybox returns a busybox that needs no libraries, the machine's or one
// out of Debian's package.
func findBusybox(ctx context.Context, work string) (string, error) {
	if path, err := findProgram("busybox"); err == nil && isStatic(path) {
		return path, nil
	}
	const pkg = "busybox-static"
	if _, err := findProgram("apt-get"); err != nil {
		return "", fmt.Errorf("finding a busybox without libraries: install with %s", installCommand([]string{pkg}))
	}
	if apt(ctx, work, "download", pkg) != nil {
		// The package lists may be missing or old; refreshing them needs root.
		if err := apt(ctx, work, "update"); err != nil {
			return "", err
		}
		if err := apt(ctx, work, "download", pkg); err != nil {
			return "", err
		}
	}
	packages, err := filepath.Glob(filepath.Join(work, pkg+"_*.deb"))
	if err != nil || len(packages) != 1 {
		return "", fmt.Errorf("downloading %s: %d packages (%w)", pkg, len(packages), err)
	}
	unpack := exec.CommandContext(ctx, "dpkg-deb", "-x", packages[0], work)
	if text, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpacking %s: %w: %s", pkg, err, text)
	}
	for _, path := range []string{"bin/busybox", "usr/bin/busybox"} {
		if path = filepath.Join(work, path); isStatic(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("unpacking %s: there is no busybox in it", pkg)
}

// isStatic reports whether a program is one that asks for no interpreter.
func isStatic(path string) bool {
	program, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer program.Close()
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}
