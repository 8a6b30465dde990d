package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/job-handler/job-handler/internal/localcluster"
)

// reporter writes a line about progress.
type reporter func(format string, args ...any)

// hostPrograms are those that a node needs and that do not come from Go
// modules, with the name of the package that has them in most distributions.
var hostPrograms = []struct{ program, pkg string }{
	{"runc", "runc"},
	{"iptables", "iptables"},
	{"mount", "mount"},
}

// ensureHostPrograms installs the programs that are missing where it can, on
// Debian and its kin, and else says how to.
func ensureHostPrograms(ctx context.Context, report reporter) error {
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	if _, err := findProgram("apt-get"); err == nil && os.Getuid() == 0 {
		report("installing %s", strings.Join(missing, " "))
		if err := aptInstall(ctx, missing); err != nil {
			return err
		}
		missing = missingPackages()
	}
	if len(missing) > 0 {
		return fmt.Errorf("a node needs %s: install with %s", strings.Join(missing, " and "), installCommand(missing))
	}
	return nil
}

func missingPackages() []string {
	var missing []string
	for _, host := range hostPrograms {
		if _, err := findProgram(host.program); err != nil {
			missing = append(missing, host.pkg)
		}
	}
	return missing
}

// findProgram looks where system programs are, too; a user's PATH may lack that.
func findProgram(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(localcluster.SystemPath), filepath.SplitList(os.Getenv("PATH"))...) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("finding program %s: %w", name, exec.ErrNotFound)
}

// aptInstall refreshes the package lists only if it must.
func aptInstall(ctx context.Context, packages []string) error {
	install := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	if apt(ctx, "", install...) == nil {
		return nil
	}
	if err := apt(ctx, "", "update"); err != nil {
		return err
	}
	return apt(ctx, "", install...)
}

// apt runs apt-get in a folder.
func apt(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running apt-get %s: %w\n%s", strings.Join(args, " "), err, localcluster.Tail(string(text), 5))
	}
	return nil
}

// installCommand returns what installs packages here, a command if it is known.
func installCommand(packages []string) string {
	list := strings.Join(packages, " ")
	for _, manager := range []struct{ program, command string }{
		{"apt-get", "sudo apt-get update && sudo apt-get install -y "},
		{"dnf", "sudo dnf install -y "},
		{"zypper", "sudo zypper install -y "},
		{"pacman", "sudo pacman -S "},
		{"apk", "sudo apk add "},
	} {
		if _, err := findProgram(manager.program); err == nil {
			return "`" + manager.command + list + "`"
		}
	}
	return "the system's package manager"
}
