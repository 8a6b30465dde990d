package localcluster

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
)

// Set is a group of programs; sets combine with |.
type Set uint8

// The sets of programs.
const (
	// ControlPlanePrograms are etcd, kube-apiserver, kube-controller-manager,
	// kube-scheduler and kubectl.
	ControlPlanePrograms Set = 1 << iota
	// NodePrograms are kubelet, kube-proxy, containerd with its shim and ctr,
	// and the CNI plugins bridge, host-local and loopback.
	NodePrograms
	// KWOKPrograms is kwok, which plays nodes.
	KWOKPrograms
	// CertManagerPrograms is one that runs cert-manager's controllers and CA
	// injector.
	CertManagerPrograms
	// AllPrograms is every set.
	AllPrograms = ControlPlanePrograms | NodePrograms | KWOKPrograms | CertManagerPrograms
)

// The names of the programs that run as long as a cluster does: the names by
// which components are paused, killed and restarted.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	KWOK              = "kwok"
	CertManager       = "cert-manager"
	Containerd        = "containerd"
	Kubelet           = "kubelet"
	Proxy             = "kube-proxy"
)

var componentNames = []string{Etcd, APIServer, ControllerManager, Scheduler, KWOK, CertManager, Containerd, Kubelet, Proxy}

// module is a nested Go module whose go.mod pins programs.
type module struct {
	name string
	// versioned names the Go module whose version the programs report.
	versioned string
	programs  []program
}

// program is one that a module's tool lines name, from another module or from
// the module's own folder.
type program struct {
	name string
	pkg  string
	set  Set
}

// binary is the name that go build gives the program: the last element of its
// path that is not a major version.
func (p program) binary() string {
	dir, last := path.Split(p.pkg)
	if majorVersion.MatchString(last) {
		return path.Base(dir)
	}
	return last
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// ldflags returns the linker's flags. Kubernetes' programs do not know their
// version unless it is linked in: the apiserver would report v0.0.0.
func (m module) ldflags(goMod string) string {
	const strip = "-s -w"
	if m.versioned == "" {
		return strip
	}
	version := requiredVersion(goMod, m.versioned)
	if version == nil {
		return strip
	}
	const prefix = " -X k8s.io/component-base/version."
	return fmt.Sprintf("%s%sgitVersion=v%s.%s%s%sgitMajor=%s%sgitMinor=%s", strip,
		prefix, version[1], version[2], version[3], prefix, version[1], prefix, version[2])
}

// requiredVersion returns the version of a Go module that a go.mod requires, its
// major, its minor and the rest; nil if it requires none.
func requiredVersion(goMod, path string) []string {
	return regexp.MustCompile(regexp.QuoteMeta(path) + ` v([0-9]+)\.([0-9]+)(\S*)`).FindStringSubmatch(goMod)
}

const (
	// kubernetesModule is the nested module of the newest Kubernetes.
	kubernetesModule = "kubernetes"
	// kubernetesPath is the Go module of Kubernetes.
	kubernetesPath = "k8s.io/kubernetes"
)

// modules lists the programs of each module, longest compilation first.
var modules = []module{
	{name: kubernetesModule, versioned: kubernetesPath, programs: []program{
		{APIServer, "k8s.io/kubernetes/cmd/kube-apiserver", ControlPlanePrograms},
		{Etcd, "go.etcd.io/etcd/server/v3", ControlPlanePrograms},
		{ControllerManager, "k8s.io/kubernetes/cmd/kube-controller-manager", ControlPlanePrograms},
		{Scheduler, "k8s.io/kubernetes/cmd/kube-scheduler", ControlPlanePrograms},
		{"kubectl", "k8s.io/kubernetes/cmd/kubectl", ControlPlanePrograms},
		{Kubelet, "k8s.io/kubernetes/cmd/kubelet", NodePrograms},
		{Proxy, "k8s.io/kubernetes/cmd/kube-proxy", NodePrograms},
	}},
	{name: "node", programs: []program{
		{Containerd, "github.com/containerd/containerd/v2/cmd/containerd", NodePrograms},
		{"containerd-shim-runc-v2", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", NodePrograms},
		{"ctr", "github.com/containerd/containerd/v2/cmd/ctr", NodePrograms},
		{"bridge", "github.com/containernetworking/plugins/plugins/main/bridge", NodePrograms},
		{"host-local", "github.com/containernetworking/plugins/plugins/ipam/host-local", NodePrograms},
		{"loopback", "github.com/containernetworking/plugins/plugins/main/loopback", NodePrograms},
	}},
	{name: "kwok", programs: []program{
		{KWOK, "sigs.k8s.io/kwok/cmd/kwok", KWOKPrograms},
	}},
	{name: "certmanager", programs: []program{
		{CertManager, modulePath + "/internal/localcluster/programs/certmanager", CertManagerPrograms},
	}},
}

// wanted returns the module's programs that belong to the sets.
func (m module) wanted(set Set) []program {
	var wanted []program
	for _, p := range m.programs {
		if p.set&set != 0 {
			wanted = append(wanted, p)
		}
	}
	return wanted
}

// Programs tells where built programs are.
type Programs struct {
	paths map[string]string
}

// Path returns the absolute path of a program by its name, such as
// "kube-apiserver", and "" if it was not in the sets that were built.
func (p Programs) Path(name string) string { return p.paths[name] }

// folderOf returns the folder of a program.
func (p Programs) folderOf(name string) string { return filepath.Dir(p.paths[name]) }

// Folders returns the folders that the programs are in.
func (p Programs) Folders() []string {
	folders := map[string]bool{}
	for name := range p.paths {
		folders[p.folderOf(name)] = true
	}
	return slices.Sorted(maps.Keys(folders))
}
