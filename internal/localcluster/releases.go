package localcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ReleaseVariable is the environment variable with the minor, such as 1.30, that a
// cluster has whose options name none.
const ReleaseVariable = "LOCALCLUSTER_KUBERNETES"

// Release is a release of Kubernetes that is older than the one of the module
// "kubernetes". It has a nested module of its own, which pins its API server and
// its controller manager; the rest of a control plane is the newest's.
type Release struct {
	// Version is the release, such as v1.30.14.
	Version string
	// Lagging has the version of each staging module that the module proxy does
	// not serve for this release.
	Lagging map[string]string
}

// releases has a recent patch of each older minor that is supported, oldest first.
// `make kubernetes-modules` writes their modules.
var releases = []Release{
	{Version: "v1.30.14"},
	{Version: "v1.31.13"},
	{Version: "v1.32.13", Lagging: map[string]string{"k8s.io/endpointslice": "v0.32.12"}},
	{Version: "v1.33.13"},
	{Version: "v1.34.4"},
	{Version: "v1.35.4"},
	{Version: "v1.36.3"},
}

// Releases returns the older releases that a cluster can have, oldest first.
func Releases() []Release { return slices.Clone(releases) }

// Minor returns the minor of the release, such as 1.30.
func (r Release) Minor() string { return minorOf(r.Version) }

// minorOf returns the minor of a version, such as 1.30 of v1.30.14.
func minorOf(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

// ReleasePackages returns the packages that a release's module pins.
func ReleasePackages() []string {
	packages := make([]string, 0, len(releasePrograms))
	for _, p := range releasePrograms {
		packages = append(packages, p.pkg)
	}
	return packages
}

// ModuleFolder returns the folder of the module of the release, in the source of
// this repository.
func (r Release) ModuleFolder() (string, error) {
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	return nestedModule(root, r.module().name), nil
}

// releasePrograms are the programs that a cluster has of an older release.
var releasePrograms = []program{
	{APIServer, "k8s.io/kubernetes/cmd/kube-apiserver", ControlPlanePrograms},
	{ControllerManager, "k8s.io/kubernetes/cmd/kube-controller-manager", ControlPlanePrograms},
}

// notOfAnother are the programs that do not work with an older API server: the
// scheduler lists what such a server does not have, and no kubelet may be newer
// than its API server.
var notOfAnother = []string{Scheduler, Kubelet, Proxy}

func (r Release) module() module {
	return module{name: kubernetesModule + "-" + r.Minor(), versioned: kubernetesPath, programs: releasePrograms}
}

// modulesOf returns the modules of a cluster of a minor: those of all clusters if
// it is the newest or "".
func modulesOf(minor string) ([]module, error) {
	newest, err := newestMinor()
	if err != nil || minor == "" || minor == newest {
		return modules, err
	}
	at := slices.IndexFunc(releases, func(r Release) bool { return r.Minor() == minor })
	if at < 0 {
		return nil, fmt.Errorf("no programs of Kubernetes %q: there are those of %s", minor, strings.Join(append(olderMinors(), newest), ", "))
	}
	older := releases[at].module()
	result := []module{older}
	for _, m := range modules {
		if m.name == kubernetesModule {
			m.programs = slices.DeleteFunc(slices.Clone(m.programs), func(p program) bool {
				return slices.Contains(notOfAnother, p.name) || slices.Contains(older.programs, p)
			})
		}
		result = append(result, m)
	}
	return result, nil
}

// Minors returns the minors that a cluster can have, oldest first.
func Minors() ([]string, error) {
	newest, err := newestMinor()
	return append(olderMinors(), newest), err
}

func olderMinors() []string {
	minors := make([]string, 0, len(releases)+1)
	for _, r := range releases {
		minors = append(minors, r.Minor())
	}
	return minors
}

// newestMinor returns the minor that the module "kubernetes" pins.
func newestMinor() (string, error) {
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(nestedModule(root, kubernetesModule), "go.mod")
	goMod, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	version := requiredVersion(string(goMod), kubernetesPath)
	if version == nil {
		return "", fmt.Errorf("%s requires no %s", path, kubernetesPath)
	}
	return version[1] + "." + version[2], nil
}
