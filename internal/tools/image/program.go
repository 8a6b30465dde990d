package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const module = "github.com/job-handler/job-handler"

// buildProgram returns the manager of the source in root, built for the platform as the Dockerfile
// does: static, without paths of this machine, without the state of its clone.
func buildProgram(ctx context.Context, root, work string, platform v1.Platform, version string) ([]byte, error) {
	fmt.Printf("building %s for %s (some minutes with an empty build cache)\n", programName, platform)
	path := filepath.Join(work, platform.Architecture)
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -X "+module+"/internal/version.Version="+version,
		"-o", path, module+"/cmd/manager")
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	if out, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s for %s: %w\n%s", programName, platform, err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the program: %w", err)
	}
	return program, nil
}

// firstBundle returns the machine's bundle of CA certificates, or nothing.
func firstBundle() string {
	for _, path := range []string{
		"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Alpine, Arch
		"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
		"/etc/ssl/ca-bundle.pem",             // openSUSE
		"/etc/ssl/cert.pem",                  // macOS
	} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}
